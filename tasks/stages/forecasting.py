"""The one forecast that ``lorafirst plan``, the fit gate and the escalation gate make."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError
from data_contracts.records.evidence import TrainingEvidence
from data_contracts.records.forecast import Forecast
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import PilotSettings, RunSettings
from data_contracts.records.snapshot import Split
from tasks.decisions.forecast import (
    RUNGS,
    Batch,
    Linear,
    Method,
    ModelShape,
    System,
    forecast,
    generic_shape,
    ratio_of_steps,
    shape_of,
    system_for,
)
from tasks.training.devices import accelerator, precision_here


@dataclass(frozen=True)
class Job:
    """What is to be trained, as far as a forecast asks."""

    shape: ModelShape
    batch: Batch
    system: System
    exact: bool
    """Whether the arithmetic of this architecture is known; otherwise it was built without weights."""

    def of(self, method: Method) -> Forecast:
        return forecast(self.shape, method, self.batch, self.system)


def job_of(
    settings: RunSettings,
    config: Mapping[str, Any],
    *,
    labels: int,
    longest: int | None = None,
    longest_tune: int | None = None,
) -> Job:
    """The job that these settings ask for.

    Args:
        config: the base model's ``config.json``.
        labels: of a classifier; 0 for a model that generates.
        longest: tokens of the longest row trained on; unset, as many as the settings allow.
        longest_tune: of the longest row of ``tune``.

    Raises:
        InputError: neither the arithmetic here nor transformers knows the architecture.
    """
    try:
        shape = shape_of(config, labels=labels)
    except ValueError as error:
        raise _incomplete(settings, error) from error
    exact = shape is not None
    if shape is None:
        shape = _built(settings, config, labels)
    training = settings.training
    return Job(
        shape=shape,
        batch=Batch(
            rows=training.rows_in_memory,
            tokens=longest or settings.model.max_tokens,
            accumulated=training.effective_batch_size // training.rows_in_memory,
            evaluation_tokens=longest_tune,
        ),
        system=_system_here(settings, config),
        exact=exact,
    )


def _system_here(settings: RunSettings, config: Mapping[str, Any]) -> System:
    precision = precision_here(settings.model.precision)
    return system_for(config, on_gpu=accelerator() is not None, precision=precision.value)


def longest_row(rows: Path, split: Split, max_tokens: int) -> int | None:
    """Tokens of the longest row of one split, as training cuts it; ``None`` for no rows.

    Args:
        rows: the contract stage's accepted rows, which have their lengths; the snapshot's have not.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    lengths = pq.read_table(rows, columns=["tokens"], filters=[("split", "=", split.value)])["tokens"]
    longest = pc.max(lengths).as_py()
    return None if longest is None else min(int(longest), max_tokens)


def pilot_method(settings: RunSettings, rung: str) -> Method:
    """The rung as these settings would set it; one of an installed package counts as LoRA of its rank."""
    return Method(
        rung=str(rung) if rung in RUNGS else str(Rung.LORA),
        rank=settings.pilot.rank,
        target_modules=settings.pilot.target_modules,
        blocks=settings.full.layers,
    )


def pilot_candidates(settings: RunSettings) -> tuple[Method, ...]:
    """What the fit gate chooses from, in this order: what was asked for, then QLoRA."""
    return tuple(pilot_method(settings, name) for name in dict.fromkeys((settings.pilot.method, "qlora")))


def escalated_method(settings: RunSettings) -> Method:
    """What follows a permit; a method of an installed package may train as much as full fine-tuning."""
    method = settings.full.method
    return pilot_method(settings, method if method in RUNGS else Rung.FULL)


def hours_of_full(
    job: Job, settings: RunSettings, pilot: PilotSettings, timed: TrainingEvidence, *, steps: int
) -> float:
    """Processor hours that ``steps`` steps after a permit will take, from a pilot that was timed.

    The pilot's processor seconds a step, times the ratio of the two steps' arithmetic.
    """
    before = replace(
        pilot_method(settings, pilot.method), rank=pilot.rank, target_modules=pilot.target_modules
    )
    rows = settings.training.effective_batch_size
    ratio = ratio_of_steps(
        job.shape, escalated_method(settings), before, rows=rows, tokens=float(job.batch.tokens)
    )
    return ratio * timed.cost.cpu_seconds / max(1, timed.steps) * steps / 3600.0


def _built(settings: RunSettings, config: Mapping[str, Any], labels: int) -> ModelShape:
    from tasks.training.skeleton import skeleton_of

    skeleton = skeleton_of(config, labels=labels, source=settings.model.source)
    output = skeleton.output
    return generic_shape(
        str(config.get("model_type")),
        [
            Linear(each.name, each.inputs, each.outputs, each.bias, quantisable=each.quantisable)
            for each in skeleton.linears
        ],
        output=None if output is None else Linear(output.name, output.inputs, output.outputs, output.bias),
        tied=skeleton.tied,
        parameters=skeleton.parameters,
        embeddings=skeleton.embeddings,
        width=int(config.get("hidden_size") or skeleton.linears[0].inputs),
        vocabulary=int(config.get("vocab_size") or 0),
    )


def _incomplete(settings: RunSettings, error: ValueError) -> InputError:
    return InputError.single(
        f"model.source {settings.model.source}, config.json",
        expected="every number that its model type needs",
        found=str(error),
        remedy="check the file, or choose another model",
    )
