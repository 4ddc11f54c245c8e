"""What the stages measured. Evidence never holds an opinion; gates form one from it."""

from datetime import datetime
from enum import StrEnum

from data_contracts.records.base import Cost, Digest, FileRecord, FolderRecord, Record
from data_contracts.records.settings import PilotSettings, TrainingSettings
from data_contracts.records.snapshot import Split


class Rung(StrEnum):
    """One training method on the ladder. The base model is rung zero: nothing of it was trained."""

    BASELINE = "baseline"
    LORA = "lora"
    QLORA = "qlora"
    FULL = "full"


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
    converted_from: FileRecord | None
    """The GGUF file it was converted from, if it was."""

    def identity(self) -> str:
        """Digest of the content alone, the same wherever the model lies."""
        return self.weights.digest()


class CurvePoint(Record):
    """One point of a learning curve; losses in nats."""

    step: int
    train_loss: float | None
    """Mean since the previous point; ``None`` before the first step."""
    tune_loss: float
    learning_rate: float


class TrainingEvidence(Record):
    """How one rung was trained."""

    rung: Rung
    base_model: Digest
    snapshot: Digest
    training: TrainingSettings
    pilot: PilotSettings | None
    """``None`` for full fine-tuning."""
    learning_rate: float
    seed: int
    steps: int
    rows_seen: int
    supervised_tokens: int
    """Tokens (instruction) or labels (classification) that the loss was taken on, over all steps."""
    truncated_rows: int
    trainable_parameters: int
    total_parameters: int
    adapted_modules: tuple[str, ...]
    """Last parts of the names of the layers that carry an adapter; empty for full."""
    curve: tuple[CurvePoint, ...]
    artifact: FolderRecord
    permit: Digest | None
    """The permit that allowed base weights to change; ``None`` where they stayed frozen."""
    cost: Cost


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
    scores: FileRecord
    """Parquet: ``row_id``, a column per metric, and the answer."""
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
    code: Digest
    """Of lorafirst's own source."""


class RunRequest(Record):
    """What was asked, by whom, and where it was carried out."""

    run_id: str
    settings: dict[str, object]
    """The whole settings, defaults filled in."""
    settings_digest: Digest
    requested_by: str
    requested_at: datetime
    environment: Environment
