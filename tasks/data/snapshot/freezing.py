"""Freezing the accepted rows into files whose bytes follow from their content alone."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.errors import ArtifactDamagedError
from data_contracts.kept_tables import table_file
from data_contracts.records.snapshot import ContractEvidence, Snapshot, Split, SplitRecord
from data_contracts.records.tables import TableFile
from data_contracts.row_salts import salt_fields
from tasks.data.checking.contract import ACCEPTED, REJECTED
from tasks.data.rows.columns import CONTENT_COLUMNS, form_of, kept_columns, text_columns
from tasks.data.rows.parquet_files import parquet_rows
from tasks.data.rows.sorted_rows import rows_in_order

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


def freeze_snapshot(checked: Path, evidence: ContractEvidence, folder: Path) -> Snapshot:
    """Writes the rows of ``checked`` (the folder of the contract stage) as a snapshot into ``folder``.

    Rows lie in the order of their identities, and nothing in the files tells where a row stood in its
    source, so that the same rows give the same files however the source orders them, but for the salts that
    they got when they were checked (of duplicates that differ in a kept column the first stays, and there its
    place shows). The places are kept in ``checked``.

    Raises:
        ArtifactDamagedError: the files in ``checked`` are not the ones ``evidence`` speaks of.
    """
    import pyarrow.parquet as pq

    accepted, rejected = pq.ParquetFile(checked / ACCEPTED), pq.ParquetFile(checked / REJECTED)
    for name, file, rows in (
        (ACCEPTED, accepted, evidence.rows_accepted),
        (REJECTED, rejected, evidence.rows_quarantined),
    ):
        if file.metadata.num_rows != rows:
            raise ArtifactDamagedError(
                f"{checked / name} holds {file.metadata.num_rows} rows and its evidence says {rows}; "
                "run the contract stage again"
            )
    content = CONTENT_COLUMNS[form_of(accepted.schema_arrow.names, evidence.task)]
    return Snapshot(
        task=evidence.task,
        contract=evidence.contract,
        labels=evidence.labels,
        splits=_freeze_splits(accepted, content, folder),
        rejected=_freeze_rejected(rejected, content, folder),
        rejected_rows=evidence.rows_quarantined,
    )


def _freeze_splits(
    accepted: "pq.ParquetFile", content: tuple[str, ...], folder: Path
) -> tuple[SplitRecord, ...]:
    import pyarrow as pa
    import pyarrow.compute as pc

    group = [name for name in accepted.schema_arrow.names if name == "group_key"]
    salts = [name for name, _ in salt_fields()]
    names = ["row_id", *content, *group, *kept_columns(accepted.schema_arrow.names), *salts]
    schema = pa.schema([accepted.schema_arrow.field(name) for name in names])
    counts: dict[Split, Counter[str]] = {split: Counter() for split in Split}
    rows: dict[Split, int] = {}
    with ExitStack() as stack:
        files = {
            split: stack.enter_context(parquet_rows(folder / f"{split}.parquet", schema)) for split in Split
        }
        for table in rows_in_order(_tables(accepted, [*names, "split"]), ["row_id"], folder):
            for split in Split:
                part = table.filter(pc.equal(table["split"], split.value))
                files[split].write(part.select(names))
                if "label" in content:
                    counts[split].update(part["label"].to_pylist())
        rows = {split: file.rows for split, file in files.items()}
    return tuple(
        SplitRecord(
            split=split,
            file=table_file(folder / f"{split}.parquet", text_columns(names)),
            rows=rows[split],
            label_counts=dict(sorted(counts[split].items())),
        )
        for split in Split
    )


def _freeze_rejected(rejected: "pq.ParquetFile", content: tuple[str, ...], folder: Path) -> TableFile:
    import pyarrow as pa

    names, salts = ["row_id", "reason", *content], [name for name, _ in salt_fields()]
    path = folder / REJECTED
    with parquet_rows(path, pa.schema([*((name, pa.string()) for name in names), *salt_fields()])) as file:
        found = _tables(rejected, ["row_id", "rules", *content, *salts])
        tables = (table.rename_columns([*names, *salts]) for table in found)
        for table in rows_in_order(tables, names, folder):
            file.write(table)
    return table_file(path, content)


def _tables(file: "pq.ParquetFile", names: list[str]) -> "Iterator[pa.Table]":
    import pyarrow as pa

    for batch in file.iter_batches(columns=names):
        yield pa.Table.from_batches([batch]).select(names)
