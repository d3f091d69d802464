"""Exact selection: the k smallest of the scores that are compared together are pruned."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dsd.pruning.sharded import Part, local

BIT_VIEW = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # bytes per weight -> integer as wide
ORDERED = {torch.float16, torch.bfloat16, torch.float32, torch.float64, *BIT_VIEW.values()}
CHUNK = 1 << 20  # scores processed at once: temporaries stay in the cache, however large the layer
GPU_CHUNK = 1 << 24  # on a GPU, which waits for launches: about 200 MiB of temporaries in float32
HALF = 1 << 15

Order = Callable[[Tensor], Tensor]  # scores -> integers in the order to select by


class Spread(NamedTuple):
    """Where the scores of a layer are that this process has: a part of it, or some of a part."""

    part: Part
    among: Tensor | None = None  # row-major positions in the part, of the scores; None: all

    def places(self, index: Tensor) -> Tensor:
        """Returns the positions in the whole layer of these scores."""
        return self.part.places(index if self.among is None else self.among[index])


class NoOrder(ValueError):
    """Weights that are not finite, or scores that are NaN: they cannot be ordered."""


def by_magnitude(scores: Tensor) -> Tensor:
    """Returns integers in the order of |score|: the bits of a float without its sign."""
    bits = scores.view(BIT_VIEW[scores.itemsize])
    return bits & torch.iinfo(bits.dtype).max


def by_value(scores: Tensor) -> Tensor:
    """Returns integers in the order of the scores from -inf to inf, with -0.0 equal to +0.0."""
    if not scores.is_floating_point():
        return scores
    bits = (scores + 0.0).view(BIT_VIEW[scores.itemsize])  # -0.0 + 0.0 is +0.0
    return bits ^ ((bits >> (8 * bits.itemsize - 1)) & torch.iinfo(bits.dtype).max)


def flat_weights(weight: Tensor) -> Tensor:
    """Returns weights flattened to (N,), row-major; of a DTensor this process's part.

    Raises ValueError for another dtype than a float of 16 bits or more, NoOrder for inf and nan.
    """
    weight = local(weight).detach()
    if not weight.is_floating_point() or weight.itemsize not in BIT_VIEW:
        raise ValueError(f"cannot prune {weight.dtype}; use float16, bfloat16, float32 or float64")
    if weight.numel() and not all(bound.isfinite() for bound in weight.aminmax()):
        raise NoOrder("some weights are inf or nan, their magnitudes have no order")
    return weight.contiguous().flatten()


def flat_scores(scores: Tensor) -> Tensor:
    """Returns scores flattened to (N,), row-major.

    Raises ValueError for another dtype than those in ORDERED, NoOrder for nan.
    """
    scores = scores.detach()
    if scores.dtype not in ORDERED:
        raise ValueError(f"scores cannot be {scores.dtype}; use a float or int of 16 bits or more")
    if scores.isnan().any():
        raise NoOrder("some scores are nan, they have no order")
    return scores.contiguous().flatten()


def keep_largest(
    scores: Sequence[Tensor], pruned: int, order: Order, spread: Sequence[Spread] = ()
) -> list[Tensor]:
    """Returns a mask for each layer: False for the `pruned` smallest of all scores, else True.

    scores: of each layer, flat. Among equal scores the first are pruned: those of earlier layers,
    within a layer the earlier ones. spread: of each layer, where processes hold parts; masks are
    of their parts, `pruned` counts all, and these processes call it together.
    """
    masks = [torch.ones_like(layer, dtype=torch.bool) for layer in scores]
    if pruned == 0:
        return masks
    if len({layer.dtype for layer in scores}) > 1:
        scores = [layer.double() for layer in scores]
    threshold, tied, tied_pruned = _select(scores, pruned, order, spread)
    if any(one.part.groups for one in spread):
        _keep_spread(scores, masks, threshold, tied_pruned, order, spread)
        return masks
    for chunk, kept in zip(_chunks(scores), _chunks(masks), strict=True):
        ordered = order(chunk)
        torch.gt(ordered, threshold, out=kept)
        if tied_pruned < tied:
            ties = (ordered == threshold).nonzero().squeeze(1)
            kept[ties[tied_pruned:]] = True
            tied, tied_pruned = tied - len(ties), max(tied_pruned - len(ties), 0)
    return masks


def _keep_spread(
    scores: Sequence[Tensor],
    masks: Sequence[Tensor],
    threshold: int,
    tied_pruned: int,
    order: Order,
    spread: Sequence[Spread],
) -> None:
    """Writes the masks of layers of which processes hold parts.

    The ties to prune are selected by their positions, in the same way as scores.
    """
    ties, places, start = [], [], 0
    for layer, kept, one in zip(scores, masks, spread, strict=True):
        here = [torch.empty(0, dtype=torch.int64, device=layer.device)]
        size = _chunk(layer)
        for begin, chunk in zip(range(0, len(layer), size), _chunks([layer]), strict=False):
            ordered = order(chunk)
            torch.gt(ordered, threshold, out=kept[begin : begin + size])
            here.append((ordered == threshold).nonzero().squeeze(1) + begin)
        ties.append(torch.cat(here))
        places.append(one.places(ties[-1]) + start)
        start += one.part.whole.numel()
    last = _select(places, tied_pruned, by_value, spread)[0]
    for kept, index, place in zip(masks, ties, places, strict=True):
        kept[index] = place > last


def kth_magnitude(weight: Tensor, k: int) -> float:
    """Returns the k-th smallest |w| (1 <= k <= N), exactly, in linear time.

    Raises ValueError for weights that are not finite.
    """
    bits = _select([flat_weights(weight)], k, by_magnitude)[0]
    return torch.tensor(bits, dtype=BIT_VIEW[weight.itemsize]).view(weight.dtype).item()


def _chunks(layers: Sequence[Tensor]) -> Iterator[Tensor]:
    for layer in layers:
        yield from layer.split(_chunk(layer))


def _chunk(layer: Tensor) -> int:
    return CHUNK if layer.device.type == "cpu" else GPU_CHUNK


def _select(
    scores: Sequence[Tensor], rank: int, order: Order, spread: Sequence[Spread] = ()
) -> tuple[int, int, int]:
    """Returns the rank-th smallest score (rank >= 1), as `order` gives it.

    Also returns how many scores equal it, and how many of these are among the rank smallest. It is
    radix selection, 16 bits at a time: a histogram of the top 16 bits gives those of the wanted
    score; the next 16 bits are then counted among the scores that share them. Exact, linear in N,
    with no full-size temporary. Where processes hold parts of layers (`spread`), what they
    exchange are the counts.
    """
    device = scores[0].device
    alike: dict[tuple[str, ...], list[int]] = {}  # layers whose counts are added up together
    for layer in range(len(scores)):
        alike.setdefault(spread[layer].part.key if spread else (), []).append(layer)
    found = 0  # the leading bits of the wanted score
    top = 8 * scores[0].itemsize - 16
    for shift in range(top, -1, -16):
        smallest = -HALF if shift == top and order is not by_magnitude else 0
        histogram = torch.zeros(1 << 16, dtype=torch.int64, device=device)
        for layers in alike.values():
            counts = torch.zeros_like(histogram)
            for chunk in _chunks([scores[layer] for layer in layers]):
                digits = order(chunk) >> shift
                if shift < top:
                    digits = digits[digits >> 16 == found] - (found << 16)
                elif smallest:  # the sign counts
                    digits = digits.int() - smallest
                counts += torch.bincount(digits, minlength=1 << 16).to(device)
            histogram += spread[layers[0]].part.total(counts) if spread else counts
        up_to = histogram.cumsum(0)
        digit = int(torch.searchsorted(up_to, rank))
        tied = int(histogram[digit])
        rank -= int(up_to[digit]) - tied
        found = found << 16 | digit if shift < top else digit + smallest
    return found, tied, rank
