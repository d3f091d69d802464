"""Which weights matter: a criterion gives each weight of a layer a score, and the larger stay.

A new one is a function below and its entry in CRITERIA, or a function of one's own:

    def taylor(weight, generator):
        return (weight * weight.grad).abs()

    s = Sparsifier(model, optimizer, sparsity=0.5, criterion=taylor)
"""

from collections.abc import Callable
from difflib import get_close_matches

import torch
from torch import Tensor, nn

# (weight, generator) -> scores of the weight's shape; `weight.grad` is at hand.
Criterion = Callable[[nn.Parameter, torch.Generator | None], Tensor]


def magnitude(weight: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """|w|, Algorithm 1 of the paper."""
    return weight.detach().abs()


def random(weight: Tensor, generator: torch.Generator | None) -> Tensor:
    """Drawn uniformly, the random control; ValueError without a generator.

    Drawn on the generator's device, so one seed gives one mask wherever the weights are; their
    values play no part.
    """
    if generator is None:
        raise ValueError("random scores are drawn from a generator, but none is given")
    scores = torch.empty(weight.shape, dtype=torch.int32, device=generator.device)
    return scores.random_(generator=generator)


CRITERIA: dict[str, Criterion] = {"magnitude": magnitude, "random": random}


def criterion_of(criterion: str | Criterion) -> Criterion:
    """The function of that name, or the function itself; ValueError naming the nearest name."""
    if callable(criterion):
        return criterion
    if criterion not in CRITERIA:
        nearest = get_close_matches(str(criterion), CRITERIA, n=1, cutoff=0)
        raise ValueError(f"no criterion is called {criterion!r}; the nearest is {nearest[0]!r}")
    return CRITERIA[criterion]


def name_of(criterion: Criterion) -> str:
    """Its name in CRITERIA, or that of the function."""
    for name, known in CRITERIA.items():
        if known is criterion:
            return name
    return getattr(criterion, "__name__", type(criterion).__name__)
