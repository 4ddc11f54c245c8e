"""Peak memory of training one rung, by part, from the model's shape.

Counts what is alive at four moments of training and takes the highest: while the checkpoint is read; at an
evaluation; when a backward pass begins, and everything kept and the logits are there; and when it ends, and
all gradients are. ``benchmarks/forecast.py`` holds it against what real trainings took.
"""

from dataclasses import dataclass

from data_contracts.records.forecast import Forecast, MemoryParts, Moment
from tasks.decisions.forecast.activations import answering_values, in_heap, kept_values, passing_values
from tasks.decisions.forecast.shapes import Linear, ModelShape
from tasks.decisions.forecast.trainable import Method, adapter_parameters, trained_parameters

FLOAT32 = 4
"""Bytes."""
EVALUATION_ROWS = 32
"""Rows at once when the loss on ``tune`` is taken; ``tasks.training.fit`` has the same."""

_LOGITS_IN_TRAINING = 3
"""When the loss is differentiated: log-probabilities, their gradient, and the gradient of the logits."""
_LOGITS_IN_EVALUATION = 2
"""Logits, and log-probabilities."""
_IMPORTANCES = 3
"""Values a parameter that AdaLoRA's rank allocator keeps: sensitivity, and the means of it and its spread
(peft.tuners.adalora.layer.RankAllocator)."""


@dataclass(frozen=True)
class Batch:
    """What is in memory at once."""

    rows: int
    tokens: int
    """Of the longest row, to which the others are padded."""
    accumulated: int = 1
    """Micro-batches per optimizer step; gradients of earlier ones are there while a later one is run."""
    evaluation_rows: int = EVALUATION_ROWS
    evaluation_tokens: int | None = None
    """``None``: as in training."""


@dataclass(frozen=True)
class System:
    """What the process has beside the model, and how its memory behaves."""

    libraries_bytes: int
    value_bytes: int = FLOAT32
    """Of a weight of the base, and of an activation; trained weights' moments are float32 in any case."""
    checkpoint_bytes: int = FLOAT32
    """Of a weight in the checkpoint. Where it is as in training, the file's pages are the weights."""
    mapped: bool = True
    """The checkpoint's file is mapped into the process's memory, as on a processor."""
    waste_of_adapters: float = 0.0
    """Heap lost between the values kept, over those values in it, where the base is frozen and attention runs
    in the fused kernel."""
    waste_of_plain_attention: float = 0.0
    """The same where dropout inside attention rules that kernel out."""
    waste_of_quantised: float = 0.0
    """The same where the base is in four bits, whose weights are made anew for each layer."""
    waste_of_adalora: float | None = None
    """The same of AdaLoRA's three matrices a layer; ``None``: as of other adapters."""
    waste_of_weights: float = 0.0
    """The same where base weights are trained: the heap that gradients left is used again."""
    grouped_attention_is_plain: bool = False
    """No fused kernel serves heads that share keys; then what each keeps grows with the square of tokens."""
    largest_in_heap: int = 0
    """Bytes of a tensor; larger ones come from the system and go back to it at once."""


def forecast(shape: ModelShape, method: Method, batch: Batch, system: System) -> Forecast:
    """What training ``method`` takes, at the moment when it takes most."""
    moments = (
        _loading(shape, method, system),
        _evaluation(shape, method, batch, system),
        _backward_begins(shape, method, batch, system),
        _backward_ends(shape, method, batch, system),
    )
    added = adapter_parameters(shape, method)
    return Forecast(
        rung=method.rung,
        trained_parameters=trained_parameters(shape, method),
        total_parameters=shape.parameters + added,
        artifact_bytes=FLOAT32 * (added + shape.head_parameters if method.adapts else shape.parameters),
        memory=max(moments, key=lambda parts: parts.needed_bytes),
    )


def _loading(shape: ModelShape, method: Method, system: System) -> MemoryParts:
    """All weights as they will be, and the file they are read from."""
    copied = system.checkpoint_bytes != system.value_bytes
    quantised = _quantised_weights(shape, method)
    file = shape.parameters if copied else quantised
    return _parts(
        Moment.LOADING,
        shape,
        method,
        system,
        reclaimable=file * system.checkpoint_bytes if system.mapped else 0,
    )


def _evaluation(shape: ModelShape, method: Method, batch: Batch, system: System) -> MemoryParts:
    length = batch.evaluation_tokens or batch.tokens
    tokens = batch.evaluation_rows * length
    working = answering_values(shape, rows=batch.evaluation_rows, tokens=length) * system.value_bytes
    # The last evaluation finds the heap as training left it, mostly free and seldom given back. Values too
    # large for it find no use for that.
    heap = _kept(shape, method, batch, system).heap if system.mapped else 0
    reused = working if working <= 3 * system.largest_in_heap else 0
    return _parts(
        Moment.EVALUATION,
        shape,
        method,
        system,
        optimizer=_optimizer(shape, method),
        activations=working,
        allocator=max(0, heap - reused),
        logits=_LOGITS_IN_EVALUATION * tokens * shape.logits * FLOAT32,
    )


def _backward_begins(shape: ModelShape, method: Method, batch: Batch, system: System) -> MemoryParts:
    tokens = batch.rows * batch.tokens
    kept = _kept(shape, method, batch, system)
    earlier = trained_parameters(shape, method) * FLOAT32 if batch.accumulated > 1 else 0
    # The gradient of the logits is used up before the last block's gradients pass.
    logits = _LOGITS_IN_TRAINING * tokens * shape.logits * FLOAT32
    passing = passing_values(shape, rows=batch.rows, tokens=batch.tokens) * system.value_bytes
    return _parts(
        Moment.BACKWARD_BEGINS,
        shape,
        method,
        system,
        gradients=earlier,
        optimizer=_optimizer(shape, method),
        activations=kept.kept + max(0, passing - logits) + _copies(shape, method, system),
        logits=logits,
        allocator=kept.waste,
    )


def _backward_ends(shape: ModelShape, method: Method, batch: Batch, system: System) -> MemoryParts:
    trained = trained_parameters(shape, method)
    # Weights shared with the output get a gradient from either place, and both exist when they are added.
    shared = shape.vocabulary * shape.width if method.rung == "full" and shape.output and shape.tied else 0
    gradients = (trained + shared) * FLOAT32
    # Adapters' gradients are small beside the heap that the values kept have left.
    heap = _kept(shape, method, batch, system).heap if system.mapped and method.adapts else 0
    return _parts(
        Moment.BACKWARD_ENDS,
        shape,
        method,
        system,
        gradients=gradients,
        optimizer=_optimizer(shape, method),
        allocator=max(0, heap - gradients),
    )


@dataclass(frozen=True)
class _Kept:
    """Bytes of what is kept for the backward pass."""

    kept: int
    waste: int
    """Of the heap, lost between them."""
    heap: int
    """Of the heap in all, which larger tensors do not touch."""


def _kept(shape: ModelShape, method: Method, batch: Batch, system: System) -> _Kept:
    kept = kept_values(shape, method, rows=batch.rows, tokens=batch.tokens)
    heap = in_heap(
        kept,
        shape,
        rows=batch.rows,
        tokens=batch.tokens,
        value_bytes=system.value_bytes,
        largest=system.largest_in_heap,
    )
    heap *= system.value_bytes
    waste = int(heap * _waste(shape, method, system))
    total = kept.total + _attention_matrices(shape, batch, system)
    return _Kept(total * system.value_bytes, waste, heap + waste)


def _attention_matrices(shape: ModelShape, batch: Batch, system: System) -> int:
    """Values of the softmax, one a head and pair of tokens."""
    if not system.grouped_attention_is_plain:
        return 0
    return sum(block.grouped_heads for block in shape.blocks) * batch.rows * batch.tokens**2


def _copies(shape: ModelShape, method: Method, system: System) -> int:
    """Autocast keeps a copy of each float32 weight in the precision it computes in, until the step ends."""
    if method.adapts or system.value_bytes == FLOAT32:
        return 0
    return shape.parameters * system.value_bytes


def _waste(shape: ModelShape, method: Method, system: System) -> float:
    if not method.adapts:
        return system.waste_of_weights
    if method.quantised:
        return system.waste_of_quantised
    if method.rung == "adalora" and system.waste_of_adalora is not None:
        return system.waste_of_adalora
    plain = any(block.heads > 1 for block in shape.blocks)
    return system.waste_of_plain_attention if plain else system.waste_of_adapters


def _optimizer(shape: ModelShape, method: Method) -> int:
    moments = 2 * trained_parameters(shape, method)
    importances = _IMPORTANCES * adapter_parameters(shape, method) if method.rung == "adalora" else 0
    return (moments + importances) * FLOAT32


def _parts(
    moment: Moment,
    shape: ModelShape,
    method: Method,
    system: System,
    *,
    gradients: int = 0,
    optimizer: int = 0,
    activations: int = 0,
    logits: int = 0,
    allocator: int = 0,
    reclaimable: int | None = None,
) -> MemoryParts:
    quantised = _quantised_weights(shape, method)
    # What is trained is float32, and peft makes what bitsandbytes left of a base in four bits float32 too.
    in_full = not method.adapts or method.quantised
    base = (shape.parameters - quantised) * (FLOAT32 if in_full else system.value_bytes)
    replaced = quantised + _moved_weights(shape, method)
    if reclaimable is None:
        same = system.mapped and system.checkpoint_bytes == system.value_bytes
        reclaimable = replaced * system.checkpoint_bytes if same else 0
    return MemoryParts(
        moment=moment,
        libraries_bytes=system.libraries_bytes,
        weights_bytes=base + adapter_parameters(shape, method) * FLOAT32,
        quantised_bytes=sum(_nf4_bytes(linear) for linear in _quantised(shape, method)),
        gradients_bytes=gradients,
        optimizer_bytes=optimizer,
        activations_bytes=activations,
        logits_bytes=logits,
        allocator_bytes=allocator,
        reclaimable_bytes=reclaimable,
    )


def _quantised(shape: ModelShape, method: Method) -> tuple[Linear, ...]:
    return tuple(each for each in shape.adaptable if method.quantised and each.quantisable)


def _quantised_weights(shape: ModelShape, method: Method) -> int:
    return sum(linear.weights for linear in _quantised(shape, method))


def _moved_weights(shape: ModelShape, method: Method) -> int:
    """PiSSA writes the base anew without its principal part, and the file's pages stay beside it."""
    adapted = method.adapted(shape.adaptable) if method.rung == "pissa" else ()
    return sum(linear.weights for linear in adapted)


def _nf4_bytes(linear: Linear) -> int:
    """4 bits a weight; a byte for each 64, of which 256 share a float32 (QLoRA, 2023, section 3); two code
    books of 16 and 256 float32 a layer, with one offset (bitsandbytes.functional.QuantState)."""
    blocks = -(-linear.weights // 64)
    return linear.weights // 2 + blocks + 4 * -(-blocks // 256) + 4 * (16 + 256 + 1)
