"""Runs the contract stage over rows, and says which rows it named for which rule."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from benchmarks.faults.planting import Rows
from benchmarks.faults.strict import STATISTICAL, strict_contract
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataSettings, SplitSettings
from data_contracts.records.snapshot import ContractEvidence
from tasks.data.checking.contract import REJECTED, check_contract, parse_contract
from tasks.data.likeness.earlier import EarlierSnapshots
from tasks.data.reading.sources import read_rows
from tasks.data.rows.columns import Form
from tasks.data.snapshot.freezing import freeze_snapshot

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_NO_COLUMNS = ColumnSettings()


@dataclass(frozen=True)
class Named:
    """What a check named."""

    rows: Mapping[str, frozenset[int]]
    """Rule to the positions, from 0, of the rows that it put aside."""
    broken: frozenset[str]
    """Every rule that does not hold, rules about the whole table included."""


@dataclass(frozen=True)
class Checker:
    """One form of rows, and what they are checked with."""

    form: Form
    tokenizer: "PreTrainedTokenizerBase"
    max_tokens: int
    columns: ColumnSettings = _NO_COLUMNS
    without: frozenset[str] = STATISTICAL
    earlier: EarlierSnapshots | None = None

    @property
    def task(self) -> Task:
        return Task.CLASSIFICATION if self.form is Form.CLASSIFICATION else Task.INSTRUCTION

    def __call__(self, rows: Rows) -> Named:
        """The rows by the rules that they break."""
        with tempfile.TemporaryDirectory(prefix="lorafirst-faults-") as temporary:
            folder = Path(temporary)
            evidence = self._check(rows, folder)
            broken = frozenset(rule.name for rule in evidence.rules if not rule.passed)
            return Named(_by_rule(folder / REJECTED), broken)

    def freeze(self, rows: Rows, folder: Path) -> None:
        """Writes a snapshot of the accepted rows into ``folder``."""
        with tempfile.TemporaryDirectory(prefix="lorafirst-faults-") as checked:
            freeze_snapshot(Path(checked), self._check(rows, Path(checked)), folder)

    def _check(self, rows: Rows, folder: Path) -> ContractEvidence:
        source = folder / "rows.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return check_contract(
            read_rows(DataSettings(source=str(source), columns=self.columns), self.task),
            contract=parse_contract(strict_contract(self.form, without=self.without), "strict", self.task),
            task=self.task,
            tokenizer=self.tokenizer,
            max_tokens=self.max_tokens,
            splits=SplitSettings(),
            folder=folder,
            earlier=self.earlier,
        )


def _by_rule(path: Path) -> dict[str, frozenset[int]]:
    table = pq.read_table(path, columns=["source_row", "rules"])
    found: dict[str, set[int]] = defaultdict(set)
    for row, rules in zip(table["source_row"].to_pylist(), table["rules"].to_pylist(), strict=True):
        for rule in rules.split("; "):
            found[rule].add(row - 1)
    return {rule: frozenset(rows) for rule, rows in found.items()}
