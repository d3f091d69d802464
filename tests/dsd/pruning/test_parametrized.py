"""Weights that layers compute: they have the zeros that were asked for, or there is an error."""

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm
from torch.nn.utils.parametrize import register_parametrization
from torch.optim import SGD

from dsd import Gradual, Sparsifier

LAYERS = {
    "linear": lambda: nn.Linear(8, 6),
    "conv1d": lambda: nn.Conv1d(3, 6, 4),
    "conv2d": lambda: nn.Conv2d(3, 10, 3),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 2),
    "bilinear": lambda: nn.Bilinear(3, 4, 5),
}
NORMS = {
    "weight_norm": lambda layer: parametrizations.weight_norm(layer),
    "weight_norm, dim 1": lambda layer: parametrizations.weight_norm(layer, dim=1),
    "weight_norm of all": lambda layer: parametrizations.weight_norm(layer, dim=None),
    "old weight_norm": lambda layer: weight_norm(layer),
    "spectral_norm": lambda layer: parametrizations.spectral_norm(layer),
    "old spectral_norm": lambda layer: spectral_norm(layer),
}
INPUTS = {
    "linear": [(5, 8)],
    "conv1d": [(5, 3, 9)],
    "conv2d": [(5, 3, 6, 6)],
    "transposed": [(5, 4, 5, 5)],
    "bilinear": [(5, 3), (5, 4)],
}


class Scaled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 3 * weight


class Symmetric(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.triu() + weight.triu(1).T


class Positive(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.exp()


class LowRank(nn.Module):
    """Adds a product that is 0 until it is trained (Hu et al., 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(2, 6))
        self.b = nn.Parameter(torch.zeros(6, 2))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.b @ self.a


class Noisy(nn.Module):
    """Keeps zeros, and draws random numbers; its gain is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(6, 1))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * self.gain.exp() * (1 + torch.rand(6, 6))


class Broken(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        if (weight == 0).any():
            raise ZeroDivisionError
        return weight


def build(layer: str, norm: str) -> nn.Module:
    torch.manual_seed(0)
    return NORMS[norm](LAYERS[layer]())


def step(model: nn.Module, layer: str, optimizer: SGD) -> None:
    optimizer.zero_grad()
    model(*(torch.randn(shape) for shape in INPUTS[layer])).square().mean().backward()
    optimizer.step()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(LAYERS)),
    st.sampled_from(sorted(NORMS)),
    st.floats(0.05, 0.7),
    st.sampled_from(["magnitude", "random"]),
    st.booleans(),
)
def test_the_layers_weight_has_the_zeros_asked_for(layer, norm, sparsity, criterion, row):
    model = build(layer, norm)
    if row:  # the first row is so small that it would be pruned whole
        for name, weight in model.named_parameters():
            if name.endswith(("_v", "original1", "_orig", "original")):
                with torch.no_grad():
                    weight[0].mul_(1e-3)
    optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9)
    s = Sparsifier(model, optimizer, sparsity)
    step(model, layer, optimizer)
    s.sparsify(criterion=criterion, generator=torch.Generator().manual_seed(0))
    (mask,) = s.masks.values()
    for _ in range(3):
        step(model, layer, optimizer)
        model(*(torch.randn(shape) for shape in INPUTS[layer]))
        assert model.weight.isfinite().all()
        assert torch.equal(model.weight != 0, mask)
        assert int((model.weight == 0).sum()) == round(mask.numel() * sparsity)


def test_weight_norm_prunes_the_smallest_of_the_layers_weight():
    """Its rows have other scales than those of the parameter."""
    model = build("linear", "weight_norm")
    with torch.no_grad():
        model.parametrizations.weight.original0.mul_(torch.logspace(0, 1, 6).unsqueeze(1))
    weight = model.weight.detach().clone()
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.25)
    s.sparsify()
    (mask,) = s.masks.values()
    assert weight[~mask].abs().max() < weight[mask].abs().min()


def test_gains_are_left_dense_and_filters_live():
    model = build("conv2d", "weight_norm")
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.3)
    s.sparsify()
    assert s.layers == ["parametrizations.weight.original1"]
    assert int((model.weight == 0).sum()) == 81  # of 270
    assert model.weight.flatten(1).any(1).all()


def test_a_row_that_would_be_pruned_whole():
    torch.manual_seed(0)
    model = nn.Linear(8, 4)
    with torch.no_grad():
        model.weight[2].mul_(1e-3)
    model = parametrizations.weight_norm(model)
    with torch.no_grad():
        model.parametrizations.weight.original1[2].mul_(1e-3)
    gain = ["parametrizations.weight.original0"]
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.3, exclude=gain)
    s.sparsify()
    assert model(torch.randn(3, 8)).isfinite().all()
    assert int((model.weight == 0).sum()) == round(0.3 * 32)
    assert int((model.weight[2] != 0).sum()) == 1


def test_a_sparsity_that_leaves_a_norm_without_weights_is_refused():
    model = build("linear", "weight_norm")
    before = copy.deepcopy(model.state_dict())
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.95)  # 46 of 48 in 6 rows
    with pytest.raises(
        ValueError, match=r"original1: at sparsity 0\.95 a whole norm would be pruned"
    ):
        s.sparsify()
    assert not s.active
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_masks_grow_under_weight_norm():
    model = build("linear", "weight_norm")
    optimizer = SGD(model.parameters(), lr=0.01)
    s = Sparsifier(model, optimizer, 0.8, schedule=Gradual(steps=6, every=1))
    s.sparsify()
    for _ in range(6):
        step(model, "linear", optimizer)
        assert model.weight.isfinite().all()
    assert int((model.weight == 0).sum()) == round(0.8 * 48)


@pytest.mark.parametrize(
    "kind", ["orthogonal", "symmetric", "positive", "broken", "low rank", "two"]
)
def test_what_does_not_keep_zeros_is_refused_by_name(kind):
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    if kind == "orthogonal":
        parametrizations.orthogonal(net[1])
    parts = {
        "symmetric": [Symmetric],
        "positive": [Positive],
        "broken": [Broken],
        "low rank": [LowRank],
        "two": [Scaled, Positive],
    }
    for part in parts.get(kind, []):
        register_parametrization(net[1], "weight", part())
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=r"^1\.parametrizations\.weight\.original: .* exclude it"):
        Sparsifier(net, SGD(net.parameters(), 0.1), 0.5)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert Sparsifier(net, SGD(net.parameters(), 0.1), 0.5, exclude="1").layers == ["0.weight"]


def test_one_of_ones_own_that_keeps_zeros():
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    register_parametrization(net[1], "weight", Scaled())
    register_parametrization(net[1], "weight", Scaled())
    s = Sparsifier(net, SGD(net.parameters(), 0.1), 0.5)
    s.sparsify()
    assert s.layers == ["0.weight", "1.parametrizations.weight.original"]
    assert int((net[1].weight == 0).sum()) == 18


def test_the_trial_draws_no_numbers_of_the_training():
    net = nn.Sequential(nn.Linear(6, 6))
    register_parametrization(net[0], "weight", Noisy())
    before = torch.get_rng_state()
    s = Sparsifier(net, SGD(net.parameters(), 0.1), 0.5)
    assert torch.equal(torch.get_rng_state(), before)
    assert s.layers == ["0.parametrizations.weight.original"]


def test_spectral_norms_buffers_do_not_move():
    model = build("conv2d", "spectral_norm")
    model.train()
    s = Sparsifier(model, SGD(model.parameters(), 0.1), 0.5)
    before = {name: value.clone() for name, value in model.named_buffers()}
    s.sparsify()
    assert all(torch.equal(before[name], value) for name, value in model.named_buffers())
    assert all(module.training for module in model.modules())


def test_a_recurrent_layer_under_weight_norm():
    lstm = parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    s = Sparsifier(lstm, SGD(lstm.parameters(), 0.1), 0.5)
    assert s.layers == ["weight_ih_l0", "parametrizations.weight_hh_l0.original1"]
    s.sparsify()
    assert int((lstm.weight_hh_l0 == 0).sum()) == 32


def test_it_is_copied_and_pickled():
    model = build("linear", "old weight_norm")
    optimizer = SGD(model.parameters(), lr=0.01)
    s = Sparsifier(model, optimizer, 0.5)
    s.sparsify()
    for how in (copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))):
        with torch.no_grad():
            model.weight = model.weight.detach()  # torch copies no computed tensor
        copied, optimizer2, s2 = how((model, optimizer, s))
        step(copied, "linear", optimizer2)
        assert not copied.weight_v[~s2.masks["weight_v"]].any()
