"""What training is expected to take, from the model's configuration alone."""

from tasks.decisions.forecast.architectures import shape_of
from tasks.decisions.forecast.choices import first_that_fits, what_would_fit
from tasks.decisions.forecast.generic import generic_shape
from tasks.decisions.forecast.memory import Batch, System, forecast
from tasks.decisions.forecast.rates import reference_rate
from tasks.decisions.forecast.shapes import Linear, ModelShape
from tasks.decisions.forecast.systems import PROCESSOR, system_for
from tasks.decisions.forecast.trainable import RUNGS, Method
from tasks.decisions.forecast.work import Speed, Timing, ratio_of_steps

__all__ = [
    "PROCESSOR",
    "RUNGS",
    "Batch",
    "Linear",
    "Method",
    "ModelShape",
    "Speed",
    "System",
    "Timing",
    "first_that_fits",
    "forecast",
    "generic_shape",
    "ratio_of_steps",
    "reference_rate",
    "shape_of",
    "system_for",
    "what_would_fit",
]
