"""What the ledger of a killed run may hold more than that of an undisturbed one."""

from benchmarks.endings import entries_twice, told_once
from data_contracts.records.ledger import EntryKind, LedgerEntry

DIGEST = "sha256:" + "{:064x}"


def entries(*kinds: EntryKind) -> list[LedgerEntry]:
    return [
        LedgerEntry(
            sequence=number,
            previous=DIGEST.format(0),
            kind=kind,
            run_id="run-1",
            about=DIGEST.format(number),
            actor="run",
            at="2026-11-26T08:00:00.000000Z",
            clock_set_back=False,
            entry_digest=DIGEST.format(number),
        )
        for number, kind in enumerate(kinds, 1)
    ]


def test_an_end_that_was_entered_before_the_run_went_on_counts_once() -> None:
    began, judged, ended = EntryKind.ATTEMPT, EntryKind.LOOK, EntryKind.OUTCOME
    again = told_once(entries(began, judged, ended, began, ended))
    assert [each.kind for each in again] == [judged, ended]
    # Twice without having gone on, or anything else twice, is a difference.
    assert [each.kind for each in told_once(entries(began, ended, ended))] == [ended, ended]
    assert [each.kind for each in told_once(entries(began, judged, began, judged))] == [judged, judged]


def test_the_same_entry_twice_is_counted() -> None:
    (look,) = entries(EntryKind.LOOK)
    assert entries_twice([look, look.model_copy(update={"sequence": 2})]) == 1
    assert entries_twice(entries(EntryKind.ATTEMPT, EntryKind.LOOK, EntryKind.LOOK)) == 0
