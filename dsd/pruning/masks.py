"""Masks: which weights of each layer stay, chosen by a criterion to an exact count.

One convention everywhere: a mask is a bool tensor of its weight's shape, **True = kept**.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from dsd.pruning.criteria import Blockwise, Criterion, magnitude, random
from dsd.pruning.distribution import Group, pruned_count
from dsd.pruning.parametrized import Source, spare
from dsd.pruning.selection import (
    NoOrder,
    Spread,
    by_magnitude,
    by_value,
    flat_scores,
    flat_weights,
    keep_largest,
)
from dsd.pruning.sharded import as_part, is_sharded, local, part_of, totals


@torch.no_grad()
def choose(
    weights: Mapping[str, nn.Parameter],
    groups: Iterable[Group],
    criterion: Criterion,
    generator: torch.Generator | None = None,
    *,
    share: float = 1.0,
    held: Mapping[str, Tensor] | None = None,
    sources: Mapping[str, Source] | None = None,
    inputs_first: Container[str] = (),
) -> dict[str, Tensor]:
    """Returns masks by name that prune each group of layers to its sparsity, smallest scores first.

    Masks, given and returned, are of the parts that this process holds, where weights are DTensors.
    generator: what the criterion draws from, layer after layer. share: the part of each sparsity to
    prune now, below 1 in the middle of a gradual schedule. held: masks whose pruned weights stay
    pruned and count towards the sparsity. sources: of the parameters from which a layer computes
    its weight; magnitudes are then those of the layer's weight, and no norm loses all of its
    weights. inputs_first: the weights whose first axis is the layer's inputs. Raises ValueError,
    naming the layer, for weights or scores that cannot be ordered, for scores of another shape, and
    for a sparsity that leaves a norm without weights.
    """
    sources = sources or {}
    masks: dict[str, Tensor] = {}
    order = by_magnitude if criterion is magnitude else by_value
    for layers, sparsity in groups:
        group = {name: weights[name] for name in layers}
        scores = _all_scores(group, criterion, generator, sources, inputs_first)
        pruned = pruned_count(sum(map(Tensor.numel, group.values())), sparsity * share)
        parts = [part_of(weight) for weight in group.values()]
        if held is None:
            kept = keep_largest(scores, pruned, order, [Spread(part) for part in parts])
        else:
            still = [held[n].flatten().to(s.device) for n, s in zip(layers, scores, strict=True)]
            gone = {n: int((~mask).count_nonzero()) for n, mask in zip(layers, still, strict=True)}
            pruned -= sum(totals(gone, group).values())
            left = [s[mask] for s, mask in zip(scores, still, strict=True)]
            spread = [
                Spread(part, mask.nonzero().squeeze(1) if part.groups else None)
                for part, mask in zip(parts, still, strict=True)
            ]
            chosen = keep_largest(left, max(pruned, 0), order, spread)
            kept = [m.masked_scatter(m, new) for m, new in zip(still, chosen, strict=True)]
        for name, mask in zip(layers, kept, strict=True):
            weight = local(weights[name])
            masks[name] = mask.view(weight.shape).to(weight.device)
            if name in sources and not masks[name].any(sources[name].norms).all():
                raise ValueError(
                    f"{name}: at sparsity {sparsity} a whole norm would be pruned, and its weights "
                    "would be NaN; lower its sparsity or exclude it"
                )
    return masks


def magnitude_mask(weight: Tensor, sparsity: float) -> Tensor:
    """Returns the mask that prunes the smallest magnitudes of one layer (the paper's Algorithm 1).

    weight: any shape, strides and device; float16, bfloat16, float32 or float64. sparsity: fraction
    of zeros, 0 <= sparsity < 1. The mask (True = kept) prunes exactly round(N * sparsity) weights.
    The paper prunes all at or below the k-th magnitude: too many where magnitudes tie, as the zeros
    of an already sparse layer do. Here, among equal magnitudes, the first in row-major order are
    pruned, whatever the strides. Raises ValueError for a sparsity out of range and for weights that
    are not finite.
    """
    pruned = pruned_count(weight.numel(), sparsity)
    return keep_largest([flat_weights(weight)], pruned, by_magnitude)[0].view(weight.shape)


def random_mask(weight: Tensor, sparsity: float, generator: torch.Generator) -> Tensor:
    """Returns a mask that prunes round(N * sparsity) weights drawn uniformly: the random control.

    They are drawn on the generator's device, so one seed gives one mask wherever the weights are,
    whatever their values. Raises ValueError for a sparsity out of range.
    """
    pruned = pruned_count(weight.numel(), sparsity)
    mask = keep_largest([random(weight, generator).flatten()], pruned, by_value)[0]
    return mask.view(weight.shape).to(weight.device)


def _all_scores(
    weights: Mapping[str, nn.Parameter],
    criterion: Criterion,
    generator: torch.Generator | None,
    sources: Mapping[str, Source],
    inputs_first: Container[str],
) -> list[Tensor]:
    """Returns the scores of layers, flat. Processes that hold parts of them all raise, or none."""
    scores: list[Tensor] = []
    fault: ValueError | None = None
    try:
        for name, weight in weights.items():
            own = criterion
            if isinstance(criterion, Blockwise) and name in inputs_first:
                own = replace(criterion, inputs=0)
            scores.append(_scores(name, weight, own, generator, sources.get(name)))
    except ValueError as error:
        fault = error
    divided = {name: weight for name, weight in weights.items() if is_sharded(weight)}
    faults = totals(dict.fromkeys(divided, int(fault is not None)), divided)
    without = totals(dict.fromkeys(divided, int(isinstance(fault, NoOrder))), divided)
    if fault is not None:
        raise fault
    for name in divided:
        if without[name]:
            raise NoOrder(f"{name}: another process holds weights or scores that have no order")
        if faults[name]:
            raise ValueError(f"{name}: another process's part cannot be scored, see its error")
    return scores


def _scores(
    name: str,
    weight: nn.Parameter,
    criterion: Criterion,
    generator: torch.Generator | None,
    source: Source | None,
) -> Tensor:
    try:
        if criterion is magnitude:  # compares the weights' bits, without a copy of the layer
            if source is None:
                return flat_weights(weight)
            scores = source.weight().abs()
            flat_weights(scores)  # raises if they have no order
            return spare(scores, source.norms).flatten()
        scores = criterion(weight, generator)
        if scores.shape != weight.shape:
            raise ValueError(
                f"scores have the weight's shape {tuple(weight.shape)}, not {tuple(scores.shape)}"
            )
        if is_sharded(weight):
            if not is_sharded(scores):
                raise ValueError("scores of a DTensor are a DTensor, of no process's part alone")
            scores = as_part(scores, weight)
        if source is not None:
            scores = spare(scores.detach(), source.norms)
        return flat_scores(scores)
    except ValueError as error:
        kind = NoOrder if isinstance(error, NoOrder) else ValueError
        raise kind(f"{name}: {error}") from error
