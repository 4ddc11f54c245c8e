"""Freezing the accepted rows into files whose bytes follow from their content alone."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.base import FileRecord, digest_file
from data_contracts.records.snapshot import ContractEvidence, Snapshot, Split, SplitRecord
from tasks.data.columns import CONTENT_COLUMNS, form_of, kept_columns
from tasks.data.contract import ACCEPTED, REJECTED
from tasks.data.parquet_files import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa


def freeze_snapshot(checked: Path, evidence: ContractEvidence, folder: Path) -> Snapshot:
    """Writes the rows of ``checked`` (the folder of the contract stage) as a snapshot into ``folder``.

    Rows lie in the order of their identities, and nothing in the files tells where a row stood in its
    source, so that the same rows give the same digest however the source orders them (of duplicates that
    differ in a kept column the first stays, and there its place shows). The places are kept in ``checked``.

    Raises:
        ArtifactDamagedError: the files in ``checked`` are not the ones ``evidence`` speaks of.
    """
    import pyarrow.parquet as pq

    accepted, rejected = pq.read_table(checked / ACCEPTED), pq.read_table(checked / REJECTED)
    for name, table, rows in (
        (ACCEPTED, accepted, evidence.rows_accepted),
        (REJECTED, rejected, evidence.rows_quarantined),
    ):
        if table.num_rows != rows:
            raise ArtifactDamagedError(
                f"{checked / name} holds {table.num_rows} rows and its evidence says {rows}; "
                "run the contract stage again"
            )
    content = CONTENT_COLUMNS[form_of(accepted.column_names, evidence.task)]
    return Snapshot(
        task=evidence.task,
        contract=evidence.contract,
        labels=evidence.labels,
        splits=tuple(_freeze_split(accepted, split, content, folder) for split in Split),
        rejected=_freeze_rejected(rejected, content, folder),
        rejected_rows=rejected.num_rows,
    )


def _freeze_split(accepted: "pa.Table", split: Split, content: tuple[str, ...], folder: Path) -> SplitRecord:
    import pyarrow.compute as pc

    rows = accepted.filter(pc.equal(accepted["split"], split.value))
    rows = rows.select(["row_id", *content, *kept_columns(rows.column_names)]).sort_by("row_id")
    path = folder / f"{split}.parquet"
    write_parquet(rows, path)
    counts = Counter(rows["label"].to_pylist()) if "label" in content else Counter()
    return SplitRecord(
        split=split, file=_file(path), rows=rows.num_rows, label_counts=dict(sorted(counts.items()))
    )


def _freeze_rejected(rejected: "pa.Table", content: tuple[str, ...], folder: Path) -> FileRecord:
    rows = rejected.select(["row_id", "rules", *content]).rename_columns(["row_id", "reason", *content])
    path = folder / REJECTED
    write_parquet(rows.sort_by([(name, "ascending") for name in rows.column_names]), path)
    return _file(path)


def _file(path: Path) -> FileRecord:
    return FileRecord(path=path.name, sha256=digest_file(path), size_bytes=path.stat().st_size)
