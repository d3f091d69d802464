"""Copies, and state saved and loaded."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from dsd import Sparsifier

OPTIMIZERS = {
    "sgd": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-2),
    "rmsprop": lambda p: RMSprop(p, lr=0.01, momentum=0.9, centered=True),
    "adam": lambda p: Adam(p, lr=0.01),
    "adamw": lambda p: AdamW(p, lr=0.01, foreach=True),
}


def sgd(model: nn.Module) -> SGD:
    return SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


def test_a_copied_optimizer_is_noticed(net, train, assert_held):
    s = Sparsifier(net, sgd(net), sparsity=0.5)
    s.sparsify()
    state = s.state_dict()
    other = sgd(net)  # as a copy would, it steps without the hook
    train(net, other)
    for use in (s.state_dict, s.densify, s.sparsify):
        with pytest.raises(RuntimeError, match=r"conv1\.weight: 54 pruned weights .* copy model"):
            use()
    attached = Sparsifier(net, other, sparsity=0.5)  # the remedy that the message names
    attached.load_state_dict(state)
    train(net, other)
    assert_held(attached, net, 0.5)


def test_a_pruned_weight_that_turned_minus_zero_is_noticed(net):
    s = Sparsifier(net, sgd(net), sparsity=0.5)
    s.sparsify()
    with torch.no_grad():
        net.fc.weight.mul_(-1)
    with pytest.raises(RuntimeError, match=r"fc\.weight: 10 pruned weights are not \+0\.0"):
        s.state_dict()


@pytest.mark.parametrize("how", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_copied_together_they_stay_together(net, how, order, train, assert_held):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    optimizer.register_step_post_hook(lambda *_: None)  # another's, that cannot be pickled
    s.sparsify()
    train(net, optimizer)
    three = (net, optimizer, s)
    copied = dict(zip(order, how(tuple(three[i] for i in order)), strict=True))
    net2, optimizer2, s2 = copied[0], copied[1], copied[2]
    before = copy.deepcopy(net.state_dict())
    train(net2, optimizer2)
    assert_held(s2, net2, 0.5)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    s2.densify()
    train(net2, optimizer2)
    assert net2.fc.weight.all()
    train(net, optimizer)
    assert_held(s, net, 0.5)


def test_a_copied_model_is_plain(net, train):
    optimizer = sgd(net)
    Sparsifier(net, optimizer, sparsity=0.5).sparsify()
    plain = copy.deepcopy(net)
    train(plain, sgd(plain))
    assert plain.fc.weight.all()
    assert int((net.fc.weight == 0).sum()) == 10


def test_loading_the_optimizers_state_keeps_the_hook(net, train, assert_held):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()
    train(net, optimizer)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(net, optimizer)
    assert_held(s, net, 0.5)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("momentum", ["pruned", "reset", "keep"])
def test_a_resumed_run_equals_an_uninterrupted_one(net, name, momentum, train, assert_held):
    def start(model: nn.Module) -> tuple[torch.optim.Optimizer, Sparsifier]:
        optimizer = OPTIMIZERS[name](model.parameters())
        return optimizer, Sparsifier(model, optimizer, sparsity=0.5, momentum=momentum)

    optimizer, s = start(net)
    train(net, optimizer)
    s.sparsify()
    train(net, optimizer)
    file = io.BytesIO()
    torch.save([part.state_dict() for part in (net, optimizer, s)], file)

    resumed = type(net)()
    optimizer2, s2 = start(resumed)
    file.seek(0)
    parts = (resumed, optimizer2, s2)
    for part, state in zip(parts, torch.load(file, weights_only=True), strict=True):
        part.load_state_dict(state)

    for model, o, sparsifier in ((net, optimizer, s), parts):
        train(model, o)
        assert_held(sparsifier, model, 0.5)
        sparsifier.densify()
        train(model, o)
        sparsifier.sparsify(0.25)
        train(model, o)
    for one, other in zip(net.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_loading_applies_the_masks_at_once_and_leaves_the_optimizer_alone(net, train, assert_held):
    s = Sparsifier(net, sgd(net), sparsity=0.5)
    s.sparsify()
    state = s.state_dict()
    other = type(net)()
    optimizer = sgd(other)
    train(other, optimizer)
    before = optimizer.state[other.fc.weight]["momentum_buffer"].clone()
    s2 = Sparsifier(other, optimizer, sparsity=0.1)
    s2.load_state_dict(state)
    assert_held(s2, other, 0.5)
    assert torch.equal(optimizer.state[other.fc.weight]["momentum_buffer"], before)


def test_loading_the_state_of_a_dense_model_drops_the_masks(net, train):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    dense = s.state_dict()
    s.sparsify()
    s.load_state_dict(dense)
    assert not s.active
    train(net, optimizer)
    assert net.fc.weight.all()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: m.pop("fc.weight"), r"^fc\.weight has no mask in the saved state"),
        (lambda m: m.update(fd=m["fc.weight"]), r"^fd is not prunable but in the saved state"),
        (lambda m: m.update({"fc.weight": m["fc.weight"].T}), r"^fc\.weight: .*\(4, 5\).*\(5, 4\)"),
        (lambda m: m.update({"fc.weight": m["fc.weight"].float()}), r"^fc\.weight: .*float32"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(net, spoil, message):
    s = Sparsifier(net, sgd(net), sparsity=0.5)
    s.sparsify()
    state = {"masks": s.masks}
    s.finish()
    spoil(state["masks"])
    with pytest.raises(ValueError, match=message):
        s.load_state_dict(state)
    assert not s.active


def test_a_state_of_earlier_versions_is_read(net, train, assert_held):
    """It has bool masks; the present one has a bit for each weight."""
    s = Sparsifier(net, sgd(net), sparsity=0.5)
    s.sparsify()
    state, old = s.state_dict(), {"masks": s.masks}
    sizes = {
        name: (saved["bits"].dtype, saved["bits"].numel()) for name, saved in state["masks"].items()
    }
    assert sizes["fc.weight"] == (torch.uint8, 3)  # 20 bits
    assert {name: tuple(saved["shape"]) for name, saved in state["masks"].items()} == {
        name: tuple(mask.shape) for name, mask in old["masks"].items()
    }
    s.finish()
    for saved in (old, state):
        optimizer = sgd(net)
        other = Sparsifier(net, optimizer, sparsity=0.1)
        other.load_state_dict(saved)
        train(net, optimizer)
        assert_held(other, net, 0.5)
        assert all(torch.equal(mask, old["masks"][name]) for name, mask in other.masks.items())
        other.finish()


def test_a_state_of_something_else(net):
    with pytest.raises(ValueError, match="not the state of a Sparsifier"):
        Sparsifier(net, sgd(net), sparsity=0.5).load_state_dict(net.state_dict())


def test_report(net):
    s = Sparsifier(net, sgd(net), sparsity=0.3, exclude=["layer1"])
    dense = {
        "conv1.weight": {"weights": 108, "kept": 108},
        "fc.weight": {"weights": 20, "kept": 20},
    }
    assert s.report() == dense
    s.sparsify()
    assert s.report() == {
        "conv1.weight": {"weights": 108, "kept": 76},
        "fc.weight": {"weights": 20, "kept": 14},
    }
    s.densify()
    assert s.report() == dense
