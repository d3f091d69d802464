"""The Sparsifier in loops that know nothing of it."""

import copy
import io
import pickle

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from torch import nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, AdamW, RMSprop

from dsd import Sparsifier, magnitude_mask

OPTIMIZERS = {
    "sgd": lambda p: SGD(p, lr=0.1),
    "sgd momentum": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-2),
    "sgd nesterov": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-2),
    "sgd for-loop": lambda p: SGD(p, lr=0.1, momentum=0.9, foreach=False),
    "sgd foreach": lambda p: SGD(p, lr=0.1, momentum=0.9, foreach=True),
    "sgd fused": lambda p: SGD(p, lr=0.1, momentum=0.9, fused=True),
    "rmsprop": lambda p: RMSprop(p, lr=0.01),
    "rmsprop centered": lambda p: RMSprop(p, lr=0.01, momentum=0.9, centered=True),
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


def block() -> nn.Module:
    parts = nn.Sequential()
    parts.add_module("conv1", nn.Conv2d(4, 4, 3, padding=1))
    parts.add_module("norm", nn.LayerNorm([4, 6, 6]))  # a scale of three dimensions
    return parts


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(block(), block())
        self.bias_map = nn.Parameter(torch.zeros(4, 6, 6))
        self.fc = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer1(self.bn1(self.conv1(x)).relu()) + self.bias_map
        return self.fc(x.mean((2, 3)))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    """Train on the same batches every time; they are torch's own business, not the Sparsifier's."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        images = torch.randn(8, 3, 6, 6, generator=generator)
        labels = torch.randint(5, (8,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()


def sgd(model: nn.Module) -> SGD:
    return SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


def assert_held(s: Sparsifier, model: nn.Module, sparsity: float) -> None:
    """Exactly round(N * sparsity) weights of each layer are +0.0, and the others have moved."""
    parameters = dict(model.named_parameters())
    assert list(s.masks) == s.layers
    for name, mask in s.masks.items():
        weight = parameters[name].detach()
        assert int((~mask).sum()) == round(weight.numel() * sparsity)
        assert (weight[~mask] == 0).all()
        assert not weight[~mask].signbit().any()
        assert weight[mask].all()


# Algorithm 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_dense_sparse_dense(net, name):
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
def test_pruned_weights_survive_any_gradient(net, name, bad):
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
def test_other_dtypes_and_layouts(net, dtype):
    net = net.to(dtype, memory_format=torch.channels_last)
    optimizer = Adam(net.parameters(), lr=0.01)
    s = Sparsifier(net, optimizer, sparsity=0.3)
    s.sparsify()
    for weight in net.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert_held(s, net, 0.3)
    assert net.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_step_with_a_closure(net):
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


def test_any_number_of_rounds(net):
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
def test_sparsify_again_while_sparse(net, sparsity):
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
        s.sparsify(mask="random", generator=torch.Generator().manual_seed(seed))
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
    assert all(torch.equal(net.conv1.weight, before["conv1.weight"]) for _ in LAYERS)


def test_densify_wants_masks(net):
    with pytest.raises(RuntimeError, match="call sparsify"):
        Sparsifier(net, sgd(net), sparsity=0.5).densify()


def test_the_model_is_not_touched(net):
    optimizer = sgd(net)
    fresh = Net()
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


def test_lstm_flat_weights_stay_in_place():
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


# What is pruned


def test_defaults_leave_norms_and_biases_dense(net):
    assert Sparsifier(net, sgd(net), sparsity=0.5).layers == LAYERS


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
    assert Sparsifier(net, sgd(net), sparsity=0.5, exclude=exclude).layers == left


@pytest.mark.parametrize(
    ("entry", "nearest"), [("conv2", "conv1"), ("layer1.0.conv", "layer1.0.conv1"), ("fcc*", "fc")]
)
def test_exclude_that_matches_nothing(net, entry, nearest):
    with pytest.raises(ValueError, match="no module or parameter is named") as raised:
        Sparsifier(net, sgd(net), sparsity=0.5, exclude=["conv1", entry])
    assert f'"{entry}"; the nearest is {nearest}' in str(raised.value)


def test_only_what_the_optimizer_trains(net):
    net.layer1.requires_grad_(False)
    optimizer = SGD([*net.layer1.parameters(), *net.fc.parameters()], lr=0.1)
    assert Sparsifier(net, optimizer, sparsity=0.5).layers == ["fc.weight"]


def test_nothing_to_prune(net):
    with pytest.raises(ValueError, match="nothing to prune"):
        Sparsifier(net, sgd(net), sparsity=0.5, exclude=["*"])
    with pytest.raises(ValueError, match="nothing to prune"):
        Sparsifier(net, sgd(Net()), sparsity=0.5)


def test_tied_weights_are_pruned_once_and_excluded_by_either_name():
    net = nn.Sequential()
    net.add_module("embed", nn.Embedding(7, 4))
    net.add_module("hidden", nn.Linear(4, 4))
    net.add_module("out", nn.Linear(4, 7))
    net.out.weight = net.embed.weight
    assert Sparsifier(net, sgd(net), sparsity=0.5).layers == ["embed.weight", "hidden.weight"]
    assert Sparsifier(net, sgd(net), 0.5, exclude=["out"]).layers == ["hidden.weight"]


@pytest.mark.parametrize("sparsity", [-0.1, 1, float("nan")])
def test_bad_sparsity(net, sparsity):
    with pytest.raises(ValueError, match="sparsity must be"):
        Sparsifier(net, sgd(net), sparsity=sparsity)


def test_bad_momentum_and_optimizer(net):
    with pytest.raises(ValueError, match="momentum must be one of .* not 'zero'"):
        Sparsifier(net, sgd(net), sparsity=0.5, momentum="zero")
    with pytest.raises(TypeError, match="must be a torch Optimizer, not Net"):
        Sparsifier(net, net, sparsity=0.5)


# Wrappers


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
    s = Sparsifier(wrap(net), sgd(net), sparsity=0.5, exclude=["conv1"])
    assert s.layers == LAYERS[1:]


def test_accelerate(net):
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


# Momentum


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
def test_pruned_momentum_is_zeroed_and_all_else_carries_on(net, border, name, momenta):
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
def test_reset_and_keep(net, border):
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
    """Far from the start, the first step of a reborn weight is of the order of the learning rate."""
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


# Copies


def test_a_copied_optimizer_is_noticed(net):
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
def test_copied_together_they_stay_together(net, how, order):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
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


def test_a_copied_model_is_plain(net):
    optimizer = sgd(net)
    Sparsifier(net, optimizer, sparsity=0.5).sparsify()
    plain = copy.deepcopy(net)
    train(plain, sgd(plain))
    assert plain.fc.weight.all()
    assert int((net.fc.weight == 0).sum()) == 10


def test_loading_the_optimizers_state_keeps_the_hook(net):
    optimizer = sgd(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()
    train(net, optimizer)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(net, optimizer)
    assert_held(s, net, 0.5)


# State


@pytest.mark.parametrize("name", ["sgd nesterov", "rmsprop centered", "adam", "adamw foreach"])
@pytest.mark.parametrize("momentum", ["pruned", "reset", "keep"])
def test_a_resumed_run_equals_an_uninterrupted_one(net, name, momentum):
    def start(model: nn.Module) -> tuple[torch.optim.Optimizer, Sparsifier]:
        optimizer = OPTIMIZERS[name](model.parameters())
        return optimizer, Sparsifier(model, optimizer, sparsity=0.5, momentum=momentum)

    optimizer, s = start(net)
    train(net, optimizer)
    s.sparsify()
    train(net, optimizer)
    file = io.BytesIO()
    torch.save([part.state_dict() for part in (net, optimizer, s)], file)

    resumed = Net()
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


def test_loading_applies_the_masks_at_once_and_leaves_the_optimizer_alone(net):
    s = Sparsifier(net, sgd(net), sparsity=0.5)
    s.sparsify()
    state = s.state_dict()
    other = Net()
    optimizer = sgd(other)
    train(other, optimizer)
    before = optimizer.state[other.fc.weight]["momentum_buffer"].clone()
    s2 = Sparsifier(other, optimizer, sparsity=0.1)
    s2.load_state_dict(state)
    assert_held(s2, other, 0.5)
    assert torch.equal(optimizer.state[other.fc.weight]["momentum_buffer"], before)


def test_loading_the_state_of_a_dense_model_drops_the_masks(net):
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
    state = s.state_dict()
    s.remove()
    spoil(state["masks"])
    with pytest.raises(ValueError, match=message):
        s.load_state_dict(state)
    assert not s.active


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
