"""Which parameters are pruned, and by which names they are left out."""

import pytest
import torch
from torch import nn
from torch.optim import SGD

from dsd import Sparsifier
from dsd.pruning.targets import prunable

LAYERS = ["conv1.weight", "layer1.0.conv1.weight", "layer1.1.conv1.weight", "fc.weight"]


def sgd(model: nn.Module) -> SGD:
    return SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


def test_defaults_leave_norms_and_biases_dense(net):
    assert list(prunable(net, sgd(net))) == LAYERS


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["conv1"], LAYERS[1:]),  # never layer1.0.conv1
        (["conv1.weight"], LAYERS[1:]),
        ("conv1", LAYERS[1:]),
        (["*.conv1"], [LAYERS[0], LAYERS[3]]),
        (["*conv1"], [LAYERS[3]]),
        (["layer1"], [LAYERS[0], LAYERS[3]]),
        (["layer1.0", "fc"], [LAYERS[0], LAYERS[2]]),
        (["layer1.[1-9]"], [LAYERS[0], LAYERS[1], LAYERS[3]]),
        (["layer1.?.conv1.weight"], [LAYERS[0], LAYERS[3]]),
        (["bn1", "conv1.bias"], LAYERS),  # dense in any case
    ],
)
def test_exclude(net, exclude, left):
    left_over = prunable(net, sgd(net), exclude)
    assert list(left_over) == left
    assert all(parameter is net.get_parameter(name) for name, parameter in left_over.items())


@pytest.mark.parametrize(
    ("entry", "nearest"), [("conv2", "conv1"), ("layer1.0.conv", "layer1.0.conv1"), ("fcc*", "fc")]
)
def test_exclude_that_matches_nothing(net, entry, nearest):
    with pytest.raises(ValueError, match="no module or parameter is named") as raised:
        prunable(net, sgd(net), ["conv1", entry])
    assert f'"{entry}"; the nearest is {nearest}' in str(raised.value)


def test_only_what_the_optimizer_trains(net):
    net.layer1.requires_grad_(False)
    optimizer = SGD([*net.layer1.parameters(), *net.fc.parameters()], lr=0.1)
    assert list(prunable(net, optimizer)) == ["fc.weight"]


def test_nothing_to_prune(net):
    with pytest.raises(ValueError, match="nothing to prune"):
        prunable(net, sgd(net), ["*"])
    with pytest.raises(ValueError, match="nothing to prune"):
        prunable(net, sgd(type(net)()))


def test_tied_weights_are_pruned_once_and_excluded_by_either_name():
    net = nn.Sequential()
    net.add_module("embed", nn.Embedding(7, 4))
    net.add_module("hidden", nn.Linear(4, 4))
    net.add_module("out", nn.Linear(4, 7))
    net.out.weight = net.embed.weight
    assert list(prunable(net, sgd(net))) == ["hidden.weight"]
    for name in ("embed", "out"):
        named = prunable(net, sgd(net), include=[name])
        assert list(named) == ["embed.weight", "hidden.weight"]
        assert list(prunable(net, sgd(net), [name], ["hidden"])) == ["hidden.weight"]


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        torch.compile,
        lambda net: torch.compile(nn.DataParallel(net)),
        lambda net: nn.DataParallel(torch.compile(net)),
    ],
)
def test_wrapped_models_keep_their_plain_names(net, wrap):
    assert list(prunable(wrap(net), sgd(net), ["conv1"])) == LAYERS[1:]


def test_an_exact_name_is_not_a_glob():
    net = nn.ModuleDict({"a[0]": nn.Linear(3, 3), "a0": nn.Linear(3, 3)})
    s = Sparsifier(net, SGD(net.parameters(), 0.1), 0.5, exclude=["a[0]"])
    assert s.layers == ["a0.weight"]


def test_what_is_no_name_and_no_float_is_refused_at_once():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3, dtype=torch.complex64))
    with pytest.raises(ValueError, match=r"take names or globs, not Linear; model\.named_modules"):
        Sparsifier(net, SGD(net.parameters(), 0.1), 0.5, exclude=[net[1]])
    with pytest.raises(ValueError, match=r"^1\.weight: cannot prune torch\.complex64; exclude it"):
        Sparsifier(net, SGD(net.parameters(), 0.1), 0.5)
    for bad in ("0.3", torch.tensor(0.3), None):
        with pytest.raises(ValueError, match="sparsity must be at least 0 and below 1"):
            Sparsifier(net, SGD(net.parameters(), 0.1), bad, exclude=["1"])


def test_a_layer_that_loses_all_of_its_weights_is_named():
    net = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 1))
    s = Sparsifier(net, SGD(net.parameters(), 0.1), 0.97)
    with pytest.warns(UserWarning, match=r"^1\.weight: all of its weights are pruned"):
        s.sparsify()


def test_a_layer_without_weights_can_be_shown():
    net = nn.Sequential(nn.Linear(0, 4))
    s = Sparsifier(net, SGD(net.parameters(), 0.1), 0.5, include=["0.weight"])
    assert s.zeros == 0
    assert "0 of 0 (0.0%)" in str(s)
