"""Checking a chain, whoever stored it: every entry's own hash, its link, its time, and a checkpoint."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import RowMapping

from data_contracts.records.base import utc_time
from data_contracts.records.ledger import (
    NOTHING_BEFORE,
    ChainFault,
    Checkpoint,
    LedgerEntry,
)
from tasks.evidence.ledger.merkle import MerkleTree


def checkpoint_of(entries: Iterable[tuple[int, str]], at: datetime) -> Checkpoint:
    """The checkpoint over ``entries``, sequence and digest of each in order."""
    tree, sequence, head = MerkleTree(), 0, NOTHING_BEFORE
    for sequence, head in entries:  # noqa: B007 - the last ones are what is wanted
        tree.add(_raw(head))
    return Checkpoint(sequence=sequence, head=head, merkle_root=tree.root(), at=utc_time(at))


def check_chain(
    rows: Iterable[RowMapping | Mapping[str, Any]], checkpoint: Checkpoint | None = None
) -> tuple[int, tuple[ChainFault, ...]]:
    """How many rows there are, and every fault of them, in the order in which they were stored.

    Without a checkpoint that was kept elsewhere, entries that are missing from the end, and a chain that was
    written anew as a whole, cannot be seen.
    """
    faults: list[ChainFault] = []
    tree, count, before = MerkleTree(), 0, _Before()
    for row in rows:
        count += 1
        place = row["sequence"] if isinstance(row["sequence"], int) else count
        try:
            entry = LedgerEntry.as_written(dict(row))
        except ValidationError as error:
            broken = ", ".join(sorted({str(fault["loc"][0]) for fault in error.errors()}))
            faults.append(ChainFault(sequence=place, what=f"it is no entry: {broken}"))
            before = _Before(before.sequence + 1, str(row["entry_digest"]), before.at)
        else:
            faults.extend(ChainFault(sequence=place, what=what) for what in before.faults_of(entry))
            before = _Before(entry.sequence, entry.entry_digest, entry.at)
        tree.add(_raw(before.digest))
        if checkpoint is not None and count == checkpoint.sequence:
            faults.extend(_differences(checkpoint, before.digest, tree))
    if checkpoint is not None and count < checkpoint.sequence:
        missing = f"the checkpoint knows {checkpoint.sequence} entries, and {count} are there"
        faults.append(ChainFault(sequence=0, what=missing))
    return count, tuple(faults)


class _Before:
    """What the next entry must follow."""

    def __init__(self, sequence: int = 0, digest: str = NOTHING_BEFORE, at: str = "") -> None:
        self.sequence, self.digest, self.at = sequence, digest, at

    def faults_of(self, entry: LedgerEntry) -> Iterable[str]:
        if entry.sequence != self.sequence + 1:
            yield f"it stands after entry {self.sequence}"
        if entry.previous != self.digest:
            yield "it does not follow the entry before it: that was changed, removed, put elsewhere or added"
        if entry.entry_digest != entry.own_digest():
            yield "its digest is not that of its content: it was changed"
        if entry.at < self.at and not entry.clock_set_back:
            yield f"its time lies before that of the entry before it ({self.at}), and no mark says so"
        if entry.at >= self.at and entry.clock_set_back:
            yield "its mark says that the clock was set back, and its time does not"


def _differences(checkpoint: Checkpoint, head: str, tree: MerkleTree) -> Iterable[ChainFault]:
    if head != checkpoint.head:
        yield ChainFault(sequence=checkpoint.sequence, what="its digest is not the checkpoint's head")
    if tree.root() != checkpoint.merkle_root:
        what = "the entries so far do not have the Merkle root of the checkpoint"
        yield ChainFault(sequence=checkpoint.sequence, what=what)


def _raw(digest: str) -> bytes:
    try:
        return bytes.fromhex(digest.removeprefix("sha256:"))
    except ValueError:
        return digest.encode()  # a damaged row: any leaf will do, as long as it is not the right one
