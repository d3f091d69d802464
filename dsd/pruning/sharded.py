"""Weights of which each process holds a part: DTensors, as FSDP2 and tensor parallelism make them.

No function here puts a whole layer together, but `whole`.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Part:
    """Which part of a tensor this process holds: a box of `shape` that begins at `offset`."""

    whole: torch.Size
    shape: torch.Size
    offset: tuple[int, ...]
    groups: tuple[Any, ...] = ()  # of processes: one for each axis of the mesh that divides it
    device: str = "cpu"  # type of the mesh's; weights may wait in the CPU's memory

    @property
    def key(self) -> tuple[str, ...]:
        """Returns what parts have in common whose counts can be added up together."""
        return tuple(group.group_name for group in self.groups)

    def total(self, counts: Tensor) -> Tensor:
        """Adds counts up, in place, over the processes that hold the tensor's parts."""
        for group in self.groups:
            there = counts.to(self.device)
            distributed.all_reduce(there, group=group)
            counts.copy_(there)
        return counts

    def places(self, index: Tensor) -> Tensor:
        """Returns row-major positions in the whole tensor of row-major positions in the part."""
        if self.shape == self.whole or not len(index):
            return index
        found = torch.zeros_like(index)
        for axis in reversed(range(len(self.shape))):
            found += (index % self.shape[axis] + self.offset[axis]) * self._strides[axis]
            index = index // self.shape[axis]
        return found

    @cached_property
    def _strides(self) -> list[int]:
        return [self.whole[axis + 1 :].numel() for axis in range(len(self.whole))]

    def of(self, whole: Tensor) -> Tensor:
        """Returns this part of a tensor that is there as a whole."""
        for axis, (start, length) in enumerate(zip(self.offset, self.shape, strict=True)):
            whole = whole.narrow(axis, start, length)
        return whole


def is_sharded(tensor: Any) -> bool:
    """Returns whether a tensor is a DTensor; without importing what makes one."""
    made_by = sys.modules.get("torch.distributed.tensor")
    return made_by is not None and isinstance(tensor, made_by.DTensor)


def local(tensor: Any) -> Tensor:
    """Returns this process's part of a DTensor, sharing its memory; a plain tensor as it is."""
    return tensor.detach().to_local() if is_sharded(tensor) else tensor


def part_of(tensor: Any) -> Part:
    """Returns which part of a tensor this process holds: all of a plain one.

    Raises ValueError for a DTensor that waits for a sum over processes.
    """
    if not is_sharded(tensor):
        return Part(tensor.shape, tensor.shape, (0,) * tensor.dim())
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    mesh, placements = tensor.device_mesh, tensor.placements
    if any(placement.is_partial() for placement in placements):
        raise ValueError(f"is a sum over processes that is not done ({placements})")
    shape, offset = compute_local_shape_and_global_offset(tensor.shape, mesh, placements)
    groups = [
        mesh.get_group(axis)
        for axis, placement in enumerate(placements)
        if not placement.is_replicate() and mesh.size(axis) > 1
    ]
    return Part(tensor.shape, torch.Size(shape), tuple(offset), tuple(groups), mesh.device_type)


def like(part: Tensor, weight: Any) -> Tensor:
    """Returns a DTensor, divided as the weight, of which this is this process's part.

    Where the weight is a plain tensor, the part is the whole.
    """
    if not is_sharded(weight):
        return part
    from torch.distributed.tensor import DTensor

    return DTensor.from_local(
        part,
        weight.device_mesh,
        weight.placements,
        run_check=False,
        shape=weight.shape,
        stride=weight.stride(),
    )


def as_part(tensor: Any, weight: Any) -> Tensor:
    """Returns this process's part of a whole tensor, or of a DTensor, divided as the weight."""
    if not is_sharded(tensor):
        return part_of(weight).of(tensor)
    if not is_sharded(weight):
        return whole(tensor)
    if (tensor.device_mesh, tensor.placements) != (weight.device_mesh, weight.placements):
        tensor = tensor.redistribute(weight.device_mesh, weight.placements)
    return local(tensor)


def whole(tensor: Any) -> Tensor:
    """Returns the whole of a DTensor, on every process; all must call it together."""
    if not is_sharded(tensor):
        return tensor
    full: Tensor = tensor.detach().to(tensor.device_mesh.device_type).full_tensor()
    return full


def totals(counts: Mapping[str, int], weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Returns counts by layer, over all processes that hold parts of it.

    weights: of these layers. One sum over processes for all layers that are divided alike.
    """
    found = dict(counts)
    alike: dict[tuple[str, ...], list[str]] = {}
    parts = {name: part_of(weights[name]) for name in counts if is_sharded(weights[name])}
    for name, part in parts.items():
        alike.setdefault(part.key, []).append(name)
    for names in alike.values():
        device = local(weights[names[0]]).device
        summed = torch.tensor([counts[name] for name in names], device=device)
        found |= zip(names, parts[names[0]].total(summed).tolist(), strict=True)
    return found


def reshard(model: nn.Module) -> None:
    """Has FSDP2's modules hold their parts; after a forward pass alone they may hold the whole."""
    fsdp = sys.modules.get("torch.distributed.fsdp")
    for module in model.modules():
        if fsdp is not None and isinstance(module, fsdp.FSDPModule):
            module.reshard()
