"""Criteria: which weights are pruned. Each gives a layer's weights a score; the smallest go.

To add one, write a function below and its line in CRITERIA. Or give Sparsifier your own function:

    def taylor(weight, generator):
        return (weight * weight.grad).abs()

    s = Sparsifier(model, optimizer, sparsity=0.5, criterion=taylor)
"""

from collections.abc import Callable
from difflib import get_close_matches

import torch
from torch import Tensor, nn

# (weight, generator) -> scores of the weight's shape; it may also use weight.grad.
Criterion = Callable[[nn.Parameter, torch.Generator | None], Tensor]


def magnitude(weight: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Returns |w|, the criterion of Algorithm 1 (Han et al., ICLR 2017)."""
    return weight.detach().abs()


def random(weight: Tensor, generator: torch.Generator | None) -> Tensor:
    """Returns scores drawn uniformly, whatever the weights' values: the random control.

    They are drawn on the generator's device, so one seed gives one mask wherever the weights are.
    Raises ValueError without a generator.
    """
    if generator is None:
        raise ValueError("random scores are drawn from a generator, but none is given")
    scores = torch.empty(weight.shape, dtype=torch.int32, device=generator.device)
    return scores.random_(generator=generator)


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
    return getattr(criterion, "__name__", type(criterion).__name__)
