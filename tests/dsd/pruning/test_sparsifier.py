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


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ("random", r"^conv1\.weight: random scores are drawn from a generator, but none is given"),
        ("magnitudes", "no criterion is called 'magnitudes'; the nearest is 'magnitude'"),
    ],
)
def test_a_mask_that_cannot_be_chosen(net, criterion, message):
    s = Sparsifier(net, sgd(net), sparsity=0.5)
    with pytest.raises(ValueError, match=message):
        s.sparsify(criterion=criterion)
    assert not s.active


def largest_gradient(weight: nn.Parameter, generator: torch.Generator | None) -> torch.Tensor:
    assert weight.grad is not None
    return weight.grad.abs()


def test_a_function_of_ones_own_sees_the_gradient(net, train):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity=0.5, criterion=largest_gradient)
    train(net, optimizer)
    s.sparsify()
    for name, mask in s.masks.items():
        assert torch.equal(mask, magnitude_mask(net.get_parameter(name).grad, 0.5))
    s.densify()
    weight = net.fc.weight.detach().clone()
    s.sparsify(criterion="magnitude")  # this round alone
    assert torch.equal(s.masks["fc.weight"], magnitude_mask(weight, 0.5))


def test_all_layers_compared_together(net):
    weights = torch.cat([net.get_parameter(name).detach().flatten() for name in LAYERS])
    s = Sparsifier(net, sgd(net), sparsity=0.37, scope="global")
    s.sparsify()
    masks = torch.cat([s.masks[name].flatten() for name in LAYERS])
    assert torch.equal(masks, magnitude_mask(weights, 0.37))
    kept = {name: counts["kept"] / counts["weights"] for name, counts in s.report().items()}
    assert max(kept.values()) > min(kept.values()) + 0.1


def test_a_sparsity_by_layer(net, train):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity={"conv1": 0.25, "*.conv1": 0.75})
    expected = {
        "conv1.weight": magnitude_mask(net.conv1.weight, 0.25),
        "layer1.0.conv1.weight": magnitude_mask(net.layer1[0].conv1.weight, 0.75),
        "layer1.1.conv1.weight": magnitude_mask(net.layer1[1].conv1.weight, 0.75),
        "fc.weight": torch.ones_like(net.fc.weight, dtype=torch.bool),
    }
    s.sparsify()
    train(net, optimizer)
    assert s.masks.keys() == expected.keys()
    assert all(torch.equal(s.masks[name], mask) for name, mask in expected.items())
    s.sparsify({"fc": 0.5})
    assert [counts["kept"] for counts in s.report().values()] == [108, 144, 144, 10]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": {"cnv1": 0.5}}, r'^sparsity: no .* named "cnv1"; the nearest is conv1$'),
        ({"sparsity": {"conv1": 1.5}}, "sparsity must be at least 0"),
        ({"sparsity": {"*": 0.5}, "scope": "global"}, "one sparsity for all layers"),
        ({"sparsity": 0.5, "scope": "model"}, "scope must be one of .* not 'model'"),
        ({"sparsity": 0.5, "criterion": "radnom"}, "the nearest is 'random'"),
    ],
)
def test_choices_that_cannot_be_are_refused_at_once(net, options, message):
    with pytest.raises(ValueError, match=message):
        Sparsifier(net, sgd(net), **options)


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
    with pytest.raises(TypeError, match=r"must be a torch Optimizer, .* not Net"):
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
    s.finish()
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
