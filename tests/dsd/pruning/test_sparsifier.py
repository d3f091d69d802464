"""Algorithm 1 in loops that know nothing of it: masks, rounds, momentum."""

import copy

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from dsd import Sparsifier, magnitude_mask
from dsd.training.optimizers import RMSpropEpsInside

OPTIMIZERS = {
    "sgd": lambda p: SGD(p, lr=0.1),
    "sgd momentum": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-2),
    "sgd nesterov": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-2),
    "sgd for-loop": lambda p: SGD(p, lr=0.1, momentum=0.9, foreach=False),
    "sgd foreach": lambda p: SGD(p, lr=0.1, momentum=0.9, foreach=True),
    "sgd fused": lambda p: SGD(p, lr=0.1, momentum=0.9, fused=True),
    "rmsprop": lambda p: RMSprop(p, lr=0.01),
    "rmsprop centered": lambda p: RMSprop(p, lr=0.01, momentum=0.9, centered=True),
    "rmsprop eps inside": lambda p: RMSpropEpsInside(p, lr=0.01),
    "rmsprop foreach": lambda p: RMSprop(p, lr=0.01, momentum=0.9, foreach=True),
    "adam": lambda p: Adam(p, lr=0.01, weight_decay=1e-2),
    "adam amsgrad": lambda p: Adam(p, lr=0.01, amsgrad=True),
    "adam foreach": lambda p: Adam(p, lr=0.01, foreach=True),
    "adam fused": lambda p: Adam(p, lr=0.01, fused=True),
    "adamw": lambda p: AdamW(p, lr=0.01),
    "adamw foreach": lambda p: AdamW(p, lr=0.01, foreach=True),
    "adamw fused": lambda p: AdamW(p, lr=0.01, fused=True),
}
LAYERS = ["conv1.weight", "layer1.0.conv1.weight", "layer1.1.conv1.weight", "fc.weight"]


def sgd(model: nn.Module) -> SGD:
    return SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_dense_sparse_dense(net, name, train, assert_held):
    optimizer = OPTIMIZERS[name](net.parameters())
    s = Sparsifier(net, optimizer, sparsity=0.5)
    train(net, optimizer)
    expected = {n: magnitude_mask(net.get_parameter(n), 0.5) for n in LAYERS}
    s.sparsify()
    assert s.active
    assert all(torch.equal(s.masks[n], expected[n]) for n in LAYERS)
    assert_held(s, net, 0.5)
    for _ in range(4):
        train(net, optimizer, 1)
        assert_held(s, net, 0.5)
    s.densify()
    assert not s.active
    assert s.masks == {}
    train(net, optimizer)
    assert all(net.get_parameter(n).all() for n in LAYERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("bad", [float("inf"), -float("inf"), float("nan"), -1.0])
def test_pruned_weights_survive_any_gradient(net, name, bad, train, assert_held):
    optimizer = OPTIMIZERS[name](net.parameters())
    s = Sparsifier(net, optimizer, sparsity=0.5)
    train(net, optimizer)
    s.sparsify()
    for _ in range(2):
        for layer, mask in s.masks.items():
            weight = net.get_parameter(layer)
            weight.grad = torch.ones_like(weight).masked_fill_(~mask, bad)
        optimizer.step()
        assert_held(s, net, 0.5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_dtypes_and_layouts(net, dtype, assert_held):
    net = net.to(dtype, memory_format=torch.channels_last)
    optimizer = Adam(net.parameters(), lr=0.01)
    s = Sparsifier(net, optimizer, sparsity=0.3)
    s.sparsify()
    for weight in net.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert_held(s, net, 0.3)
    assert net.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_step_with_a_closure(net, assert_held):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = net(torch.ones(2, 3, 6, 6)).square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0
    assert_held(s, net, 0.5)


def test_any_number_of_rounds(net, train, assert_held):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    for sparsity in (0.5, 0.25, 0.8):
        s.sparsify(sparsity)
        train(net, optimizer)
        assert_held(s, net, sparsity)
        s.densify()
        train(net, optimizer)
    s.sparsify()
    assert_held(s, net, 0.5)


@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.8])
def test_sparsify_again_while_sparse(net, sparsity, train, assert_held):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()
    train(net, optimizer)
    before = s.masks
    s.sparsify(sparsity)
    assert s.report()["fc.weight"] == {"weights": 20, "kept": 20 - round(20 * sparsity)}
    for name, mask in s.masks.items():
        if sparsity >= 0.5:
            assert not (mask & ~before[name]).any()
        momentum = optimizer.state[net.get_parameter(name)]["momentum_buffer"]
        assert not momentum[~mask | ~before[name]].any()  # the reborn start at rest, too
        assert momentum[mask & before[name]].all()
    train(net, optimizer, 1)
    assert_held(s, net, sparsity)
    s.densify()
    assert len(optimizer._optimizer_step_post_hooks) == 0


def test_random_masks_come_from_the_generator(net):
    s = Sparsifier(net, sgd(net), sparsity=0.5)
    drawn = []
    for seed in (0, 0, 1):
        s.sparsify(criterion="random", generator=torch.Generator().manual_seed(seed))
        drawn.append(torch.cat([m.flatten() for m in s.masks.values()]))
        assert s.report()["conv1.weight"] == {"weights": 108, "kept": 54}
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("arguments", [{"mask": "random"}, {"mask": "magnitudes"}])
def test_a_mask_that_cannot_be_chosen(net, arguments):
    with pytest.raises(ValueError, match='mask is "magnitude", or "random" with a generator'):
        Sparsifier(net, sgd(net), sparsity=0.5).sparsify(**arguments)


def test_weights_that_are_not_finite_change_nothing(net):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    with torch.no_grad():
        net.fc.weight[0, 0] = torch.nan
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=r"^fc\.weight: .*inf or nan"):
        s.sparsify()
    assert not s.active
    assert all(torch.equal(net.get_parameter(n), before[n]) for n in LAYERS[:-1])


@pytest.mark.parametrize("sparsity", [-0.1, 1, float("nan")])
def test_bad_sparsity(net, sparsity):
    with pytest.raises(ValueError, match="sparsity must be"):
        Sparsifier(net, sgd(net), sparsity=sparsity)


def test_bad_momentum_and_optimizer(net):
    with pytest.raises(ValueError, match=r"momentum must be one of .* not 'zero'"):
        Sparsifier(net, sgd(net), sparsity=0.5, momentum="zero")
    with pytest.raises(TypeError, match="must be a torch Optimizer, not Net"):
        Sparsifier(net, net, sparsity=0.5)


def test_densify_wants_masks(net):
    with pytest.raises(RuntimeError, match="call sparsify"):
        Sparsifier(net, sgd(net), sparsity=0.5).densify()


def test_the_model_is_not_touched(net):
    optimizer = sgd(net)
    fresh = type(net)()
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()
    assert list(net.state_dict()) == list(fresh.state_dict())
    for module, other in zip(net.modules(), fresh.modules(), strict=True):
        assert module.__dict__.keys() == other.__dict__.keys()
        assert not module._forward_pre_hooks
    s.remove()
    assert not s.active
    assert len(optimizer._optimizer_step_post_hooks) == 0
    assert int((net.fc.weight == 0).sum()) == 10


def test_lstm_flat_weights_stay_in_place(assert_held):
    torch.manual_seed(0)
    lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True)
    optimizer = SGD(lstm.parameters(), lr=0.1, momentum=0.9)
    before = [(id(w), w.data_ptr()) for w in lstm._flat_weights]
    s = Sparsifier(lstm, optimizer, sparsity=0.5, exclude=["weight_hh_*_reverse"])
    assert s.layers == [
        *("weight_ih_l0", "weight_hh_l0", "weight_ih_l0_reverse"),
        *("weight_ih_l1", "weight_hh_l1", "weight_ih_l1_reverse"),
    ]
    s.sparsify()
    for _ in range(2):
        lstm(torch.randn(3, 2, 6))[0].square().sum().backward()
        optimizer.step()
        assert_held(s, lstm, 0.5)
    assert [(id(w), w.data_ptr()) for w in lstm._flat_weights] == before
    assert all(a is b for a, b in zip(lstm._flat_weights, lstm.parameters(), strict=True))


def test_accelerate(net, train, assert_held):
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    model, optimizer = accelerator.prepare(net, sgd(net))
    s = Sparsifier(model, optimizer, sparsity=0.5)
    s.sparsify()
    for _ in range(4):
        with accelerator.accumulate(model):
            accelerator.backward(model(torch.randn(2, 3, 6, 6)).square().sum())
            optimizer.step()
            optimizer.zero_grad()
        assert_held(s, net, 0.5)
    s.densify()
    train(model, optimizer)
    assert all(net.get_parameter(n).all() for n in LAYERS)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def tensors(optimizer: torch.optim.Optimizer, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in optimizer.state[weight].items() if torch.is_tensor(v)}


@pytest.mark.parametrize("border", ["prune", "re-dense"])
@pytest.mark.parametrize(
    ("name", "momenta"),
    [
        ("sgd momentum", {"momentum_buffer"}),
        ("rmsprop centered", {"momentum_buffer"}),
        ("adam amsgrad", {"exp_avg"}),
        ("adamw", {"exp_avg"}),
    ],
)
def test_pruned_momentum_is_zeroed_and_all_else_carries_on(net, border, name, momenta, train):
    optimizer = OPTIMIZERS[name](net.parameters())
    s = Sparsifier(net, optimizer, sparsity=0.5, exclude=["conv1"])
    train(net, optimizer)
    if border == "re-dense":
        s.sparsify()
        train(net, optimizer)
    before = {n: tensors(optimizer, p) for n, p in net.named_parameters()}
    masks = s.masks
    if border == "re-dense":
        s.densify()
    else:
        s.sparsify()
        masks = s.masks
    for layer, parameter in net.named_parameters():
        for key, now in tensors(optimizer, parameter).items():
            expected = before[layer][key]
            if layer in masks and key in momenta:
                assert expected[~masks[layer]].any()
                expected = expected.masked_fill(~masks[layer], 0)
            assert torch.equal(now, expected), (layer, key)


@pytest.mark.parametrize("border", ["prune", "re-dense"])
def test_reset_and_keep(net, border, train):
    for momentum in ("reset", "keep"):
        optimizer = Adam(net.parameters())
        s = Sparsifier(net, optimizer, sparsity=0.5, momentum=momentum)
        if border == "re-dense":
            s.sparsify()
        train(net, optimizer)
        before = {n: tensors(optimizer, p) for n, p in net.named_parameters()}
        s.densify() if border == "re-dense" else s.sparsify()
        if momentum == "reset":
            assert len(optimizer.state) == 0
        else:
            for name, parameter in net.named_parameters():
                now = tensors(optimizer, parameter)
                assert all(torch.equal(now[key], old) for key, old in before[name].items())
        s.remove()
        train(net, optimizer)


@pytest.mark.parametrize(
    "optimizer_of",
    [
        lambda p: Adam(p, lr=1e-3),
        lambda p: RMSprop(p, lr=1e-3, alpha=0.999),
        lambda p: RMSprop(p, lr=1e-3, alpha=0.999, centered=True),
    ],
    ids=["adam", "rmsprop", "centered"],
)
def test_reborn_weights_start_gently(optimizer_of):
    """Late in training, a reborn weight's first step is of the order of the learning rate."""
    net = nn.Linear(40, 40, bias=False)
    generator = torch.Generator().manual_seed(0)
    optimizer = optimizer_of(net.parameters())
    s = Sparsifier(net, optimizer, sparsity=0.5)

    def steps(number: int) -> None:
        for _ in range(number):
            net.weight.grad = torch.randn(40, 40, generator=generator).clamp(-2, 2)
            optimizer.step()

    s.sparsify()
    steps(3000)
    reborn = ~s.masks["weight"]
    s.densify()
    steps(1)
    assert 0 < net.weight[reborn].abs().max() < 2.5e-3
