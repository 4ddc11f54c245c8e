"""Our forecast and the two usual estimates, each from the configuration alone."""

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.forecasts.configurations import MODELS, Configuration
from data_contracts.records.forecast import Forecast
from tasks.decisions.forecast import Batch, Method, forecast, shape_of
from tasks.decisions.forecast.systems import PROCESSOR

_LABELS = 6


@dataclass(frozen=True)
class Estimates:
    """Bytes that training takes, as others have it."""

    accelerate: int
    sixteen_bytes: int


def forecast_of(configuration: Configuration, folder: Path) -> Forecast:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    classifies = MODELS[configuration.model].task == "classification"
    shape = shape_of(config, labels=_LABELS if classifies else 0)
    assert shape is not None
    return forecast(
        shape,
        Method(configuration.rung, rank=configuration.rank),
        Batch(
            rows=configuration.rows,
            tokens=configuration.tokens,
            accumulated=configuration.accumulated,
            evaluation_rows=min(configuration.tune_rows, Batch.evaluation_rows),
        ),
        PROCESSOR,
    )


def estimates(foreseen: Forecast, folder: Path) -> Estimates:
    """What ``accelerate estimate-memory`` calls "Training using Adam" in float32, and 16 bytes a trained
    parameter beside 4 a frozen one. Accelerate's command asks the hub about a model, so its own functions
    are called for the local one."""
    from accelerate import init_empty_weights
    from accelerate.commands.estimate import estimate_training_usage
    from accelerate.utils import calculate_maximum_sizes
    from transformers import AutoConfig, AutoModel

    with init_empty_weights():
        model = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
    size, _ = calculate_maximum_sizes(model)
    frozen = foreseen.total_parameters - foreseen.trained_parameters
    return Estimates(
        accelerate=int(max(estimate_training_usage(size, "float32").values())),
        sixteen_bytes=16 * foreseen.trained_parameters + 4 * frozen,
    )
