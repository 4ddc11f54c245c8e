"""Which version a rollback goes to."""

import pytest

from data_contracts.errors import InputError
from data_contracts.records.registry import Alias, ModelVersion
from tasks.decisions.champions import rollback_target
from tests.tasks.registry.made import version

FIRST, KEPT_OUT, SECOND = version(1, Alias.ANCHOR, day=1), version(2, Alias.CHALLENGER), version(3, day=3)
THIRD = version(4, Alias.CHAMPION, day=5)
VERSIONS = (FIRST, KEPT_OUT, SECOND, THIRD)


def back(*versions: ModelVersion, to: int | None = None) -> int:
    return rollback_target(versions, model="topics", to=to).version


def test_it_goes_to_the_champion_before_and_to_any_that_is_named() -> None:
    assert back(*VERSIONS) == 3
    assert back(*VERSIONS, to=1) == 1
    assert back(*VERSIONS, to=3) == 3


def test_a_version_that_was_rolled_back_from_is_passed_over_unless_it_is_named() -> None:
    again = (FIRST, version(3, day=3, withdrawn="complaints"), THIRD)
    assert back(*again) == 1
    assert back(*again, to=3) == 3


def test_after_a_rollback_the_next_goes_further_back_and_not_forth() -> None:
    rolled = (FIRST, version(3, Alias.CHAMPION, day=3), version(4, day=5, withdrawn="complaints"))
    assert back(*rolled) == 1


@pytest.mark.parametrize(
    ("versions", "to", "found"),
    [
        ((), None, "no version of it"),
        ((FIRST, KEPT_OUT), None, "no champion"),
        ((version(1, Alias.CHAMPION, day=1),), None, "before which there was none"),
        (VERSIONS, 2, "never champion"),
        (VERSIONS, 4, "the champion itself"),
        (VERSIONS, 9, "no such version"),
    ],
)
def test_what_no_gate_has_made_champion_is_refused(
    versions: tuple[ModelVersion, ...], to: int | None, found: str
) -> None:
    with pytest.raises(InputError, match=found):
        back(*versions, to=to)
