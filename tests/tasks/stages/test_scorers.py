"""Scores beyond lorafirst's own join the table, and what they depend on is known."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import InputError
from data_contracts.records.scoring import ReportedModule, ScoringSettings
from data_contracts.records.snapshot import Split
from tasks.evidence.environment import code_digest
from tasks.stages.scorers import Scorers, find_scorers
from tasks.training.metrics.modules import LoadedModule
from tasks.training.metrics.own import find_function
from tasks.training.score import ScoreTable

SOURCE = "def weight(answers, references, rows):\n    return [row['weight'] for row in rows]\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "weighing"
    folder.mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "tables.py").write_text("", encoding="utf-8")
    (folder / "scores.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "weighing"]:
        del sys.modules[name]
    code_digest.cache_clear()


def asked() -> ScoringSettings:
    own = {"name": "weight", "function": "weighing.scores:weight", "higher_is_better": True}
    return ScoringSettings.model_validate({"custom": [own]})


def test_the_key_follows_the_whole_package_of_a_function(package: Path) -> None:
    keys = [find_scorers(asked()).key()]
    for name in ("scores.py", "tables.py"):
        code_digest.cache_clear()
        assert find_scorers(asked()).key() == keys[-1]
        with (package / name).open("a", encoding="utf-8") as file:
            file.write("# another version\n")
        code_digest.cache_clear()
        keys.append(find_scorers(asked()).key())
    assert len({str(key) for key in keys}) == 3
    assert find_scorers(ScoringSettings()).key() == {}


class Snapshot:
    """Just what scorers read of a stored snapshot."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.record = folder, self
        self.file, self.path = self, "tune.parquet"

    def split(self, split: Split) -> "Snapshot":
        return self


TABLE = ScoreTable(
    row_ids=("b", "a"),
    scores={"exact_match": np.array([1.0, 0.0])},
    answers=("x", "y"),
    references=("x", "z"),
    corpus=(),
)


def test_a_function_gets_each_row_beside_its_own_answer(package: Path, tmp_path: Path) -> None:
    rows: dict[str, Any] = {"row_id": ["a", "b"], "prompt": ["q", "r"], "weight": ["0.25", "0.75"]}
    pq.write_table(pa.table(rows), tmp_path / "tune.parquet")
    table = find_scorers(asked()).added_to(TABLE, Snapshot(tmp_path), Split.TUNE)  # type: ignore[arg-type]
    assert table.scores["weight"].tolist() == [0.75, 0.25]
    assert list(table.scores) == ["exact_match", "weight"]


class Module:
    """A module of evaluate that says one figure."""

    _hash = "0"

    def compute(self, **_: Any) -> dict[str, float]:
        return {"weight": 2.0}


def test_a_figure_never_takes_the_place_of_another(package: Path, tmp_path: Path) -> None:
    module = LoadedModule(ReportedModule(module="weight.py"), Module())
    pq.write_table(pa.table({"row_id": ["a", "b"], "weight": [0.0, 1.0]}), tmp_path / "tune.parquet")
    stored: Any = Snapshot(tmp_path)
    stored.task = None
    alone = Scorers((), (module,)).added_to(TABLE, stored, Split.TUNE)
    assert [(each.name, each.value, each.per_example) for each in alone.corpus] == [("weight", 2.0, False)]
    both = Scorers((find_function(asked().custom[0]),), (module,))
    with pytest.raises(InputError, match="which another metric has"):
        both.added_to(TABLE, stored, Split.TUNE)
