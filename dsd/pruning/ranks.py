"""Masks that are equal on all processes of torch.distributed that hold the same weights."""

import ctypes
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, distributed, nn

from dsd.pruning.distribution import Group
from dsd.pruning.sharded import is_sharded, local, part_of

Digests = dict[str, tuple[str, str]]  # of each layer: its weights', its mask's


def together() -> bool:
    """Returns whether torch.distributed runs with several processes."""
    return bool(
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )


def replicas(model: nn.Module) -> bool:
    """Returns whether a wrapper keeps the weights of all processes equal."""
    return isinstance(model, nn.parallel.DistributedDataParallel) and (
        model.process_group.size() == distributed.get_world_size()
    )


def same_generator(generator: torch.Generator | None) -> torch.Generator | None:
    """Returns a generator in the state of the first process's, so that all draw the same numbers.

    All processes must call it together.
    """
    if generator is None or not together():
        return generator
    state = [generator.get_state()]
    distributed.broadcast_object_list(state, src=0)
    generator.set_state(state[0])
    return generator


def check_same(
    weights: Mapping[str, nn.Parameter], masks: Mapping[str, Tensor], replicas: bool
) -> None:
    """Raises RuntimeError when processes that hold the same weights have other masks.

    All processes must call it together. replicas: all hold the same weights, as under
    DistributedDataParallel; otherwise those do whose weights have the same values. Of DTensors,
    weights and masks are this process's parts.
    """
    if not together():
        return
    own: Digests = {
        name: (_weight(weights[name], replicas), _digest(mask)) for name, mask in masks.items()
    }
    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, own)
    for name in sorted({name for digests in everyone for name in digests}):
        seen: dict[str, tuple[str, int]] = {}
        for rank, digests in enumerate(everyone):
            weight, mask = digests.get(name, ("", "no mask"))
            if name not in digests and not replicas:
                continue
            other, first = seen.setdefault(weight, (mask, rank))
            if other != mask:
                raise RuntimeError(
                    f"{name}: process {rank} has another mask than process {first} for the same "
                    "weights; give both the same sparsity, criterion and gradients"
                )


def check_alike(weights: Mapping[str, Tensor], groups: Iterable[Group], criterion: str) -> None:
    """Raises RuntimeError when processes would choose masks for parts of a weight differently.

    All processes must call it together.
    """
    if not together() or not any(map(is_sharded, weights.values())):
        return
    own = {name: (group, criterion) for group in groups for name in group.layers}
    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, own)
    for rank, others in enumerate(everyone):
        for name in sorted(own.keys() & others.keys()):
            if others[name] != own[name]:
                raise RuntimeError(
                    f"{name}: process {rank} was given {others[name]}, this one {own[name]}; give "
                    "all processes the same sparsity and criterion"
                )


def _weight(weight: Tensor, replicas: bool) -> str:
    """Returns what weights have in common that must have the same mask."""
    where = str(part_of(weight).offset) if is_sharded(weight) else ""
    return where + ("" if replicas and not where else _digest(local(weight)))


def _digest(tensor: Tensor) -> str:
    values = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    content = ctypes.string_at(values.data_ptr(), len(values))  # numpy need not be there
    return hashlib.blake2b(content, digest_size=16).hexdigest()
