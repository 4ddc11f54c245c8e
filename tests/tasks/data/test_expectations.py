import pandas as pd

from tasks.data.checks import Check, CheckKind
from tasks.data.expectations import run_checks


def check(name: str, kind: CheckKind, column: str) -> Check:
    return Check(
        name=name, kind=kind, columns=(column,), expected="e", requirement="r", remedy="m", values=("a",)
    )


def test_results_stand_in_the_order_of_their_checks() -> None:
    frame = pd.DataFrame({"a": ["a", "b", None], "b": ["a", "a", "a"]}, dtype=object)
    checks = [
        check("set b", CheckKind.IN_SET, "b"),
        check("null a", CheckKind.NOT_NULL, "a"),
        check("unique b", CheckKind.UNIQUE, "b"),
        check("set a", CheckKind.IN_SET, "a"),
    ]
    results = run_checks(frame, checks)
    assert [result.check.name for result in results] == [c.name for c in checks]
    assert [result.broken for result in results] == [(), (2,), (1, 2), (1,)]
    assert [result.passed for result in results] == [True, False, False, False]


def test_an_expectation_that_fails_inside_is_never_taken_as_passed() -> None:
    frame = pd.DataFrame({"a": ["a"]}, dtype=object)
    absent, present = run_checks(
        frame, [check("absent", CheckKind.IN_SET, "nowhere"), check("present", CheckKind.IN_SET, "a")]
    )
    assert not absent.passed
    assert absent.fault is not None
    assert "nowhere" in absent.fault
    assert present.passed
