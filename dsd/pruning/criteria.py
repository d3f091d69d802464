"""Masks: which weights of a layer stay.

One convention everywhere: a mask is a bool tensor of its weight's shape, **True = kept**.
A layer of N weights at sparsity s has exactly round(N * s) pruned weights (Python's round).
"""

import torch
from torch import Tensor

BIT_VIEW = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # bytes per weight -> integer as wide
CHUNK = 1 << 20  # weights handled at once: temporaries stay in the cache, however large the layer


def magnitude_mask(weight: Tensor, sparsity: float) -> Tensor:
    """Prune the smallest magnitudes of one layer (Algorithm 1 of the paper, layer-wise).

    weight: any shape, strides and device; float16, bfloat16, float32 or float64.
    sparsity: fraction of zeros wanted, 0 <= sparsity < 1.
    Returns the mask (True = kept) with exactly round(N * sparsity) weights pruned. The paper prunes
    all at or below the k-th magnitude: too many where magnitudes tie, as the zeros of an already
    sparse layer do. Here, among equal magnitudes, the first in row-major order are pruned, whatever
    the strides.
    Raises ValueError for a sparsity out of range and for weights that are not finite.
    """
    return _largest(_bits(weight), pruned_count(weight.numel(), sparsity)).view(weight.shape)


def random_mask(weight: Tensor, sparsity: float, generator: torch.Generator) -> Tensor:
    """Prune round(N * sparsity) weights drawn uniformly: the random control.

    Drawn on the generator's device, so one seed gives one mask wherever the weights are; their
    values play no part. Raises ValueError for a sparsity out of range.
    """
    pruned = pruned_count(weight.numel(), sparsity)
    keys = torch.empty(weight.shape, dtype=torch.int32, device=generator.device)
    keys.random_(generator=generator)
    return _largest(keys.flatten(), pruned).view(weight.shape).to(weight.device)


def pruned_count(weights: int, sparsity: float) -> int:
    """round(weights * sparsity), the number to prune; ValueError if sparsity is not in [0, 1)."""
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be at least 0 and below 1, not {sparsity}")
    return round(weights * sparsity)


def kth_magnitude(weight: Tensor, k: int) -> float:
    """The k-th smallest |w| (1 <= k <= N), exactly, in linear time; ValueError if not finite."""
    bits = _bits(weight)
    return torch.tensor(_select(bits, k)[0], dtype=bits.dtype).view(weight.dtype).item()


def _bits(weight: Tensor) -> Tensor:
    """Flatten to (N,) integers which, sign bit aside, order as the magnitudes do."""
    weight = weight.detach()
    if not weight.is_floating_point() or weight.itemsize not in BIT_VIEW:
        raise ValueError(f"cannot prune {weight.dtype}; use float16, bfloat16, float32 or float64")
    if weight.numel() and not all(bound.isfinite() for bound in weight.aminmax()):
        raise ValueError("some weights are inf or nan, their magnitudes have no order")
    return weight.contiguous().view(BIT_VIEW[weight.itemsize]).flatten()


def _magnitudes(bits: Tensor) -> Tensor:
    return bits & torch.iinfo(bits.dtype).max


def _largest(bits: Tensor, pruned: int) -> Tensor:
    """Mask (N,) bits: False for the `pruned` smallest magnitudes, True for the others."""
    keep = torch.ones(len(bits), dtype=torch.bool, device=bits.device)
    if pruned == 0:
        return keep
    threshold, tied, tied_pruned = _select(bits, pruned)
    for chunk, kept in zip(bits.split(CHUNK), keep.split(CHUNK), strict=True):
        magnitudes = _magnitudes(chunk)
        torch.gt(magnitudes, threshold, out=kept)
        if tied_pruned < tied:
            ties = (magnitudes == threshold).nonzero().squeeze(1)
            kept[ties[tied_pruned:]] = True
            tied, tied_pruned = tied - len(ties), max(tied_pruned - len(ties), 0)
    return keep


def _select(bits: Tensor, rank: int) -> tuple[int, int, int]:
    """Find the rank-th smallest magnitude (rank >= 1) by radix selection, 16 bits at a time.

    A histogram of the top 16 bits tells which of them the wanted magnitude has; the next 16 bits
    are then counted among its likes alone. Exact, linear in N, with no full-size temporary.
    Returns the magnitude, how many weights have it, and how many of these are in the rank smallest.
    """
    found = 0  # the leading bits of the wanted magnitude
    top = 8 * bits.itemsize - 16
    for shift in range(top, -1, -16):
        histogram = torch.zeros(1 << 16, dtype=torch.int64, device=bits.device)
        for chunk in bits.split(CHUNK):
            digits = _magnitudes(chunk) >> shift
            if shift < top:
                digits = digits[digits >> 16 == found] - (found << 16)
            histogram += torch.bincount(digits, minlength=1 << 16)
        up_to = histogram.cumsum(0)
        digit = int(torch.searchsorted(up_to, rank))
        tied = int(histogram[digit])
        rank -= int(up_to[digit]) - tied
        found = found << 16 | digit
    return found, tied, rank
