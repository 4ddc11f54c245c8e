"""lorafirst's metrics as a module of Hugging Face's ``evaluate``, which needs no network.

``evaluate.load(str(SCRIPT), "rouge_l")`` and ``LorafirstMetric("rouge_l")`` give the same object. The
pipeline itself calls the functions under it, because importing ``evaluate`` takes seconds.
"""

from pathlib import Path
from typing import Any

import datasets
import evaluate
import numpy as np

from data_contracts.records.metrics import METRICS, REPORTED
from tasks.training.metrics.catalogue import OF_CORPUS, PER_EXAMPLE, Inputs, OfCorpus, PerExample

SCRIPT = Path(__file__)
"""What ``evaluate.load`` takes."""


_SENTENCES = {
    **{name: metric.sentence for name, metric in METRICS.items()},
    **{name: figure.sentence for name, figure in REPORTED.items()},
}


def _features(inputs: Inputs) -> datasets.Features:
    number, real = datasets.Value("int64"), datasets.Value("float64")
    predictions, references = {
        Inputs.TEXTS: (datasets.Value("string"), datasets.Value("string")),
        Inputs.LABELS: (number, number),
        Inputs.PROBABILITIES: (datasets.Sequence(real), number),
        Inputs.LOSSES: (real, number),
    }[inputs]
    return datasets.Features({"predictions": predictions, "references": references})


# The only class here: `evaluate` takes the first that it finds in a script.
class LorafirstMetric(evaluate.Metric):  # type: ignore[misc]
    """One metric of lorafirst, named by ``config_name``.

    ``compute`` gives the mean under the metric's name and, where there is a value for each row, these as a
    list under the name and ``_per_example``.

    Raises:
        ValueError: there is no metric of that name.
    """

    def _info(self) -> evaluate.MetricInfo:
        known: dict[str, PerExample | OfCorpus] = {**PER_EXAMPLE, **OF_CORPUS}
        if self.config_name not in known:
            raise ValueError(f"no metric {self.config_name!r}; name one of {', '.join(known)}")
        inputs = known[self.config_name].inputs
        return evaluate.MetricInfo(
            description=_SENTENCES[self.config_name],
            citation="",
            inputs_description=str(Inputs.__doc__) + f" Here: {inputs.value}.",
            features=_features(inputs),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        name = self.config_name
        if name in OF_CORPUS:
            return {name: OF_CORPUS[name].figure(predictions, references)}
        values = PER_EXAMPLE[name].scores(predictions, references)
        return {name: float(np.mean(values)), f"{name}_per_example": values.tolist()}
