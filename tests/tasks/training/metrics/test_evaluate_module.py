"""Every metric can be loaded as a module of evaluate without a network, and says the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.errors import InputError
from data_contracts.records.scoring import ReportedModule
from tasks.training.metrics.catalogue import OF_CORPUS, PER_EXAMPLE, Inputs
from tasks.training.metrics.modules import load_module

LOGS = np.log([[0.7, 0.3], [0.4, 0.6], [0.2, 0.8]])
GIVEN: dict[Inputs, tuple[Any, Any]] = {
    Inputs.TEXTS: (["a cat", "no"], ["a dog", "no"]),
    Inputs.LABELS: ([0, 1, 1], [0, 1, 0]),
    Inputs.PROBABILITIES: (LOGS.tolist(), [0, 0, 1]),
    Inputs.LOSSES: ([1.0, 2.0], [3, 4]),
}

OWN = """
import datasets
import evaluate


class Lengths(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="", citation="", inputs_description="",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions, references, factor=1):
        longer = [factor * (len(a) - len(b)) for a, b in zip(predictions, references)]
        return {"mean": sum(longer) / len(longer), "each": longer, "note": "in characters"}
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PER_EXAMPLE, *OF_CORPUS])
def test_a_module_says_what_the_function_says(name: str, tmp_path: Path) -> None:
    import evaluate

    from tasks.training.metrics.evaluate_module import SCRIPT, LorafirstMetric

    metric = {**PER_EXAMPLE, **OF_CORPUS}[name]
    predictions, references = GIVEN[metric.inputs]
    loaded = evaluate.load(str(SCRIPT), name, cache_dir=str(tmp_path))
    by_class = LorafirstMetric(name, cache_dir=str(tmp_path))
    found = loaded.compute(predictions=predictions, references=references)
    assert found == by_class.compute(predictions=predictions, references=references)
    if name in OF_CORPUS:
        assert found == {name: pytest.approx(OF_CORPUS[name].figure(predictions, references))}
    else:
        expected = PER_EXAMPLE[name].scores(predictions, references)
        assert found[f"{name}_per_example"] == pytest.approx(expected.tolist())
        assert found[name] == pytest.approx(float(expected.mean()))


@pytest.mark.slow
def test_a_name_that_is_none_is_refused() -> None:
    from tasks.training.metrics.evaluate_module import LorafirstMetric

    with pytest.raises(ValueError, match="rouge_l"):
        LorafirstMetric("rouge")


@pytest.mark.slow
def test_a_local_script_reports_its_figures(tmp_path: Path) -> None:
    script = tmp_path / "lengths.py"
    script.write_text(OWN, encoding="utf-8")
    module = load_module(ReportedModule(module=str(script), options={"factor": 2}))
    found = module.figures(["abc", "a"], ["ab", "abcd"])
    assert {each.name: each.value for each in found.corpus} == {"lengths_mean": -2.0}
    assert {name: values.tolist() for name, values in found.per_example.items()} == {
        "lengths_each": [2.0, -6.0]
    }
    with pytest.raises(InputError, match="set its options"):
        load_module(ReportedModule(module=str(script), options={"fctor": 2})).figures(["a"], ["b"])


@pytest.mark.slow
def test_a_hub_metric_is_refused_at_once_without_a_hub(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set, and no copy of it is here"):
        load_module(ReportedModule(module="hub:no_such_metric_anywhere"))
    with pytest.raises(InputError, match="no such file"):
        load_module(ReportedModule(module=str(tmp_path / "absent.py")))


@pytest.mark.slow
def test_a_script_without_a_metric_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "empty_script.py"
    script.write_text("import evaluate\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"subclass of evaluate\.Metric"):
        load_module(ReportedModule(module=str(script)))


def test_the_pipeline_does_not_pay_for_evaluate() -> None:
    import subprocess
    import sys

    asked = "import sys, tasks.training.score, tasks.stages.scoring; sys.exit('evaluate' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
