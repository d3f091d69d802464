"""A mask as it is held: one bit for each weight, in the order of the weights in memory.

On a GPU a small layer's mask is held unpacked beside it, a byte for each weight: what a step costs
there is its number of kernels, and an unpacked mask needs one.
"""

from collections.abc import Iterator
from functools import cache, cached_property

import torch
from torch import Tensor

from dsd.pruning.selection import BIT_VIEW

CHUNK = 1 << 13  # bytes unpacked at once: the unpacked masks stay in the cache
GPU_CHUNK = 1 << 22  # on a GPU, where each chunk is three kernels: 48 MiB of temporaries
SMALL = 1 << 22  # weights of a layer whose mask a GPU holds unpacked


class BitMask:
    """The mask of one weight, True = kept, at an eighth of a byte for each of its weights.

    On a GPU a layer of up to SMALL weights has a byte more for each, see above.
    """

    def __init__(self, mask: Tensor, weight: Tensor) -> None:
        """mask: bool, of the weight's shape. weight: the tensor that it will be applied to."""
        self.shape = mask.shape
        self._layouts: dict[tuple[object, ...], tuple[list[int], Tensor]] = {}
        self._unpacked: dict[tuple[object, ...], Tensor] = {}  # True = pruned
        self._pack(mask, weight)

    def _pack(self, mask: Tensor, weight: Tensor) -> tuple[list[int], Tensor]:
        order = sorted(range(weight.dim()), key=lambda axis: weight.stride()[axis], reverse=True)
        layout = order, pack(mask.permute(order)).to(weight.device)
        self._layouts[weight.stride(), weight.device] = layout
        return layout

    def mask(self) -> Tensor:
        """Returns the mask: bool, True = kept, on the weight's device."""
        order, packed = next(iter(self._layouts.values()))
        places = sorted(range(len(order)), key=lambda place: order[place])
        return unpack(packed, [self.shape[axis] for axis in order]).permute(places)

    @cached_property
    def pruned(self) -> int:
        """Returns the number of weights that are not kept."""
        return self.shape.numel() - int(self.mask().count_nonzero())

    @torch.no_grad()
    def apply(self, weight: Tensor) -> None:
        """Sets the weights that are not kept to +0.0, in place.

        weight: of the mask's shape; of any layout, device, and float dtype of 16 bits or more. An
        AND gives +0.0 where a product leaves -0.0, or NaN from inf, and is faster than
        masked_fill_ on CPUs.
        """
        if on_gpu(weight) and weight.numel() <= SMALL:
            weight.detach().masked_fill_(self._pruned_places(weight), 0.0)
            return
        for weights, kept in self._parts(weight):
            weights.bitwise_and_(kept)

    @torch.no_grad()
    def revived(self, weight: Tensor) -> int:
        """Returns how many of the weights that are not kept are anything but +0.0."""
        return sum(int((w & ~kept).count_nonzero()) for w, kept in self._parts(weight))

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_unpacked": {}}

    def _check(self, weight: Tensor) -> None:
        if weight.shape != self.shape:  # by weight.data = ...
            raise RuntimeError(
                f"a weight's shape is {tuple(weight.shape)}, and was {tuple(self.shape)} when it "
                "was pruned; create the Sparsifier again"
            )

    def _pruned_places(self, weight: Tensor) -> Tensor:
        """Returns the weights that are not kept: bool, laid out in memory as the weight is."""
        self._check(weight)
        layout = weight.stride(), weight.device
        if layout not in self._unpacked:
            places = torch.empty_like(weight, dtype=torch.bool)
            self._unpacked[layout] = places.copy_(~self.mask())
        return self._unpacked[layout]

    def _parts(self, weight: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields weights, as integers, and their part of the mask: all bits set = kept, or none."""
        self._check(weight)
        known = self._layouts.get((weight.stride(), weight.device))
        order, packed = known or self._pack(self.mask(), weight)
        integers = weight.detach().view(BIT_VIEW[weight.itemsize]).permute(order)
        table = _table(weight.device)
        if integers.is_contiguous():
            chunk = GPU_CHUNK if on_gpu(weight) else CHUNK
            lines = integers.view(-1).split(8 * chunk)
            for line, bits in zip(lines, packed.split(chunk), strict=True):
                yield line, table.index_select(0, bits.int()).view(torch.int8)[: len(line)]
        else:  # a view with gaps
            kept = table.index_select(0, packed.int()).view(torch.int8)
            yield integers, kept[: integers.numel()].view(integers.shape)


def on_gpu(weight: Tensor) -> bool:
    """Returns whether each operation on a weight is a kernel that is launched on its own."""
    return weight.device.type != "cpu"


def pack(mask: Tensor) -> Tensor:
    """Returns a bool mask of N weights as ceil(N / 8) bytes, row-major, first weight lowest."""
    bits = mask.reshape(-1).to(torch.uint8)
    bits = torch.nn.functional.pad(bits, (0, -bits.numel() % 8)).view(-1, 8)
    return (bits << _shifts(bits.device)).sum(1, dtype=torch.uint8)


def unpack(packed: Tensor, shape: torch.Size | list[int]) -> Tensor:
    """Returns the bool mask of this shape that `pack` packed."""
    bits = (packed.unsqueeze(1) >> _shifts(packed.device)) & 1
    return bits.view(-1)[: torch.Size(shape).numel()].view(shape).bool()


def _shifts(device: torch.device) -> Tensor:
    return torch.arange(8, dtype=torch.uint8, device=device)


@cache
def _table(device: torch.device) -> Tensor:
    """Returns (256,) int64: for each byte eight masks of int8, all bits set = kept, or none."""
    masks = unpack(torch.arange(256, dtype=torch.uint8), [256, 8]).to(torch.int8).neg()
    return masks.view(torch.int64).squeeze(1).to(device)
