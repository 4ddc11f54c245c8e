"""Which methods a model allows, found out before a weight is loaded."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_contracts.errors import InputError, Problem
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import FullSettings, PilotSettings
from tasks.training.base_model import empty_model, generates_text
from tasks.training.linear_layers import LinearLayer, hidden_linear_layers
from tasks.training.methods.kinds import AdapterMethod
from tasks.training.methods.registry import adapter_method, adapter_method_names, weights_method


def require_possible(
    base: BaseModelRecord, task: Task, pilot: PilotSettings, full: FullSettings | None = None
) -> None:
    """Returns only if this model can be trained as the settings say.

    Raises:
        InputError: with every reason why not, and what would be possible.
    """
    layers = linear_layers(base, task)
    problems = list(_problems_of_pilot(base, pilot, layers))
    problems += _problems_of_full(base, pilot, full) if full is not None else []
    if problems:
        raise InputError(problems)


def linear_layers(base: BaseModelRecord, task: Task) -> tuple[LinearLayer, ...]:
    """The linear layers below the head, each name once with its narrowest shape, sorted by name.

    Raises:
        InputError: the model is not of a kind for this task, or has no linear layers.
    """
    if task is not Task.CLASSIFICATION and not generates_text(base):
        raise _unsuitable(base, task)
    try:
        model = empty_model(Path(base.folder), task)
    except ValueError as error:
        raise _unsuitable(base, task) from error
    narrowest: dict[str, LinearLayer] = {}
    for found in hidden_linear_layers(model):
        # A classifier's new head stands at the top, and is trained whole.
        if "." not in found.name:
            continue
        layer = replace(found, name=found.name.rpartition(".")[2])
        known = narrowest.get(layer.name)
        if known is None or min(layer.inputs, layer.outputs) < min(known.inputs, known.outputs):
            narrowest[layer.name] = layer
    if not narrowest:
        raise InputError.single(
            f"model.source {base.source}",
            expected="a model with linear layers that LoRA can adapt",
            found=f"a {base.architecture} without any",
            remedy="choose a model built of linear layers (most transformers are)",
        )
    return tuple(narrowest[name] for name in sorted(narrowest))


def possible_methods(layers: tuple[LinearLayer, ...]) -> tuple[str, ...]:
    """Names of the adapter methods that a model with these layers allows."""
    quantisable = any(layer.quantisable for layer in layers)
    return tuple(name for name in adapter_method_names() if quantisable or not adapter_method(name).quantised)


def _problems_of_pilot(
    base: BaseModelRecord, pilot: PilotSettings, layers: tuple[LinearLayer, ...]
) -> Iterator[Problem]:
    try:
        method = adapter_method(pilot.method)
    except InputError as error:
        yield from error.problems
        return
    if method.name not in possible_methods(layers):
        yield Problem(
            where="pilot.method",
            expected=f"a method that {base.architecture} allows: {', '.join(possible_methods(layers))}",
            found=f"{method.name}, which needs linear layers that can be kept in four bits; it has none",
            remedy="choose one of these",
        )
    names = [layer.name for layer in layers]
    adapted = layers
    if not isinstance(pilot.target_modules, str):
        adapted = tuple(layer for layer in layers if layer.name in pilot.target_modules)
        unknown = [name for name in pilot.target_modules if name not in names]
        if unknown:
            yield Problem(
                where="pilot.target_modules",
                expected=f"names among {', '.join(names)}, or all-linear",
                found=", ".join(unknown),
                remedy="name layers that this model has",
            )
    yield from _problems_of_rank(base, pilot, method, adapted)
    if pilot.merge and not method.mergeable:
        yield Problem(
            where="pilot.merge",
            expected=f"false with pilot.method {method.name}",
            found="true, and what it adds is not linear, so that no weights can take it up",
            remedy="leave merge out, or choose another method",
        )


def _problems_of_rank(
    base: BaseModelRecord, pilot: PilotSettings, method: AdapterMethod, adapted: tuple[LinearLayer, ...]
) -> Iterator[Problem]:
    if not adapted:
        return
    bottleneck = method.name == Rung.ADAPTER
    narrowest = min(adapted, key=lambda layer: min(layer.inputs, layer.outputs))
    width = base.width if bottleneck else min(narrowest.inputs, narrowest.outputs)
    if pilot.rank > width:
        where = "the hidden states" if bottleneck else f"layer {narrowest.name}"
        yield Problem(
            where="pilot.rank",
            expected=f"at most {width}, the width of {where}: beyond it an adapter holds more than the layer",
            found=str(pilot.rank),
            remedy=f"set pilot.rank to {width} or far less (16 is usual)",
        )


def _problems_of_full(base: BaseModelRecord, pilot: PilotSettings, full: FullSettings) -> list[Problem]:
    try:
        method = weights_method(full.method)
    except InputError as error:
        return list(error.problems)
    problems = []
    if method.from_pilot:
        try:
            mergeable = adapter_method(pilot.method).mergeable
        except InputError:
            mergeable = True  # told already
        if not mergeable:
            problems.append(
                Problem(
                    where="full.method",
                    expected=f"full or layers after a pilot by {pilot.method}, which cannot be merged",
                    found=method.name,
                    remedy="choose one of these, or another pilot.method",
                )
            )
    chosen = full.layers if isinstance(full.layers, tuple) else ()
    beyond = [index for index in chosen if not 0 <= index < base.layers]
    if method.name != Rung.FULL and (beyond or (isinstance(full.layers, int) and full.layers > base.layers)):
        problems.append(
            Problem(
                where="full.layers",
                expected=f"at most {base.layers} transformer blocks, counted from 0 to {base.layers - 1}",
                found=", ".join(str(index) for index in beyond) or str(full.layers),
                remedy="name fewer, or others",
            )
        )
    return problems


def _unsuitable(base: BaseModelRecord, task: Task) -> InputError:
    kind = "can carry a classification head" if task is Task.CLASSIFICATION else "generates text"
    return InputError.single(
        f"model.source {base.source}",
        expected=f"a model that {kind}, for task {task.value}",
        found=base.architecture,
        remedy="choose another model, or another task",
    )
