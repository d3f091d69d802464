"""Criteria: the registry, and scores drawn at random."""

import pytest
import torch
from torch import nn

from dsd.pruning.criteria import CRITERIA, criterion_of, magnitude, name_of, random


def mine(weight: nn.Parameter, generator: torch.Generator | None) -> torch.Tensor:
    return weight


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_scores_any_weight(name):
    weight = nn.Parameter(torch.randn(3, 4, 5).transpose(0, 2))
    before = weight.detach().clone()
    scores = CRITERIA[name](weight, torch.Generator().manual_seed(0))
    assert scores.shape == weight.shape
    assert not scores.requires_grad
    assert torch.equal(weight, before)


def test_names_and_functions():
    for name, criterion in CRITERIA.items():
        assert criterion_of(name) is criterion_of(criterion) is criterion
        assert name_of(criterion) == name
    assert criterion_of(mine) is mine
    assert name_of(mine) == "mine"
    with pytest.raises(ValueError, match="'magnitud'; the nearest is 'magnitude'"):
        criterion_of("magnitud")


def test_magnitude():
    weight = nn.Parameter(torch.tensor([[1.0, -2.0], [-0.0, 3.0]]))
    assert magnitude(weight).tolist() == [[1, 2], [0, 3]]


def test_random_scores_tell_nothing_of_the_weights():
    one, other = (
        random(weight, torch.Generator().manual_seed(0))
        for weight in (torch.zeros(50, 2), torch.full((50, 2), torch.nan))
    )
    assert torch.equal(one, other)
    assert len(one.unique()) == 100
    with pytest.raises(ValueError, match="none is given"):
        random(torch.zeros(2), None)
