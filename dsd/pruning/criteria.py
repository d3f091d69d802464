"""Criteria: which weights are pruned. Each gives a layer's weights a score; the smallest go.

To add one, write a function below and its line in CRITERIA. Or give Sparsifier your own function:

    def taylor(weight, generator):
        return (weight * weight.grad).abs()

    s = Sparsifier(model, optimizer, sparsity=0.5, criterion=taylor)
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # recipes are read without torch, and they name criteria
    import torch
    from torch import Tensor, nn

DRAWN = 1 << 20  # random scores drawn at once for a part of a layer

# (weight, generator) -> scores of the weight's shape; it may also use weight.grad.
Criterion = Callable[["nn.Parameter", "torch.Generator | None"], "Tensor"]


def magnitude(weight: "Tensor", generator: "torch.Generator | None" = None) -> "Tensor":
    """Returns |w|, the criterion of Algorithm 1 (Han et al., ICLR 2017)."""
    return weight.detach().abs()


def random(weight: "Tensor", generator: "torch.Generator | None") -> "Tensor":
    """Returns scores drawn uniformly, whatever the weights' values: the random control.

    They are drawn on the generator's device, so one seed gives one mask wherever the weights are.
    Raises ValueError without a generator, and for a DTensor with one on a GPU.
    """
    if generator is None:
        raise ValueError("random scores are drawn from a generator, but none is given")
    import torch

    from dsd.pruning.sharded import is_sharded

    if is_sharded(weight):
        return _random_part(weight, generator)
    scores = torch.empty(weight.shape, dtype=torch.int32, device=generator.device)
    return scores.random_(generator=generator)


def _random_part(weight: "Tensor", generator: "torch.Generator") -> "Tensor":
    """Draws a DTensor's scores as a plain tensor's, some rows at a time, and keeps its part."""
    import torch

    from dsd.pruning.sharded import like, local, part_of

    if generator.device.type != "cpu":
        raise ValueError(
            "random scores of weights that are split are drawn on the CPU; give a "
            "generator of the CPU"
        )
    part = part_of(weight)
    scores = torch.empty(part.shape, dtype=torch.int32)
    rows = max(1, DRAWN // max(1, part.whole[1:].numel()))
    first, last = part.offset[0], part.offset[0] + part.shape[0]
    for start in range(0, part.whole[0], rows):
        stop = min(start + rows, part.whole[0])
        drawn = torch.empty(stop - start, *part.whole[1:], dtype=torch.int32)
        drawn.random_(generator=generator)
        low, high = max(start, first), min(stop, last)
        if low < high:
            for axis in range(1, drawn.dim()):
                drawn = drawn.narrow(axis, part.offset[axis], part.shape[axis])
            scores[low - first : high - first] = drawn[low - start : high - start]
    return like(scores.to(local(weight).device), weight)


@dataclass(frozen=True)
class Blockwise:
    """A criterion that ranks weights within blocks along a layer's inputs, see `blockwise`."""

    scores_of: Criterion
    size: int
    inputs: int = 1  # the weight's axis; `choose` sets it for layers that have another

    @property
    def __name__(self) -> str:
        """Returns the name that states of gradual schedules have."""
        return f"{name_of(self.scores_of)} in blocks of {self.size}"

    def __call__(self, weight: "nn.Parameter", generator: "torch.Generator | None") -> "Tensor":
        """Returns the ranks, of the weight's shape."""
        from dsd.pruning.selection import flat_scores, flat_weights
        from dsd.pruning.sharded import like, local, part_of

        axis, size = self.inputs, self.size
        if weight.dim() <= axis:
            raise ValueError(f"a weight of shape {tuple(weight.shape)} has no inputs; exclude it")
        scores, part = self.scores_of(weight, generator), part_of(weight)
        here, whole = part.shape[axis], part.whole[axis]
        if part.offset[axis] % size or (here % size and here != whole):
            raise ValueError(f"processes share blocks of {size} inputs")
        if whole % size:
            raise ValueError(f"{whole} inputs are no multiple of {size}")
        scores = local(scores)
        check = flat_weights if self.scores_of is magnitude else flat_scores
        check(scores)  # raises if they have no order, which ranks would hide
        scores = scores.movedim(axis, -1)
        order = scores.reshape(-1, size).argsort(dim=1, stable=True)
        ranks = order.argsort(dim=1).int().view(scores.shape).movedim(-1, axis)
        return like(ranks, weight)


def blockwise(criterion: str | Criterion, size: int) -> Blockwise:
    """Returns a criterion that ranks weights within blocks of `size` along a layer's inputs.

    So sparsity n / size prunes exactly n of each block: blockwise("magnitude", 4) at 0.5 is 2:4.
    Inputs are a weight's second axis; the first in a transposed convolution and in transformers'
    Conv1D. Scores are ranks, the smallest first, ties by position. Raises ValueError for a layer
    whose inputs are no multiple of `size`.
    """
    return Blockwise(criterion_of(criterion), size)


CRITERIA: dict[str, Criterion] = {"magnitude": magnitude, "random": random}


def criterion_of(criterion: str | Criterion) -> Criterion:
    """Returns the function of a name in CRITERIA; a function is returned as it is.

    Raises ValueError for an unknown name, with the nearest known one.
    """
    if callable(criterion):
        return criterion
    if criterion not in CRITERIA:
        nearest = get_close_matches(str(criterion), CRITERIA, n=1, cutoff=0)
        raise ValueError(f"no criterion is called {criterion!r}; the nearest is {nearest[0]!r}")
    return CRITERIA[criterion]


def name_of(criterion: Criterion) -> str:
    """Returns a criterion's name in CRITERIA, or the function's own name."""
    for name, known in CRITERIA.items():
        if known is criterion:
            return name
    own: str = getattr(criterion, "__name__", type(criterion).__name__)
    return f"{own}, not dsd's" if own in CRITERIA else own
