"""Weight statistics for the run record, small and JSON-ready: histograms, signs, reborn weights.

The paper's figure 2 has a layer's weights at five stages of Algorithm 1: dense, pruned,
sparse-trained, zeros restored, re-dense. The functions for a network come first, then
those for one layer. All compute on the CPU, so the numbers do not depend on the training device.
A DTensor is put together for it, one layer at a time: all its processes call these together.
"""

import math
from collections.abc import Iterable, Mapping
from typing import TypedDict

import torch
from torch import Tensor, nn

from dsd.pruning.selection import CHUNK, kth_magnitude
from dsd.pruning.sharded import whole

BINS = 121  # odd: the middle bin is centred on zero
QUANTILES = (0.5, 0.9, 0.99, 1.0)

State = Mapping[str, Tensor]


class Histogram(TypedDict):
    """Counts of one layer's weights; they sum to N with below, above and zeros."""

    half_width: float  # the bins cut [-half_width, half_width] into BINS equal parts
    counts: list[int]  # without the exact zeros, so that a plot can show or clip their spike
    below: int
    above: int
    zeros: int


class Returned(TypedDict):
    """A layer's pruned weights after re-dense training."""

    pruned: int
    nonzero: int
    same_sign: int  # have the sign they had before pruning
    quantiles: dict[str, float]  # of |w| over all pruned weights, zeros included; "1.0" is the max
    relative_magnitude: float | None  # mean |w| of the pruned over that of the kept


def half_widths(net: nn.Module, layers: Iterable[str]) -> dict[str, float]:
    """Returns each layer's histogram range, fixed once so that all stages share their bins."""
    parameters = dict(net.named_parameters())
    return {name: half_width(parameters[name]) for name in layers}


def stage(net: nn.Module, widths: Mapping[str, float]) -> dict[str, Histogram]:
    """Returns a histogram of each layer's weights as they are now."""
    parameters = dict(net.named_parameters())
    return {name: histogram(parameters[name], width) for name, width in widths.items()}


def changes(net: nn.Module, before: State, layers: Iterable[str]) -> dict[str, int]:
    """Returns, by layer, the number of weights with the opposite sign of `before`."""
    parameters = dict(net.named_parameters())
    return {name: sign_changes(before[name], parameters[name]) for name in layers}


def reborn(net: nn.Module, masks: State, before_pruning: State) -> dict[str, Returned]:
    """Returns, by layer, what became of the weights that the masks had pruned."""
    parameters = dict(net.named_parameters())
    return {
        name: returned(mask, before_pruning[name], parameters[name]) for name, mask in masks.items()
    }


def half_width(weight: Tensor) -> float:
    """Returns six standard deviations of the dense weights, the axis that a layer's stages share.

    It is 1.0 for a layer whose weights are all equal, which have no scale.
    """
    return 6 * _plain(weight).std(correction=0).item() or 1.0


def histogram(weight: Tensor, half_width: float) -> Histogram:
    """Returns a layer's weights (any shape) counted in BINS bins over [-half_width, half_width]."""
    weight = _plain(weight)
    zeros = weight.numel() - int(weight.count_nonzero())
    counts = torch.zeros(BINS, dtype=torch.int64)
    for chunk in weight.split(CHUNK):  # histc counts in float32, exact up to 2^24
        counts += torch.histc(chunk, BINS, -half_width, half_width).long()
    counts[BINS // 2] -= zeros
    return {
        "half_width": half_width,
        "counts": counts.tolist(),
        "below": int((weight < -half_width).sum()),
        "above": int((weight > half_width).sum()),
        "zeros": zeros,
    }


def sign_changes(before: Tensor, after: Tensor) -> int:
    """Returns how many weights have changed sign; those that are or were zero do not count."""
    return int((_plain(before).sign() * _plain(after).sign() < 0).sum())


def returned(mask: Tensor, before: Tensor, now: Tensor) -> Returned:
    """Returns what became of the weights that a mask (True = kept) had pruned.

    before: the layer's weights before pruning. now: after re-dense training. Both are of the mask's
    shape. The q-quantile is the smallest magnitude that at least a share q of the pruned do not
    exceed.
    """
    pruned = ~mask.cpu().flatten()
    was, now = _plain(before)[pruned], _plain(now)
    kept, now = now[~pruned], now[pruned]
    share = _mean_magnitude(now) / _mean_magnitude(kept) if len(now) and kept.any() else None
    return {
        "pruned": len(now),
        "nonzero": int(now.count_nonzero()),
        "same_sign": int((was.sign() * now.sign() > 0).sum()),
        "quantiles": {
            str(q): kth_magnitude(now, math.ceil(q * len(now))) for q in QUANTILES if len(now)
        },
        "relative_magnitude": share,
    }


def _mean_magnitude(weight: Tensor) -> float:
    return weight.abs().mean(dtype=torch.float64).item()


def _plain(weight: Tensor) -> Tensor:
    """Returns the weights flattened to (N,) on the CPU, in float32 at least."""
    weight = whole(weight).detach().cpu().flatten()
    return weight if weight.dtype == torch.float64 else weight.float()
