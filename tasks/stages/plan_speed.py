"""How fast this machine trains the base of a plan: from earlier trainings, from a probe, or a guess."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from data_contracts.cache import cache_folder
from data_contracts.records.evidence import BaseModelRecord, TrainingEvidence
from data_contracts.records.metrics import Task
from data_contracts.records.settings import PilotSettings, RunSettings, TrainingSettings
from tasks.decisions.forecast import Method, Speed, Timing
from tasks.decisions.forecast.work import UNTIMED_OPERATIONS_PER_SECOND, operations_per_step
from tasks.evidence.store import STORE_FOLDER
from tasks.stages.forecasting import Job

_PROBE_STEPS = 5
"""The first warms up, and after the last the loss on ``tune`` is taken; those between are timed."""


def speed_from_history(settings: RunSettings, job: Job, mean_tokens: float) -> Speed | None:
    """From all trainings of this base in the output folder; ``None`` where there are none.

    Rows are taken to have been as long as they are now.
    """
    known = set(_base_digests(settings))
    operations = processor = clock = 0.0
    for record in _trainings(settings.output):
        if record.base_model not in known or not record.steps:
            continue
        method = Method(
            rung=str(record.rung),
            rank=record.pilot.rank if record.pilot else settings.pilot.rank,
            target_modules=record.pilot.target_modules if record.pilot else "all-linear",
            blocks=record.full.layers if record.full else settings.full.layers,
        )
        rows = record.rows_seen // record.steps
        operations += record.steps * operations_per_step(job.shape, method, rows=rows, tokens=mean_tokens)
        processor += record.cost.cpu_seconds
        clock += record.cost.seconds
    if not processor or not clock:
        return None
    return Speed(operations / processor, processor / clock, Timing.HISTORY)


def untimed() -> Speed:
    return Speed(UNTIMED_OPERATIONS_PER_SECOND, float(os.cpu_count() or 1), Timing.NOT_TIMED)


def speed_from_probe(settings: RunSettings, job: Job, mean_tokens: float, labels: int) -> Speed:
    """Trains a LoRA pilot for a few steps on random tokens, as many a row as the rows have on average.

    What it trains is thrown away. Other rungs' steps follow by their arithmetic, so no permit is needed.
    """
    from tasks.training.base_model import resolve_base_model
    from tasks.training.fit import fit
    from tasks.training.inputs import TrainingInputs
    from tasks.training.loading import Head
    from tasks.training.rungs import PilotRung

    base = resolve_base_model(settings.model.source, cache_folder())
    training, tokens = settings.training, max(2, round(mean_tokens))
    short = TrainingSettings(
        max_steps=_PROBE_STEPS,
        effective_batch_size=training.rows_in_memory,
        micro_batch_size=training.rows_in_memory,
        curve_points=1,
    )
    classifies = settings.task is Task.CLASSIFICATION
    pilot = PilotSettings(rank=settings.pilot.rank, target_modules=settings.pilot.target_modules)
    marks: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="lorafirst-probe-") as scratch:
        fit(
            TrainingInputs(
                base=Path(base.folder),
                base_name=base.source,
                base_digest=base.identity(),
                head=Head(settings.task, tuple(str(n) for n in range(labels)), pad_token_id=0),
                rung=PilotRung(pilot),
                train=_random_rows(base, training.rows_in_memory * _PROBE_STEPS, tokens, classifies, labels),
                tune=_random_rows(base, 1, tokens, classifies, labels),
                tokenizer=_NoTokenizer(),
                training=short,
                learning_rate=1e-6,
                seed=settings.seed,
            ),
            artifact=Path(scratch) / "probe",
            progress=lambda *_: marks.append((time.process_time(), time.monotonic())),
        )
    # The last mark but one: whatever follows the last step is no part of a step.
    (start, begin), (end, finish) = marks[0], marks[_PROBE_STEPS - 2]
    steps = _PROBE_STEPS - 2
    method = Method("lora", rank=pilot.rank, target_modules=pilot.target_modules)
    operations = steps * operations_per_step(
        job.shape, method, rows=training.rows_in_memory, tokens=float(tokens)
    )
    return Speed(operations / (end - start), (end - start) / (finish - begin), Timing.PROBE)


class _NoTokenizer:
    """Random ids need none but its padding."""

    pad_token_id = 0

    def save_pretrained(self, folder: Path) -> None:
        """There is none to save."""


def _random_rows(base: BaseModelRecord, count: int, tokens: int, classifies: bool, labels: int) -> object:
    import datasets
    import numpy as np

    random = np.random.default_rng(0)
    ids = random.integers(1, base.vocabulary, size=(count, tokens)).tolist()
    answers: Sequence[object] = [index % labels for index in range(count)] if classifies else ids
    return datasets.Dataset.from_dict({"input_ids": ids, "labels": answers})


def _trainings(output: Path) -> Iterator[TrainingEvidence]:
    for file in sorted((output / STORE_FOLDER).glob("train-*/evidence.json")):
        try:
            yield TrainingEvidence.as_written(file.read_bytes())
        except (OSError, ValidationError):
            # Of another version, or being written: history is worth having, and never needed.
            continue


def _base_digests(settings: RunSettings) -> Iterator[str]:
    for file in sorted(settings.output.glob("*/base-model.json")):
        try:
            record = BaseModelRecord.as_written(file.read_bytes())
        except (OSError, ValidationError):
            continue
        if record.source == settings.model.source:
            yield record.identity()
