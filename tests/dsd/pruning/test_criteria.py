"""Criteria: the registry, and scores drawn at random."""

import sys
import types

import pytest
import torch
from torch import nn

from dsd import Gradual, Sparsifier, blockwise
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


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(16, 6),
        nn.Conv2d(8, 4, 3),
        nn.Conv1d(8, 4, 1),
        nn.ConvTranspose2d(8, 6, 3),
        nn.ConvTranspose1d(8, 4, 2, groups=2),
    ],
)
@pytest.mark.parametrize(("n", "size"), [(2, 4), (1, 4), (1, 2), (4, 8)])
def test_n_of_m(layer, n, size):
    layer.bias = None
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    s = Sparsifier(layer, optimizer, n / size, criterion=blockwise("magnitude", size))
    weight = layer.weight.detach().clone()
    s.sparsify()
    inputs = 0 if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d) else 1
    mask = s.masks["weight"].movedim(inputs, -1).reshape(-1, size)
    assert (mask.sum(1) == size - n).all()
    blocks = weight.movedim(inputs, -1).reshape(-1, size).abs()
    assert (blocks.where(~mask, 0).amax(1) <= blocks.where(mask, torch.inf).amin(1)).all()
    s.densify()


def test_n_of_m_grows_and_is_named():
    layer = nn.Linear(8, 4, bias=False)
    s = Sparsifier(
        layer, torch.optim.SGD(layer.parameters(), 0.1), 0.5, criterion=blockwise("magnitude", 4)
    )
    s.sparsify(gradually=Gradual(steps=3, every=1))
    assert s.state_dict()["gradual"]["criterion"] == "magnitude in blocks of 4"
    with pytest.raises(ValueError, match="8 inputs are no multiple of 3"):
        s.sparsify(criterion=blockwise("magnitude", 3))


@pytest.mark.parametrize("gradually", [None, Gradual(steps=1, every=1)])
def test_n_of_m_of_each_layer_along_its_own_inputs(gradually, monkeypatch):
    library = types.ModuleType("transformers.pytorch_utils")

    class Conv1D(nn.Module):  # as transformers': a linear layer, its weight (inputs, outputs)
        def __init__(self, outputs: int, inputs: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(inputs, outputs))

    library.Conv1D = Conv1D
    monkeypatch.setitem(sys.modules, "transformers.pytorch_utils", library)
    net = nn.Sequential(Conv1D(6, 8), nn.Linear(8, 6), nn.ConvTranspose2d(12, 6, 2))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    s = Sparsifier(net, optimizer, 0.5, criterion=blockwise("magnitude", 4), schedule=gradually)
    s.sparsify()
    optimizer.step()
    for name, inputs in {"0.weight": 0, "1.weight": 1, "2.weight": 0}.items():
        assert (s.masks[name].movedim(inputs, -1).reshape(-1, 4).sum(1) == 2).all(), name


def test_n_of_m_hides_no_weight_that_is_not_finite():
    layer = nn.Linear(8, 4)
    for value in (torch.nan, torch.inf):
        with torch.no_grad():
            layer.weight[1, 2] = value
        s = Sparsifier(layer, torch.optim.SGD(layer.parameters(), 0.1), 0.5)
        for criterion in ("magnitude", blockwise("magnitude", 4)):
            with pytest.raises(ValueError, match=r"^weight: some (weights|scores) are"):
                s.sparsify(criterion=criterion)
        assert not s.active


def test_n_of_m_of_what_has_no_inputs_is_refused():
    net = nn.Sequential(nn.Linear(8, 4))
    s = Sparsifier(
        net,
        torch.optim.SGD(net.parameters(), 0.1),
        0.5,
        include=["0.bias"],
        criterion=blockwise("magnitude", 4),
    )
    with pytest.raises(ValueError, match=r"^0\.bias: a weight of shape \(4,\) has no inputs"):
        s.sparsify()
