"""Modules of ``evaluate`` that the settings name: from a hub when there is one, or from a local script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InputError
from data_contracts.records.evidence import MetricValue
from data_contracts.records.scoring import HUB, ReportedModule


@dataclass(frozen=True)
class ModuleFigures:
    """What one module found."""

    corpus: tuple[MetricValue, ...] = ()
    per_example: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """(rows,) each, where the module gave a list with a number for each row."""


@dataclass(frozen=True)
class LoadedModule:
    """A module of ``evaluate``, ready to compute."""

    settings: ReportedModule
    module: Any

    @property
    def digest(self) -> str:
        """Of its script, as ``evaluate`` takes it."""
        return str(self.module._hash)

    def figures(self, answers: Sequence[object], references: Sequence[object]) -> ModuleFigures:
        """Raises ``InputError`` if the module refuses the answers or gives no numbers."""
        try:
            result = self.module.compute(
                predictions=list(answers), references=list(references), **self.settings.options
            )
            found = dict(result)
        except Exception as error:
            raise _refused(
                self.settings,
                "a module that takes answers and references",
                f"{type(error).__name__}: {str(error)[:300]}",
                "set its options, or leave it out",
            ) from error
        return _sorted_out(self.settings.name, found, len(answers))


def load_module(settings: ReportedModule) -> LoadedModule:
    """Downloads and runs code where ``settings`` name a hub; nothing is asked of a network otherwise.

    Raises:
        InputError: no such module, or a hub's where the environment is offline and has no copy of it.
    """
    name, _, revision = settings.module.removeprefix(HUB).partition("@")
    from_hub = settings.module.startswith(HUB)
    if not from_hub and not Path(name).is_file():
        raise _refused(settings, "a script that is there", "no such file", "check the path")
    try:
        module = _load(name, revision or None)
    except Exception as error:
        said = f"{type(error).__name__}: {str(error)[:300]}"
        if from_hub:
            raise _refused(
                settings,
                "a metric that the hub has, or that was downloaded before",
                "HF_HUB_OFFLINE is set, and no copy of it is here" if _offline() else said,
                "check its name and the network, or name a local script, or a function in scoring.custom",
            ) from error
        raise _refused(
            settings,
            "a script that evaluate can load",
            said,
            "it needs a subclass of evaluate.Metric, and whatever it imports must be installed",
        ) from error
    return LoadedModule(settings, module)


def _offline() -> bool:
    from huggingface_hub.constants import HF_HUB_OFFLINE

    return bool(HF_HUB_OFFLINE)


@cache
def _load(name: str, revision: str | None) -> Any:
    import evaluate

    if _offline():
        # `evaluate` has a switch of its own, and without it waits for a network that is not there.
        evaluate.config.HF_EVALUATE_OFFLINE = True
    return evaluate.load(name, revision=revision)


def _sorted_out(name: str, found: Mapping[str, Any], rows: int) -> ModuleFigures:
    corpus, per_example = [], {}
    for key, value in found.items():
        column = name if key == name else f"{name}_{key}"
        if isinstance(value, list | tuple | np.ndarray) and len(value) == rows:
            try:
                values = np.asarray(value, dtype=np.float64)
            except (TypeError, ValueError):
                continue
            if values.ndim == 1 and np.isfinite(values).all():
                per_example[column] = values
        elif isinstance(value, int | float | np.number) and np.isfinite(value):
            corpus.append(MetricValue(name=column, value=float(value), per_example=False))
    return ModuleFigures(tuple(corpus), per_example)


def _refused(settings: ReportedModule, expected: str, found: str, remedy: str) -> InputError:
    where = f"scoring.report {settings.module}"
    return InputError.single(where, expected=expected, found=found, remedy=remedy)
