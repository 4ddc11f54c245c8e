import numpy as np
import pytest

from tasks.data.checking.expectations import Suite, judged, without_values
from tasks.data.contracts.checks import Check, CheckKind
from tasks.data.rows.row_batches import Column


def check(name: str, kind: CheckKind, column: str) -> Check:
    return Check(
        name=name, kind=kind, columns=(column,), expected="e", requirement="r", remedy="m", values=("a",)
    )


def test_results_stand_in_the_order_of_their_checks() -> None:
    columns = {"a": Column.of_values(["a", "b", None]), "b": Column.of_values(["a", "a", "a"])}
    checks = [
        check("set b", CheckKind.IN_SET, "b"),
        check("null a", CheckKind.NOT_NULL, "a"),
        check("unique b", CheckKind.UNIQUE, "b"),
        check("set a", CheckKind.IN_SET, "a"),
    ]
    seen = Suite(checks).run(columns)
    assert [observation.broken.tolist() for observation in seen] == [[], [2], [1, 2], [1]]
    results = [judged(c, [observation], [0], 3) for c, observation in zip(checks, seen, strict=True)]
    assert [result.passed for result in results] == [True, False, False, False]


def test_positions_count_over_batches() -> None:
    suite = Suite([check("set", CheckKind.IN_SET, "a")])
    first, second = (suite.run({"a": Column.of_values(values)})[0] for values in (["a", "b"], ["b", "a"]))
    assert judged(suite.checks[0], [first, second], [0, 2], 4).broken.tolist() == [1, 2]


def test_an_expectation_that_fails_inside_is_never_taken_as_passed() -> None:
    suite = Suite([check("absent", CheckKind.IN_SET, "nowhere"), check("present", CheckKind.IN_SET, "a")])
    absent, present = (
        judged(c, [seen], [0], 1)
        for c, seen in zip(suite.checks, suite.run({"a": np.array(["a"], dtype=object)}), strict=True)
    )
    assert not absent.passed
    assert absent.fault is not None
    assert "nowhere" in absent.fault
    assert present.passed


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("could not convert string to float: 'Ada''s'", "could not convert string to float: '...''...'"),
        ('The column "a" does not exist, but "Ada" does', 'The column "a" does not exist, but "..." does'),
        ("cut short: 'Ada went", "cut short: '...'"),
        ('two\nlines: "Ada\nand so on"', 'two\nlines: "..."'),
        ("nothing is quoted", "nothing is quoted"),
    ],
)
def test_why_a_check_could_not_run_quotes_no_row(said: str, kept: str) -> None:
    assert without_values(said, {"a"}) == kept
