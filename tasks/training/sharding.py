"""One training over several processes: who holds what, and how it comes together again.

FSDP2 (``fully_shard``) parts weights, gradients and moments for full fine-tuning and for LoRA. Where it
computes or stores wrongly (bases in 4 bits: bitsandbytes#1945, accelerate#3983) or a method looks at whole
matrices in its own way, every process holds everything (DDP). accelerate's own flags would silently run DDP
on a processor, so the model is sharded before Trainer sees it.

With one process every function here does nothing, at no cost.
"""

from collections.abc import Mapping
from typing import Any

from data_contracts.errors import InputError
from tasks.training.methods.blocks import block_names
from tasks.training.methods.kinds import AdapterMethod, Model

Tensors = dict[str, Any]


def world_size() -> int:
    """Processes that train together."""
    import torch.distributed as distributed

    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def process_number() -> int:
    """Of this process among those that train together, from 0."""
    if world_size() == 1:
        return 0
    import torch.distributed as distributed

    return distributed.get_rank()


def is_first() -> bool:
    """Whether this process is the one that writes and tells."""
    return process_number() == 0


def shard(model: Model, method: AdapterMethod | None) -> bool:
    """Parts the model over the processes, block by block. Whether it did; if not, Trainer copies it to each.

    Args:
        method: the adapter's; ``None`` where base weights are updated.
    """
    if world_size() == 1 or (method is not None and not method.shardable):
        return False
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from transformers.distributed import DistributedConfig

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    try:
        blocks = block_names(inner)
    except InputError:
        return False  # nothing to part it by (ALBERT shares one block): each process holds all of it
    mesh = init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (world_size(),))
    for name in blocks:
        fully_shard(inner.get_submodule(name), mesh=mesh)
    fully_shard(model, mesh=mesh)
    # How transformers 5.23 marks models that it sharded itself: Trainer then leaves them where they are,
    # wraps them in nothing, and waits with averaging gradients until the last micro-batch of a step.
    inner._is_distributed_loading_by_transformers = True
    inner._is_fsdp_managed_module = True
    inner.config.distributed_config = DistributedConfig(fsdp_size=world_size())
    return True


def reshard(model: Model) -> None:
    """Parts again what a forward pass without a backward one leaves whole.

    torch 2.13 keeps the outermost group whole until a backward pass; one that was made whole without
    gradients takes none in the next step, and its weights would stay as they are.
    """
    for module in model.modules():
        if hasattr(module, "reshard"):
            module.reshard()


def whole(tensors: Mapping[str, Any]) -> Tensors:
    """The same tensors, each whole. Every process must ask, for the same ones in the same order."""
    if world_size() == 1:
        return dict(tensors)
    return {name: _whole(tensor) for name, tensor in tensors.items()}


def _whole(tensor: Any) -> Any:
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def like(value: Any, example: Any) -> Any:
    """``value``, which is whole, parted as ``example`` is."""
    if not hasattr(example, "placements"):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(example.device), example.device_mesh, example.placements)


def gathered_state(model: Model) -> Tensors | None:
    """Everything that training changed or a whole model needs, for saving; ``None`` if nothing was parted.

    Every process must ask; only the first gets the tensors.
    """
    if not any(hasattr(parameter, "placements") for parameter in model.parameters()):
        return None
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    adapted = hasattr(model, "peft_config")
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=adapted)
    state: Tensors = get_model_state_dict(model, options=options)
    return state


def agreed(asked: bool) -> bool:
    """Whether any of the processes was asked; all hear the same."""
    return total(int(asked)) > 0


def total(count: int) -> int:
    """Sum over the processes."""
    return count if world_size() == 1 else int(_sum(float(count)))


def summed(value: float) -> float:
    """Sum over the processes."""
    return value if world_size() == 1 else _sum(value)


def mean(value: float) -> float:
    """Mean over the processes."""
    return value if world_size() == 1 else _sum(value) / world_size()


def _sum(value: float) -> float:
    import torch
    import torch.distributed as distributed

    # Whole numbers in float64 are exact up to 2^53, and gloo and nccl both add them.
    shared = torch.tensor([value], dtype=torch.float64)
    if torch.cuda.is_available():
        shared = shared.cuda()
    distributed.all_reduce(shared)
    return float(shared.item())


def of_each(tensor: Any) -> list[Any]:
    """The tensor of this name in each process, all of one shape, on the processor. Every process must ask."""
    if world_size() == 1:
        return [tensor]
    import torch
    import torch.distributed as distributed

    own = tensor.cuda() if torch.cuda.is_available() else tensor
    each = [torch.empty_like(own) for _ in range(world_size())]
    distributed.all_gather(each, own)
    return [one.cpu() for one in each]


def wait_for_all() -> None:
    """Returns when every process has come here."""
    if world_size() > 1:
        import torch.distributed as distributed

        distributed.barrier()
