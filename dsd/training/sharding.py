"""`--shard fsdp`: every process holds a part of each weight, of its gradient and optimizer state.

Checkpoints and records are those of whole weights: each tensor is put together for them by itself.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn

from dsd.errors import UserError
from dsd.pruning.sharded import is_sharded, like, local, part_of, whole
from dsd.training.optimizers import AnyOptimizer, MuonWithAdamW


def check_shard(way: str | None, processes: int, *, channels_last: bool, compile: bool) -> None:
    """Raises UserError for a --shard that is not known or cannot be with the other options."""
    if way is None:
        return
    if way != "fsdp":
        raise UserError(f"--shard {way}: not known; known: fsdp")
    if processes == 1:
        raise UserError(
            "--shard fsdp: there is one process; start several, e.g. "
            "torchrun --nproc-per-node 2 -m dsd run ..."
        )
    for option, given in (("--channels-last", channels_last), ("--compile", compile)):
        if given:
            raise UserError(f"--shard fsdp: not together with {option}; leave one of them out")


def shard(net: nn.Module, device: torch.device) -> None:
    """Divides a network's weights over all processes, in place (FSDP2); names stay.

    What follows one another, the children of each nn.Sequential, is whole for one at a time; the
    rest is whole throughout forward and backward.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    for tensor in (*net.parameters(), *net.buffers()):  # each process has drawn its own
        distributed.broadcast(tensor.detach(), 0)
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    sequences = [module for module in net.modules() if isinstance(module, nn.Sequential)]
    for sequence in reversed(sequences):  # from the innermost
        for module in sequence.children():
            if any(True for _ in module.parameters()):
                fully_shard(module, mesh=mesh)
    fully_shard(net, mesh=mesh)


@contextmanager
def whole_weights(net: nn.Module) -> Iterator[None]:
    """Has every process hold the whole weights meanwhile, to evaluate as many batches as it has."""
    modules = _modules(net)
    for module in modules:
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()
    try:
        yield
    finally:
        for module in modules:
            module.reshard()
            module.set_reshard_after_forward(module is not net, recurse=False)


def copied(value: Any) -> Any:
    """Returns a copy of nested dicts and lists; copy.deepcopy cannot copy every DTensor."""
    if isinstance(value, Mapping):
        return {key: copied(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [copied(one) for one in value]
    return value.detach().clone() if isinstance(value, Tensor) else value


def gathered(value: Any) -> Any:
    """Returns nested dicts and lists with whole tensors, on the first process's CPU.

    All processes must call it together; the others get None for what they hold parts of.
    """
    if isinstance(value, Mapping):
        return {key: gathered(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [gathered(one) for one in value]
    if not is_sharded(value):
        return value
    full = whole(value)
    return full.cpu() if distributed.get_rank() == 0 else None


def load_model(net: nn.Module, state: Mapping[str, Any]) -> None:
    """Loads a state of whole tensors, or of DTensors, into a network, divided or not."""
    own = net.state_dict()
    net.load_state_dict({name: _divided(one, own.get(name)) for name, one in state.items()})


def load_optimizer(optimizer: AnyOptimizer, saved: Mapping[str, Any]) -> None:
    """Loads a state of whole tensors, or of DTensors, into an optimizer of a divided net or not."""
    if isinstance(optimizer, MuonWithAdamW):
        for part, its in zip(optimizer.parts, saved["parts"], strict=True):
            load_optimizer(part, its)
        return
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    states = {
        index: {
            name: _laid_out(_divided(value, parameters[index]), parameters[index])
            if isinstance(value, Tensor) and value.shape == parameters[index].shape
            else value
            for name, value in state.items()
        }
        for index, state in saved["state"].items()
    }
    optimizer.load_state_dict({**saved, "state": states})


def _laid_out(value: Tensor, weight: Tensor) -> Tensor:
    """Returns a state in its weight's layout, which torch's fused steps on a CPU rely on."""
    if is_sharded(value) or value.stride() == weight.stride():
        return value
    return torch.empty_like(weight, dtype=value.dtype, device=value.device).copy_(value)


def _divided(value: Any, weight: Any) -> Any:
    if not is_sharded(weight) or is_sharded(value):
        return value
    if value.shape != weight.shape:
        raise ValueError(f"shape {tuple(value.shape)}, the network has {tuple(weight.shape)}")
    return like(part_of(weight).of(value).to(local(weight).device), weight)


def _modules(net: nn.Module) -> list[Any]:
    if not any(map(is_sharded, net.parameters())):
        return []
    from torch.distributed.fsdp import FSDPModule

    return [module for module in net.modules() if isinstance(module, FSDPModule)]
