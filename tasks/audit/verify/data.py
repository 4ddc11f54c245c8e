"""The frozen rows: the files, counts and splits that the evidence names."""

from collections import Counter
from collections.abc import Iterator

import pyarrow.parquet as pq

from data_contracts.records.snapshot import Snapshot, Split, SplitRecord
from data_contracts.records.tables import TableFile
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import CONTRACT, SNAPSHOT, UNREADABLE, Held
from tasks.evidence.redaction import is_as_named, table_faults


def data_faults(held: Held) -> Iterator[FoundFault]:
    for each in held.decisions:
        inputs = each.record.inputs
        for name, file, digest, record in (
            ("contract", CONTRACT, inputs.contract, held.contract),
            ("snapshot", SNAPSHOT, inputs.snapshot, held.snapshot),
        ):
            if digest is not None and (record is None or record.digest() != digest):
                yield _fault(each.file, f"it was made on another {name} than {file}: {digest}")
    snapshot, contract = held.snapshot, held.contract
    if snapshot is None:
        return
    if contract is not None:
        if snapshot.contract != contract.contract:
            yield _fault(SNAPSHOT, "it was made under another contract than was checked")
        counts = (sum(split.rows for split in snapshot.splits), snapshot.rejected_rows)
        if counts != (contract.rows_accepted, contract.rows_quarantined):
            yield _fault(
                SNAPSHOT,
                f"it holds {counts[0]} rows and {counts[1]} rejected; {CONTRACT} says "
                f"{contract.rows_accepted} and {contract.rows_quarantined}",
            )
    seen: dict[str, Split] = {}
    for split in snapshot.splits:
        yield from _split(held, split, seen)
    yield from _file(held, f"snapshot/{snapshot.rejected.path}", snapshot.rejected)
    for fault in table_faults(held.dossier):
        yield _fault(fault.where, fault.what)


def row_ids(held: Held, snapshot: Snapshot, split: Split) -> tuple[str, ...]:
    """In the order of the file."""
    path = held.folder / "snapshot" / snapshot.split(split).file.path
    return tuple(pq.read_table(path, columns=["row_id"])["row_id"].to_pylist())


def _file(held: Held, file: str, record: TableFile) -> Iterator[FoundFault]:
    place = held.folder / file
    if not place.is_file():
        yield _fault(file, "it is not there")
    elif not is_as_named(place, record, held.digest):
        yield _fault(file, "it is not the file that the snapshot names")


def _split(held: Held, record: SplitRecord, seen: dict[str, Split]) -> Iterator[FoundFault]:
    file = f"snapshot/{record.file.path}"
    path = held.folder / file
    yield from _file(held, file, record.file)
    if not path.is_file():
        return
    try:
        table = pq.read_table(path)
        ids = table["row_id"].to_pylist()
        labels = table["label"].to_pylist() if "label" in table.column_names else []
    except UNREADABLE as error:
        yield _fault(file, f"it cannot be read: {error}")
        return
    if len(ids) != record.rows:
        yield _fault(file, f"it holds {len(ids)} rows, and the snapshot says {record.rows}")
    if record.label_counts and dict(sorted(Counter(labels).items())) != record.label_counts:
        yield _fault(file, "its labels are not as many of each as the snapshot says")
    if len(set(ids)) != len(ids):
        yield _fault(file, "a row stands in it twice")
    for row_id in ids:
        if seen.setdefault(row_id, record.split) is not record.split:
            yield _fault(file, f"row {row_id} is in {seen[row_id]} too")


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.DATA, where=where, what=what)
