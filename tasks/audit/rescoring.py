"""Asking the artifacts of a dossier again: do they answer as its scores say?"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_contracts.cache import cache_folder
from data_contracts.errors import one_line
from data_contracts.records.evidence import ArtifactKind, ScoringEvidence
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import Precision, RunSettings
from data_contracts.records.snapshot import Snapshot
from data_contracts.records.verification import Check, CheckResult, FoundFault, Verification
from tasks.audit.verify.held import UNREADABLE, Held, hold
from tasks.audit.verify.verifying import RESCORES
from tasks.data.tokens.tokenization import encode_split, load_tokenizer
from tasks.evidence.dossier import Dossier
from tasks.evidence.scores import SCORES_FILE
from tasks.training.base_model import resolve_base_model
from tasks.training.loading import Head
from tasks.training.quiet import quiet_libraries
from tasks.training.score import score

_TOLERANCES = {Precision.AUTO: 1e-3, Precision.FLOAT32: 1e-3, Precision.BFLOAT16: 0.1}
"""Of a loss in nats, or a probability: another processor or version of torch rounds otherwise, and in
bfloat16, of which a value has three decimal digits, much more so."""
_COMPARED = ("right_label_probability", "completion_loss", "nats_per_token")
"""Columns that come from the model and from nothing else."""


@dataclass(frozen=True)
class _Asked:
    """One scoring that is asked again."""

    name: str
    record: ScoringEvidence
    artifact: Path | None


@dataclass(frozen=True)
class _Answers:
    """What an artifact gave for the chosen rows."""

    row_ids: tuple[str, ...]
    columns: Mapping[str, NDArray[np.float64]]


def rescore_dossier(
    verification: Verification,
    folder: Path,
    *,
    rows: int,
    progress: Callable[[Check], None] = lambda check: None,
) -> Verification:
    """``verification`` with ``rows`` rows of each scoring that a gate looked at asked again.

    The rows are drawn anew each time, so that nobody can prepare for them.
    """
    progress(Check.RESCORING)
    held = hold(Dossier(folder))
    if held.redaction is not None:
        note = "the texts to ask with were removed from this dossier"
        skipped = CheckResult(check=Check.RESCORING, looked_at=0, note=note, faults=())
        return verification.model_copy(update={"checks": (*verification.checks, skipped)})
    faults: list[FoundFault] = []
    asked: list[_Asked] = []
    try:
        asked = list(_asked(held))
        for each in asked:
            faults.extend(_again(held, each, rows))
    except UNREADABLE as error:
        faults.append(_fault("the check", f"it could not be carried out to its end: {one_line(error)}"))
    result = CheckResult(
        check=Check.RESCORING, looked_at=len(asked), note=f"{rows} rows each", faults=tuple(faults)
    )
    return verification.model_copy(
        update={
            "checks": (*verification.checks, result),
            "not_proven": tuple(each for each in verification.not_proven if each != RESCORES),
        }
    )


def _asked(held: Held) -> Iterator[_Asked]:
    """Scorings of rows that gates look at, but for a base that was shown examples."""
    judged = {digest for each in held.decisions if each.decision.look for digest in each.decision.evidence}
    for name, record in held.scorings.items():
        folder = name.rpartition("/")[0]
        training = held.trainings.get(folder)
        if record.digest() not in judged or folder.startswith("baseline-"):
            continue
        if training is not None:
            yield _Asked(name, record, held.folder / folder / training.served)
        else:
            probe = held.folder / "baseline" / ArtifactKind.PROBE
            yield _Asked(name, record, probe if probe.is_dir() else None)


def _again(held: Held, asked: _Asked, count: int) -> Iterator[FoundFault]:
    settings, snapshot = held.settings, held.snapshot
    if settings is None or snapshot is None or held.base is None:
        yield _fault(asked.name, "settings, snapshot or base of the dossier cannot be read")
        return
    base = resolve_base_model(settings.model.source, cache_folder())
    if base.identity() != held.base.identity():
        yield _fault(asked.name, f"{settings.model.source} is another base here: {base.identity()}")
        return
    path = held.folder / asked.name / SCORES_FILE
    stored = pq.read_table(path).to_pylist()
    chosen = sorted(random.SystemRandom().sample(range(len(stored)), min(count, len(stored))))
    found = _scored(Path(base.folder), settings, snapshot, asked, chosen, held)
    for number, index in enumerate(chosen):
        due = stored[index]
        if found.row_ids[number] != due["row_id"]:
            yield _fault(f"{asked.name}/{SCORES_FILE}", "its rows are others than the snapshot's")
            return
        for name in (name for name in _COMPARED if name in due and name in found.columns):
            given, told = float(found.columns[name][number]), float(due[name])
            if abs(given - told) > _TOLERANCES[settings.model.precision]:
                what = f"the artifact gives {name} {given:.4g}, and the file says {told:.4g}"
                yield _fault(f"{asked.name}/{SCORES_FILE}", f"row {due['row_id']}: {what}")


def _scored(
    base: Path,
    settings: RunSettings,
    snapshot: Snapshot,
    asked: _Asked,
    chosen: list[int],
    held: Held,
) -> _Answers:
    tokenizer = load_tokenizer(base)
    encoded = encode_split(
        held.folder / "snapshot" / snapshot.split(asked.record.split).file.path,
        task=snapshot.task,
        tokenizer=tokenizer,
        max_tokens=settings.model.max_tokens,
        labels=snapshot.labels,
    )
    if snapshot.task is not Task.COMPLETION:
        encoded = encoded.select(chosen)
    with quiet_libraries():
        table = score(
            base=base,
            artifact=asked.artifact,
            rung=Rung(asked.record.rung),
            head=Head(snapshot.task, snapshot.labels, tokenizer.pad_token_id, settings.model.precision),
            rows=encoded,
            tokenizer=tokenizer,
            generation=settings.generation,
        )
    picked = chosen if snapshot.task is Task.COMPLETION else list(range(len(chosen)))
    columns = {**table.scores, **table.details}
    return _Answers(
        tuple(table.row_ids[index] for index in picked),
        {name: np.asarray(values, dtype=np.float64)[picked] for name, values in columns.items()},
    )


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.RESCORING, where=where, what=what)
