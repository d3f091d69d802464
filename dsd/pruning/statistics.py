"""Weight statistics for the run record: small, JSON-ready, one layer at a time.

All are computed on the CPU, whose sums and roundings do not change with the training device.
"""

import math
from typing import TypedDict

import torch
from torch import Tensor

from dsd.pruning.criteria import CHUNK, kth_magnitude

BINS = 121  # odd: the middle bin is centred on zero
QUANTILES = (0.5, 0.9, 0.99, 1.0)


class Histogram(TypedDict):
    """Counts of one layer's weights; they sum to N with below, above and zeros."""

    half_width: float  # the bins cut [-half_width, half_width] into BINS equal parts
    counts: list[int]  # without the exact zeros, so that a plot can show or clip their spike
    below: int
    above: int
    zeros: int


class Returned(TypedDict):
    """What became of a layer's pruned weights after re-dense training."""

    pruned: int
    nonzero: int
    same_sign: int  # came back with the sign they had before pruning
    quantiles: dict[str, float]  # of |w| over all pruned weights, zeros included; "1.0" is the max
    relative_magnitude: float | None  # mean |w| of the pruned over that of the kept


def half_width(weight: Tensor) -> float:
    """Six standard deviations of the dense weights: the axis that all stages of a layer share.

    1.0 for a layer whose weights are all equal, where no scale exists.
    """
    return 6 * _plain(weight).std(correction=0).item() or 1.0


def histogram(weight: Tensor, half_width: float) -> Histogram:
    """Count a layer's weights, of any shape, in BINS equal bins over [-half_width, half_width]."""
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
    """How many weights have changed sign, those that are or were zero not counted."""
    return int((_plain(before).sign() * _plain(after).sign() < 0).sum())


def returned(mask: Tensor, before: Tensor, now: Tensor) -> Returned:
    """Describe the weights that a mask (True = kept) had pruned.

    before: the layer's weights before pruning; now: after re-dense training; of the mask's shape.
    The q-quantile is the smallest magnitude that at least a share q of the pruned do not exceed.
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
    """Flatten to (N,) on the CPU, in float32 at least."""
    weight = weight.detach().cpu().flatten()
    return weight if weight.dtype == torch.float64 else weight.float()
