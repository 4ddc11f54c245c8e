"""The base model's own score: what can be had without training the model.

For an instruction task that is the base model itself, asked the same way. A classifier has no head to
ask, and an untrained random one would be a straw man that any fine-tuning beats. So the baseline of a
classifier is a *linear probe*: logistic regression on the frozen base's mean-pooled hidden states,
fitted on the same training rows, its regularisation chosen on ``tune``. It is the cheapest thing an
engineer would reasonably put into production instead of fine-tuning, and it often comes close.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.progress import Progress, silent
from tasks.training.batching import batches_by_length, pad_batch
from tasks.training.devices import placement
from tasks.training.methods.kinds import Model
from tasks.training.quiet import quiet_libraries

_STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Inverse regularisation strengths tried on ``tune``."""

PROBE_FILE = "probe.safetensors"


@dataclass(frozen=True)
class FittedProbe:
    """What fitting the probe did."""

    inverse_regularisation: float
    tune_accuracy: float
    rows_seen: int


def fit_probe(
    *, base: Path, train: Any, tune: Any, artifact: Path, progress: Progress = silent
) -> FittedProbe:
    """Fits the probe and saves its weights to ``artifact`` as safetensors, with the base untouched.

    ``train`` and ``tune`` are encoded rows with ``input_ids`` and integer ``labels``.
    """
    from safetensors.numpy import save_file
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train_features = embed(base, train, progress=progress, what="embed train")
    tune_features = embed(base, tune, progress=progress, what="embed tune")
    train_labels, tune_labels = np.asarray(train["labels"]), np.asarray(tune["labels"])
    best: tuple[float, float, Any] | None = None
    for strength in _STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1_000))
        model.fit(train_features, train_labels)
        accuracy = float(model.score(tune_features, tune_labels))
        if best is None or accuracy > best[0]:
            best = (accuracy, strength, model)
    assert best is not None
    accuracy, strength, model = best
    scaler, regression = model[0], model[1]
    # Folded into one affine map, so that nothing but two arrays is needed to use it.
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    if len(regression.classes_) == 2:
        weight, bias = np.vstack([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    artifact.mkdir(parents=True, exist_ok=True)
    save_file(
        {
            "weight": np.ascontiguousarray(weight, dtype=np.float64),  # (labels, width)
            "bias": np.ascontiguousarray(bias, dtype=np.float64),  # (labels,)
            "classes": np.asarray(regression.classes_, dtype=np.int64),  # (labels,)
        },
        artifact / PROBE_FILE,
    )
    return FittedProbe(inverse_regularisation=strength, tune_accuracy=accuracy, rows_seen=len(train_labels))


def probe_log_probabilities(
    *, base: Path, artifact: Path, rows: Any, labels: int, progress: Progress = silent
) -> NDArray[np.float64]:
    """Log probabilities of each label, (rows, labels); a label the probe never saw gets -inf's floor."""
    features = embed(base, rows, progress=progress, what="score baseline")
    return apply_probe(read_probe(artifact), features, labels)


def read_probe(artifact: Path) -> dict[str, NDArray[Any]]:
    """What ``fit_probe`` saved: ``weight`` (labels, width), ``bias`` (labels,), ``classes`` (labels,)."""
    from safetensors.numpy import load_file

    tensors: dict[str, NDArray[Any]] = load_file(artifact / PROBE_FILE)
    return tensors


def apply_probe(
    probe: dict[str, NDArray[Any]], features: NDArray[np.float64], labels: int
) -> NDArray[np.float64]:
    """Log probabilities, (rows, labels), of pooled states ``features``, (rows, width)."""
    from scipy.special import log_softmax

    known = log_softmax(features @ probe["weight"].T + probe["bias"], axis=1)
    scores = np.full((len(features), labels), np.log(1e-12))
    scores[:, probe["classes"]] = known
    return scores


def embed(base: Path, rows: Any, *, progress: Progress, what: str) -> NDArray[np.float64]:
    """Mean over each row's tokens of the frozen base's last hidden states, (rows, width)."""
    model = load_encoder(base)
    token_ids = rows["input_ids"]
    features: NDArray[np.float64] | None = None
    done = 0
    for batch in batches_by_length([len(ids) for ids in token_ids]):
        means = mean_states(model, [token_ids[index] for index in batch])
        if features is None:
            features = np.empty((len(token_ids), means.shape[1]))
        features[batch] = means
        done += len(batch)
        progress(done, len(token_ids), what)
    assert features is not None
    return features


def load_encoder(base: Path) -> Model:
    """The base without any head, in float32, on whatever computes here."""
    import torch
    from transformers import AutoModel

    with quiet_libraries():
        return AutoModel.from_pretrained(
            base,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            **placement(),
        ).eval()


def mean_states(model: Model, token_ids: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Mean-pooled last hidden states of one batch, (batch, width)."""
    import torch

    padded = pad_batch(token_ids, pad=0).to(model.device)
    with torch.inference_mode():
        hidden = model(
            input_ids=padded.ids, attention_mask=padded.attention
        ).last_hidden_state  # (batch, tokens, width)
        weights = padded.attention.unsqueeze(-1).to(hidden.dtype)
        means: NDArray[np.float64] = ((hidden * weights).sum(1) / weights.sum(1)).cpu().numpy()
    return means
