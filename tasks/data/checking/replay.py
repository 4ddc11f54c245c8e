"""General rows to be replayed among the training rows: read, checked, and nothing that a gate judges by."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.errors import InputError
from data_contracts.kept_tables import table_file
from data_contracts.progress import Progress, silent
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataSettings, ReplaySettings, SplitSettings
from data_contracts.records.snapshot import ReplayEvidence, Split
from data_contracts.row_salts import salt_fields
from tasks.data.checking.contract import ACCEPTED, REJECTED, Contract, check_contract, load_contract
from tasks.data.contracts.checks import Scope
from tasks.data.likeness.earlier import EarlierSnapshots
from tasks.data.reading.sources import SourceRows
from tasks.data.rows.columns import CONTENT_COLUMNS, text_columns
from tasks.data.rows.parquet_files import parquet_rows
from tasks.data.rows.sorted_rows import rows_in_order

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

REPLAYED = "replayed.parquet"

_LEAKS = "seen_in_earlier_gate"


def replay_data(replay: ReplaySettings) -> DataSettings:
    """Where the replayed rows are read from, as other data are."""
    columns = ColumnSettings(**replay.columns.model_dump())
    return DataSettings(source=replay.source, form=replay.form, columns=columns)


def check_replay(
    rows: SourceRows,
    *,
    task: Task,
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
    splits: SplitSettings,
    snapshots: EarlierSnapshots,
    folder: Path,
    progress: Progress = silent,
) -> ReplayEvidence:
    """Writes the rows that may be replayed to ``REPLAYED`` in ``folder``, in the order of their identities.

    Rows are held against the rules about single rows of the contract that is shipped for the task. A row
    stays where the data's own rows with its question would be trained on, so that no question of ``tune``,
    ``gate`` or ``reserve`` comes in this way, and where nothing of the gates of ``snapshots`` is nearly like
    it.

    Raises:
        InputError: none is left, or the tokenizer does not suit the rows.
    """
    found = check_contract(
        rows,
        contract=_contract(task),
        task=task,
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        splits=splits,
        folder=folder,
        earlier=snapshots,
        progress=progress,
    )
    kept = _write_trained(rows, folder)
    for name in (ACCEPTED, REJECTED):
        (folder / name).unlink()
    leaks = next(rule.broken_rows for rule in found.rules if rule.name == _LEAKS)
    if kept == 0:
        raise InputError.single(
            "training.replay.source",
            expected="rows that can be replayed",
            found=f"none of {found.rows_read:,}: {found.rows_quarantined:,} break a rule ({leaks:,} are "
            "nearly like rows of a gate), and the others ask what belongs to other splits",
            remedy="name a source with more rows, and none of the rows that are held out",
        )
    return ReplayEvidence(
        sources=found.sources,
        notes=found.notes,
        rows_read=found.rows_read,
        rows_broken=found.rows_quarantined,
        rows_like_gate=leaks,
        rows=kept,
        file=table_file(folder / REPLAYED, text_columns(CONTENT_COLUMNS[rows.form])),
    )


def _contract(task: Task) -> Contract:
    shipped = load_contract(None, task)
    single = (check for check in shipped.checks if check.scope is Scope.ROW and not check.whole_table)
    leaks = (check for check in shipped.checks if check.rule == _LEAKS)
    return dataclasses.replace(shipped, checks=(*single, *leaks))


def _write_trained(rows: SourceRows, folder: Path) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    names = ["row_id", *CONTENT_COLUMNS[rows.form], *(name for name, _ in salt_fields())]
    with pq.ParquetFile(folder / ACCEPTED) as accepted:
        batches = accepted.iter_batches(columns=[*names, "split"])
        tables = (pa.Table.from_batches([batch]) for batch in batches)
        trained = (table.filter(pc.equal(table["split"], Split.TRAIN.value)) for table in tables)
        schema = pa.schema([accepted.schema_arrow.field(name) for name in names])
        with parquet_rows(folder / REPLAYED, schema) as file:
            for table in rows_in_order((table.select(names) for table in trained), ["row_id"], folder):
                file.write(table)
    return file.rows
