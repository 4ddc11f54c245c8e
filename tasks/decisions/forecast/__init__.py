"""What training is expected to take, from the model's configuration alone."""

from tasks.decisions.forecast.architectures import shape_of
from tasks.decisions.forecast.memory import Batch, System, forecast
from tasks.decisions.forecast.rates import reference_rate
from tasks.decisions.forecast.shapes import ModelShape
from tasks.decisions.forecast.trainable import Method

__all__ = ["Batch", "Method", "ModelShape", "System", "forecast", "reference_rate", "shape_of"]
