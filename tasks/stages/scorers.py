"""Scores beyond lorafirst's own, as the settings name them: found before training, tried, and computed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.scoring import ScoringSettings
from data_contracts.records.snapshot import Snapshot, Split
from data_contracts.row_salts import COMMITMENT, SALT
from tasks.evidence.environment import package_versions
from tasks.evidence.store import Stored
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings
from tasks.stages.methods import source_digest
from tasks.training.metrics.modules import LoadedModule, ModuleFigures, load_module
from tasks.training.metrics.own import SAMPLE, OwnFunction, find_function
from tasks.training.score import ScoreTable


@dataclass(frozen=True)
class Scorers:
    """What the settings ask for beside lorafirst's own metrics."""

    custom: tuple[OwnFunction, ...]
    report: tuple[LoadedModule, ...]

    def key(self) -> dict[str, object]:
        """What their scores depend on: with another source a function scores anew."""
        if not self.custom and not self.report:
            return {}
        custom = [
            [each.settings.model_dump(mode="json"), source_digest(each.settings.function.partition(":")[0])]
            for each in self.custom
        ]
        report = [[each.settings.model_dump(mode="json"), each.digest] for each in self.report]
        packages = package_versions(("evaluate",)) if report else {}
        return {"custom": custom, "report": report, "packages": packages}

    def added_to(self, table: ScoreTable, snapshot: Stored[Snapshot], split: Split) -> ScoreTable:
        """``table`` with their scores and figures, of the same rows.

        Raises:
            InputError: one of them refuses, or breaks what the settings say of it.
        """
        scores: dict[str, Any] = dict(table.scores)
        corpus = list(table.corpus)
        rows = _rows(snapshot, split) if any(each.wants_rows for each in self.custom) else {}
        for own in self.custom:
            given = [rows.get(row_id, {}) for row_id in table.row_ids]
            scores[own.settings.name] = own.scores(table.answers, table.references, given)
        for module in self.report:
            figures = _figures(module, table, snapshot.record)
            _require_new(figures, {*scores, *(each.name for each in corpus)}, module)
            scores |= figures.per_example
            corpus += figures.corpus
        return replace(table, scores=scores, corpus=tuple(corpus))


def find_scorers(settings: ScoringSettings) -> Scorers:
    """Raises ``InputError`` if one of them cannot be had."""
    return Scorers(
        custom=tuple(find_function(each) for each in settings.custom),
        report=tuple(load_module(each) for each in settings.report),
    )


@task(name="scorers", cache_policy=NO_CACHE)
def try_scorers(context: RunContext, findings: Findings) -> None:
    """Has each function of the user's own score some rows of ``tune`` before anything is trained.

    The answers are the references themselves, and those of other rows.

    Raises:
        InputError: one raises, or gives other than what the settings say of it.
    """
    assert findings.snapshot is not None
    scorers = find_scorers(context.settings.scoring)
    if not scorers.custom:
        return
    rows = list(_rows(findings.snapshot, Split.TUNE).values())[:SAMPLE]
    references = [_reference(row) for row in rows]
    for own in scorers.custom:
        own.scores(references, references, rows)
        own.scores([*references[1:], ""], references, rows)


def _rows(snapshot: Stored[Snapshot], split: Split) -> dict[str, Mapping[str, Any]]:
    """The snapshot's rows by their identity, as a function of the user's own is given them."""
    import pyarrow.parquet as pq

    path = snapshot.folder / snapshot.record.split(split).file.path
    table = pq.read_table(path)
    own = [name for name in table.column_names if name not in (SALT, COMMITMENT)]
    return {row["row_id"]: row for row in table.select(own).to_pylist()}


def _reference(row: Mapping[str, Any]) -> str:
    """What would be the right answer: the label, the completion, or the last turn."""
    for name in ("label", "completion"):
        if row.get(name) is not None:
            return str(row[name])
    turns = row.get("messages")
    return str(turns[-1]["content"]) if turns else ""


def _figures(module: LoadedModule, table: ScoreTable, snapshot: Snapshot) -> ModuleFigures:
    if snapshot.task is not Task.CLASSIFICATION:
        return module.figures(table.answers, table.references)
    number = {label: index for index, label in enumerate(snapshot.labels)}
    return module.figures(
        [number[answer] for answer in table.answers], [number[each] for each in table.references]
    )


def _require_new(figures: ModuleFigures, taken: set[str], module: LoadedModule) -> None:
    names = {*figures.per_example, *(each.name for each in figures.corpus)}
    if clash := sorted(names & taken):
        raise InputError.single(
            f"scoring.report {module.settings.module}",
            expected="figures with names of their own",
            found=f"{', '.join(clash)}, which another metric has",
            remedy="rename the function in scoring.custom, or leave the module out",
        )
