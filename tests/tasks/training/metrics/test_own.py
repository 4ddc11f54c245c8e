"""A function of the user's own is found, called and held to what the settings say of it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import InputError
from data_contracts.records.scoring import CustomMetric
from tasks.training.metrics.own import SAMPLE, find_function

SOURCE = """
import itertools

ticks = itertools.count()
NUMBER = 3

def polite(answers, references):
    return ["please" in answer for answer in answers]

def by_row(answers, references, rows):
    return [float(row["weight"]) for row in rows]

def short(answers, references):
    return [1.0]

def ticking(answers, references):
    return [next(ticks) / 1e6 for _ in answers]

def relative(answers, references):
    return [len(answer) / max(map(len, answers)) for answer in answers]

def broken(answers, references):
    return [1 / 0 for _ in answers]

def wild(answers, references):
    return [float("nan") for _ in answers]

def high(answers, references):
    return [1.5 for _ in answers]

def texts(answers, references):
    return ["high" for _ in answers]

def one(answers):
    return []
"""


@pytest.fixture(autouse=True)
def own_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_scores.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_scores", None)


def metric(function: str, **changes: Any) -> CustomMetric:
    values = {"name": "mine", "function": function, "higher_is_better": True, "maximum": 1.0}
    return CustomMetric.model_validate({**values, **changes})


def test_scores_are_the_functions() -> None:
    found = find_function(metric("own_scores:polite", binary=True))
    assert found.scores(["please", "now"], ["a", "b"], [{}, {}]).tolist() == [1.0, 0.0]
    by_row = find_function(metric("own_scores:by_row"))
    assert by_row.scores(["a", "b"], ["", ""], [{"weight": 1}, {"weight": 0}]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("no_such_package.scores:f", "ModuleNotFoundError"),
        ("own_scores:politt", "polite, by_row"),
        ("own_scores:NUMBER", "a int"),
        ("own_scores:one", r"one\(answers\)"),
    ],
)
def test_what_cannot_be_called_is_refused_when_it_is_looked_for(function: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        find_function(metric(function))


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("short", f"expected: {SAMPLE + 8} scores"),
        ("ticking", "whichever rows stand beside it"),
        ("relative", "whichever rows stand beside it"),
        ("broken", r"ZeroDivisionError: division by zero \(.*own_scores.py:23\)"),
        ("wild", "nan for row 1"),
        ("high", "finite scores from 0 to 1"),
        ("texts", "could not convert"),
    ],
)
def test_a_function_that_breaks_its_word_is_refused(function: str, told: str) -> None:
    found = find_function(metric(f"own_scores:{function}"))
    answers = ["a" * (index + 1) for index in range(SAMPLE + 8)]
    with pytest.raises(InputError, match=told):
        found.scores(answers, answers, [{}] * len(answers))


def test_a_binary_one_must_be_0_or_1() -> None:
    found = find_function(metric("own_scores:relative", binary=True))
    with pytest.raises(InputError, match="expected: 0 or 1"):
        found.scores(["a", "bb"], ["", ""], [{}, {}])
    with pytest.raises(ValueError, match="binary metric needs minimum 0 and maximum 1"):
        metric("own_scores:polite", binary=True, maximum=2.0)
    with pytest.raises(ValueError, match="a name of lorafirst's own"):
        metric("own_scores:polite", name="bleu")
