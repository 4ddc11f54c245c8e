"""What the stages measured. Evidence never holds an opinion; gates form one from it."""

from datetime import datetime
from enum import StrEnum

from data_contracts.records.base import Cost, Digest, FileRecord, FolderRecord, Record
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import FullSettings, PilotSettings, Precision, TrainingSettings
from data_contracts.records.snapshot import Split
from data_contracts.records.tables import TableFile


class BaseModelRecord(Record):
    """The model everything starts from, as a local folder of safetensors."""

    source: str
    """As the settings named it."""
    folder: str
    """Where it lies on this machine; not part of its identity."""
    weights: FolderRecord
    """Every file of the folder: weights, configuration, tokenizer."""
    architecture: str
    parameters: int
    layers: int
    width: int
    """Of the hidden states."""
    vocabulary: int
    positions: int | None
    """Tokens it can read at once; ``None`` where its configuration names no limit."""
    converted_from: FileRecord | None
    """The GGUF file it was converted from, if it was."""

    def identity(self) -> str:
        """Digest of the content alone, the same wherever the model lies."""
        return self.weights.digest()

    def tokenizer_digest(self) -> str:
        """Of the files that make the tokenizer alone: models that share them cut texts alike."""
        named = ("token", "vocab", "merges", "special_tokens", "chat_template", "sentencepiece", "spiece")
        own = tuple(file for file in self.weights.files if file.path.rpartition("/")[2].startswith(named))
        return FolderRecord(files=own).digest()


class ArtifactKind(StrEnum):
    """What a training leaves, and the name of the folder it lies in."""

    PROBE = "probe"
    """A classifier's linear probe; the base is needed too."""
    ADAPTER = "adapter"
    """The base is needed too."""
    MODEL = "model"


class CurvePoint(Record):
    """One point of a learning curve; losses in nats."""

    step: int
    train_loss: float | None
    """Mean since the previous point; ``None`` before the first step."""
    tune_loss: float
    learning_rate: float


class Accelerator(Record):
    """An NVIDIA GPU that trains and scores."""

    name: str
    count: int
    """As many of this kind as the process sees."""
    memory_bytes: int
    """Of one."""
    computes_bfloat16: bool
    """In hardware."""


class TrainingConditions(Record):
    """Under what a training took place that its settings and its seed do not say.

    On one processor the same settings, seed, versions and conditions give the same weights bit for bit.
    """

    device: str
    """``cpu`` or ``cuda``."""
    precision: Precision = Precision.FLOAT32
    """Of the matrix products; what was trained is float32."""
    torch_threads: int
    """Of the processor; another number adds up in another order, and the last bits differ."""
    deterministic_algorithms: bool
    """Whether torch was held to algorithms that give the same result every time."""
    processes: int
    """That trained together, on all hosts."""
    sharded: bool
    """Weights, gradients and moments were parted over the processes (FSDP2); else each held all of them."""
    micro_batch_size: int
    """Rows in the memory of each process at once at the end; fewer than asked for where memory ran out."""
    evaluation_batch_size: int
    """Rows at once when the loss on ``tune`` was taken last; fewer than usual where memory ran out."""
    resumed_from_steps: tuple[int, ...]
    """Steps whose checkpoints training went on from, in the order of the interruptions."""
    incidents: tuple[str, ...]
    """What befell it on the way, in sentences: resumptions, damaged or lost checkpoints, memory."""


class SeenTokens(Record):
    """What the tensors of a training held, over all steps."""

    tokens: int
    """Padding left out."""
    padding: int
    """Positions computed that held no token."""
    supervised: int
    """Tokens, or labels of a classification task, that the loss was taken on."""
    supervised_a_pass: int
    """The same of one pass over the data's own rows."""
    replayed_rows: int
    """Rows that were not the data's own."""
    packed: bool
    """Whether the rows of a micro-batch were laid end to end."""
    layout: str
    """Why they were, or were not."""

    @property
    def padding_share(self) -> float:
        """Of all positions computed."""
        return self.padding / max(1, self.tokens + self.padding)

    @property
    def sentence(self) -> str:
        laid = "packed" if self.packed else f"{self.padding_share:.1%} padding"
        return f"{self.supervised:,} of {self.tokens:,} tokens supervised, {laid}"


class TrainingEvidence(Record):
    """How one rung was trained."""

    rung: Rung
    base_model: Digest
    snapshot: Digest
    training: TrainingSettings
    pilot: PilotSettings | None
    """``None`` for what updates base weights."""
    full: FullSettings | None
    """``None`` for a pilot."""
    start: Digest | None
    """Of the adapter that training began with: the run's own pilot, merged, or what a pilot goes on from;
    ``None`` where it began with the base."""
    replay: Digest | None
    """Of the general rows among the data's own; ``None`` where there are none."""
    learning_rate: float
    seed: int
    conditions: TrainingConditions
    steps: int
    """Optimizer steps taken."""
    stopped_early: bool
    """The loss on ``tune`` no longer improved, and the steps that were left were not taken."""
    kept_step: int
    """Whose weights the artifact holds: the last, or with early stopping the best on ``tune``."""
    rows_seen: int
    supervised_tokens: int
    """Tokens (instruction) or labels (classification) that the loss was taken on, over all steps."""
    truncated_rows: int
    """Rows of the training data that were cut to ``max_tokens``."""
    seen: SeenTokens
    trainable_parameters: int
    total_parameters: int
    adapted_modules: tuple[str, ...]
    """Last parts of the names of the layers that carry an adapter; empty for full."""
    curve: tuple[CurvePoint, ...]
    served: ArtifactKind
    """What is loaded to answer: ``adapter`` on the base, or a whole ``model``."""
    artifact: FolderRecord
    """Of the folder named after ``served``."""
    permit: Digest | None
    """The permit that allowed base weights to change; ``None`` where they stayed frozen."""
    cost: Cost
    """With what was spent before interruptions, as far as a checkpoint knew of it."""

    @property
    def kept_tune_loss(self) -> float:
        """Loss on ``tune`` of the weights that were kept, in nats."""
        return next(point.tune_loss for point in self.curve if point.step == self.kept_step)


class BaselineEvidence(Record):
    """How a classifier's baseline was fitted: a linear probe on the frozen base."""

    base_model: Digest
    snapshot: Digest
    inverse_regularisation: float
    """Chosen on ``tune``."""
    tune_accuracy: float
    rows_seen: int
    artifact: FolderRecord
    cost: Cost


class MetricValue(Record):
    """A mean over rows (``per_example``), or a corpus figure that no gate may use."""

    name: str
    value: float
    per_example: bool


class ScoringEvidence(Record):
    """One scoring of one artifact, loaded as it would be served, on one split."""

    rung: Rung
    artifact: Digest
    snapshot: Digest
    split: Split
    rows: int
    metrics: tuple[MetricValue, ...]
    scores: TableFile
    """Parquet: ``row_id``, a column per metric, the answer, and the row's name in the snapshot."""
    method: str
    """How this rung was asked, in a sentence."""
    cost: Cost

    def metric(self, name: str) -> float:
        return next(metric.value for metric in self.metrics if metric.name == name)


class Environment(Record):
    """Where a run took place."""

    python: str
    platform: str
    processor: str
    processor_count: int
    memory_bytes: int
    packages: dict[str, str]
    accelerator: Accelerator | None = None
    """``None`` where the processor trained."""
    code: Digest
    """Of lorafirst's own source."""
    commit: str | None = None
    """Of the checkout that the source lies in; ``None`` for an installed package."""
    commit_is_clean: bool | None = None
    """Whether nothing in that checkout differs from the commit."""


class RunRequest(Record):
    """What was asked, by whom, and where it was carried out."""

    run_id: str
    settings: dict[str, object]
    """The whole settings, defaults filled in."""
    settings_digest: Digest
    requested_by: str
    requested_at: datetime
    environment: Environment


class TextMeasure(Record):
    """How well a model predicts some text, and how finely its tokenizer cuts it."""

    rows: int
    tokens: int
    """Predicted ones: special tokens, prompts and a text's first token are left out."""
    utf8_bytes: int
    """Length of their text."""
    tokens_per_word: float
    """Words stand between white space. Many tokens a word: the tokenizer has not seen such words."""
    nats_per_token: float | None
    """Mean loss over tokens; ``None`` for a model without a language-modelling head."""
    bits_per_byte: float | None
    """The same loss per byte of text, in which models with different tokenizers compare."""


class DomainDistance(Record):
    """The bare base on the data, beside the same on general text. Reported; no gate asks for it."""

    data: TextMeasure
    """Answers given their prompts, or the texts to be classified."""
    general: TextMeasure
    """Sentences on everyday matters."""
    general_text: Digest
    """Of the file of these sentences."""
    loss_undefined: str | None
    """Why there is no loss; ``None`` where there is one."""

    @property
    def extra_bits_per_byte(self) -> float | None:
        """By how much the data is harder to predict than general text; below 0 where it is easier."""
        if self.data.bits_per_byte is None or self.general.bits_per_byte is None:
            return None
        return self.data.bits_per_byte - self.general.bits_per_byte

    @property
    def relative_fertility(self) -> float:
        """Tokens a word on the data over tokens a word on general text."""
        return self.data.tokens_per_word / self.general.tokens_per_word

    @property
    def summary(self) -> str:
        """Both figures in a few words."""
        if self.data.bits_per_byte is not None and self.general.bits_per_byte is not None:
            return f"{self.data.bits_per_byte:.2f} bits a byte, general text {self.general.bits_per_byte:.2f}"
        return (
            f"{self.data.tokens_per_word:.2f} tokens a word, general text {self.general.tokens_per_word:.2f}"
        )

    @property
    def sentence(self) -> str:
        extra = self.extra_bits_per_byte
        if extra is None:
            return (
                f"{self.loss_undefined}; its tokenizer takes {self.relative_fertility:.2f} times as many "
                "tokens a word on this data as on general text."
            )
        compared = "more" if extra >= 0 else "fewer"
        return f"The bare base needs {abs(extra):.2f} bits a byte {compared} for this data than general text."


class ServingCost(Record):
    """What one answer takes at batch size one, on the machine and the threads that measured it."""

    rows: int
    """Answers timed, after one that was not."""
    median_seconds: float
    """From token ids to the answer; loading and tokenising are left out."""
    percentile_95_seconds: float
    """The smallest measured time that at least 95 % of the answers stayed within."""
    tokens_per_answer: float | None
    """Mean of the tokens generated, the end of sequence included; ``None`` for a classifier."""
    artifact_bytes: int
    """Of all files of the artifact's folder; 0 for the bare base."""
    base_bytes: int
    """Of the base's folder on disk, which must be there too; 0 where the artifact stands alone."""
    on_base: bool
    """The artifact is an adapter, or a probe, and of no use without the base."""
    device: str
    threads: int
    """Of the processor, that torch was allowed."""


class GeneralLosses(Record):
    """How well one artifact still predicts the general text, sentence by sentence."""

    artifact: Digest
    nats_per_token: tuple[float, ...]
    """In the order of the sentences."""
