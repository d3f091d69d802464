"""Parameters that are replaced or added after construction are noticed by name; errors undo all."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

from dsd import Gradual, Sparsifier
from dsd.pruning import momentum, sparsifier

USES = {
    "sparsify": lambda s: s.sparsify(),
    "densify": lambda s: s.densify(),
    "state_dict": lambda s: s.state_dict(),
    "finish": lambda s: s.finish(),
}


def adam(model: nn.Module) -> Adam:
    return Adam(model.parameters(), lr=0.01)


def new_head(net, optimizer):
    net.fc = nn.Linear(4, 7)
    optimizer.add_param_group({"params": net.fc.parameters()})


def new_head_untrained(net, optimizer):
    net.fc = nn.Linear(4, 7)


def assigned(net, optimizer):
    net.load_state_dict({n: v.clone() for n, v in net.state_dict().items()}, assign=True)


def gone(net, optimizer):
    net.fc = nn.Identity()


def one_more(net, optimizer):
    net.extra = nn.Linear(4, 4)
    optimizer.add_param_group({"params": net.extra.parameters()})


def parametrized(net, optimizer):
    nn.utils.parametrizations.weight_norm(net.fc)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (new_head, r"fc\.weight: was replaced"),
        (new_head_untrained, r"fc\.weight: was replaced"),
        (assigned, r"conv1\.weight: was replaced"),
        (gone, r"fc\.weight: is gone"),
        (one_more, r"extra\.weight was added"),
        (parametrized, r"fc\.weight: is gone"),
    ],
)
def test_a_parameter_that_changed_is_named(net, change, name, use):
    optimizer = adam(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()
    change(net, optimizer)
    with pytest.raises(RuntimeError, match=rf"^{name}.*create it again"):
        USES[use](s)
    assert s.active
    assert Sparsifier(net, adam(net), sparsity=0.5)  # the remedy that the message names


def test_unfreezing_is_noticed_where_masks_are_chosen(net, train):
    optimizer = adam(net)
    net.layer1.requires_grad_(False)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()
    net.layer1.requires_grad_(True)
    s.state_dict()
    with pytest.raises(RuntimeError, match=r"^layer1\.0\.conv1\.weight is trained now"):
        s.sparsify()


def test_freezing_is_no_change(net, train):
    optimizer = adam(net)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()
    net.layer1.requires_grad_(False)
    train(net, optimizer)
    s.state_dict()
    s.sparsify(0.25)
    s.densify()


@pytest.mark.parametrize("to", [torch.bfloat16, torch.float64, torch.channels_last])
def test_the_model_may_change_its_dtype_and_layout_in_the_sparse_phase(net, to, train, assert_held):
    optimizer = SGD(net.parameters(), lr=0.1)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()
    net.to(memory_format=to) if to is torch.channels_last else net.to(to)
    for _ in range(2):
        for weight in net.parameters():
            weight.grad = torch.randn_like(weight)
        optimizer.step()
        assert_held(s, net, 0.5)
    s.state_dict()


# what fails in the middle of sparsify or densify
FAULTS = {
    "momentum": (momentum, "_way_to_rest"),
    "a mask": (sparsifier, "BitMask"),
    "the hook": (sparsifier.Optimizers, "hook"),
    "applying": (sparsifier.BitMask, "apply"),
    "resetting": (sparsifier, "reset_momentum"),
}


class OutOfMemory(RuntimeError):
    pass


@pytest.mark.parametrize("kind", ["pruned", "reset"])
@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("border", ["sparsify", "sparsify again", "densify", "load"])
def test_an_error_in_the_middle_leaves_everything_as_it_was(
    net, train, monkeypatch, border, fault, after, kind
):
    optimizer = adam(net)
    s = Sparsifier(net, optimizer, sparsity=0.5, momentum=kind)
    train(net, optimizer)
    s.sparsify()
    train(net, optimizer)
    saved = s.state_dict()
    if border in ("sparsify", "load"):
        s.densify()
        train(net, optimizer)
    twin = copy.deepcopy((net, optimizer, s))
    owner, attribute = FAULTS[fault]
    calls, real = [], getattr(owner, attribute)

    def failing(*given, **named):
        calls.append(1)
        if len(calls) > after:
            raise OutOfMemory
        return real(*given, **named)

    monkeypatch.setattr(owner, attribute, failing)
    use = {"densify": s.densify, "load": lambda: s.load_state_dict(saved)}
    try:
        use.get(border, lambda: s.sparsify(0.7))()
    except OutOfMemory:
        failed = True
    else:
        failed = False
    monkeypatch.undo()
    if failed:
        assert_same((net, optimizer, s), twin)
        for model, steps, masks in ((net, optimizer, s), twin):
            train(model, steps)
            masks.sparsify(0.6)
            train(model, steps)
        assert_same((net, optimizer, s), twin)
    else:
        assert len(calls) <= after


def assert_same(one, other) -> None:
    for a, b in zip(one[0].state_dict().values(), other[0].state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(one[0].parameters(), other[0].parameters(), strict=True):
        first, second = one[1].state[a], other[1].state[b]
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert one[2].active == other[2].active
    assert one[2].masks.keys() == other[2].masks.keys()
    assert all(torch.equal(mask, other[2].masks[name]) for name, mask in one[2].masks.items())
    hooks = [len(part[1]._optimizer_step_post_hooks) for part in (one, other)]
    assert hooks[0] == hooks[1]


def test_a_criterion_that_fails_late_changes_nothing(net, train):
    optimizer = adam(net)
    train(net, optimizer)
    calls = []

    def criterion(weight, generator):
        calls.append(1)
        if len(calls) == 3:
            raise OutOfMemory
        return weight.abs()

    s = Sparsifier(net, optimizer, sparsity=0.5, criterion=criterion)
    twin = copy.deepcopy((net, optimizer, s))
    with pytest.raises(OutOfMemory):
        s.sparsify()
    assert_same((net, optimizer, s), twin)


def test_the_schedule_of_the_constructor(net, train):
    optimizer = adam(net)
    s = Sparsifier(net, optimizer, sparsity=0.5, schedule=Gradual(steps=3, every=1))
    s.sparsify()
    assert s.growing
    train(net, optimizer, 3)
    assert not s.growing
    assert s.zeros == pytest.approx(0.5, abs=0.01)


def test_finish_leaves_a_plain_sparse_model(net, train, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()
    train(net, optimizer)
    masks = s.masks
    s.finish()
    assert not s.active
    assert not optimizer._optimizer_step_post_hooks
    safetensors.save_file(net.state_dict(), tmp_path / "net.safetensors")
    loaded = safetensors.load_file(tmp_path / "net.safetensors")
    assert all(not loaded[name][~mask].any() for name, mask in masks.items())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(net.eval(), (torch.randn(2, 3, 6, 6),))
    assert torch.equal(program.state_dict["fc.weight"], net.fc.weight)
    train(net, optimizer)
    assert net.fc.weight.all()


def test_a_model_that_was_frozen_since_can_be_saved_and_finished(net, train):
    optimizer = SGD(net.parameters(), lr=0.1)
    s = Sparsifier(net, optimizer, sparsity=0.5)
    s.sparsify()
    train(net, optimizer)
    net.requires_grad_(False)
    masks = s.state_dict()["masks"]
    s.finish()
    assert not s.active
    assert masks.keys() == {*s.layers}
    assert int((net.fc.weight == 0).sum()) == round(net.fc.weight.numel() / 2)


def test_finish_wants_the_weights_that_it_promises(net):
    s = Sparsifier(net, adam(net), sparsity=0.5)
    s.sparsify()
    with torch.no_grad():
        net.fc.weight.fill_(1)
    with pytest.raises(RuntimeError, match="10 pruned weights are not"):
        s.finish()


def test_an_error_gives_the_generator_its_numbers_back(net):
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    s = Sparsifier(net, adam(net), sparsity=0.5, criterion="random")
    with torch.no_grad():
        net.fc.weight.fill_(torch.nan)

    def late(weight, generator):
        scores = torch.rand(weight.shape, generator=generator)
        return scores / 0 * 0 if weight is net.fc.weight else scores

    for gradually in (None, Gradual(steps=2, every=1)):
        if gradually:
            s.sparsify(0.9, generator=torch.Generator())
        with pytest.raises(ValueError, match=r"fc|pruned already"):
            s.sparsify(criterion=late, generator=generator, gradually=gradually)
        assert torch.equal(generator.get_state(), before)
