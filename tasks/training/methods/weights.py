"""The methods that update weights of the base. Each takes a permit."""

from collections.abc import Collection

from data_contracts.errors import InputError
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import FullSettings
from tasks.training.methods.blocks import block_names
from tasks.training.methods.kinds import Model, Promise, WeightsMethod


def _everything(model: Model, settings: FullSettings, promise: Promise) -> None:
    return None


def _last_blocks(model: Model, settings: FullSettings, promise: Promise) -> Collection[str]:
    blocks = block_names(model)
    wanted = settings.layers
    chosen = range(len(blocks) - wanted, len(blocks)) if isinstance(wanted, int) else wanted
    return _parameters_of(model, blocks, chosen)


def _most_promising(model: Model, settings: FullSettings, promise: Promise) -> Collection[str]:
    """The blocks that the pilot changed most: there a full rank has most to give."""
    blocks = block_names(model)
    wanted = settings.layers
    if isinstance(wanted, int):
        by_promise = sorted(range(len(blocks)), key=lambda index: (-promise.of_blocks[index], index))
        return _parameters_of(model, blocks, by_promise[:wanted])
    return _parameters_of(model, blocks, wanted)


def _parameters_of(model: Model, blocks: tuple[str, ...], chosen: Collection[int]) -> Collection[str]:
    if not chosen or min(chosen) < 0 or max(chosen) >= len(blocks):
        raise InputError.single(
            "full.layers",
            expected=f"some of this model's {len(blocks)} transformer blocks, counted from 0",
            found=", ".join(str(index) for index in chosen) or "none",
            remedy="name fewer, or others",
        )
    prefixes = tuple(f"{blocks[index]}." for index in chosen)
    return [name for name, _ in model.named_parameters() if name.startswith(prefixes)]


WEIGHTS_METHODS = (
    WeightsMethod(Rung.FULL, "every weight", _everything),
    WeightsMethod(Rung.LAYERS, "every weight of some transformer blocks", _last_blocks),
    WeightsMethod(
        Rung.HYBRID,
        "the pilot merged, then every weight of the blocks it changed most",
        _most_promising,
        from_pilot=True,
    ),
)
