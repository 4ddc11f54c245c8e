"""Answers either have the form that was asked for, from end to end, or they don't."""

import pytest

from data_contracts.errors import InputError
from tasks.training.answer_format import matches_format


def test_an_answer_matches_as_a_whole_or_not_at_all() -> None:
    answers = ["K AE1 T", "  K AE1 T\n", "K AE1 T.", "the answer is K AE1 T", "", "K AE1 T\nD AO1 G"]
    assert matches_format(answers, r"[A-Z]+\d?( [A-Z]+\d?)*").tolist() == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]


def test_no_answers_give_no_values() -> None:
    assert matches_format([], "a").shape == (0,)


@pytest.mark.parametrize("pattern", ["(", "[a", "*a", "a{2,1}", "(?P<n>a)(?P<n>b)", "a{99999999999}"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match=r"answer_format(.|\n)*regular expression"):
        matches_format(["a"], pattern, where="policy.guardrails.answer_format")
