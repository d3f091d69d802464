"""Masks that grow over the optimizer's steps: nested, exact at the end, the same when resumed."""

import copy
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD

from dsd import Gradual, Sparsifier

SHAPES = {"a": (7, 9), "b": (5, 3, 3), "c": (4, 4)}


def steepest(weight: nn.Parameter, generator: torch.Generator | None) -> torch.Tensor:
    assert weight.grad is not None
    return (weight * weight.grad).abs()


def model() -> nn.ParameterDict:
    generator = torch.Generator().manual_seed(0)
    return nn.ParameterDict(
        {name: nn.Parameter(torch.randn(s, generator=generator)) for name, s in SHAPES.items()}
    )


def start(net: nn.Module, **options) -> tuple[SGD, Sparsifier]:
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    return optimizer, Sparsifier(net, optimizer, **{"sparsity": 0.6, "include": "*", **options})


def step(net: nn.Module, optimizer: SGD, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for weight in net.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)
    optimizer.step()


criteria = st.sampled_from(["magnitude", "random", steepest])
distributions = st.sampled_from(
    [
        {"sparsity": 0.6},
        {"sparsity": 0.6, "scope": "global"},
        {"sparsity": {"b": 0.9, "[ab]": 0.3}},
    ]
)


def pruned(s: Sparsifier) -> dict[str, int]:
    return {name: row["weights"] - row["kept"] for name, row in s.report().items()}


def expected(options: dict, share: float) -> dict[str, int]:
    """How many weights of each layer, or of all together, are pruned."""
    if options.get("scope") == "global":
        return {"all": round((63 + 45 + 16) * 0.6 * share)}
    each = {"a": 0.3, "b": 0.9, "c": 0} if isinstance(options["sparsity"], dict) else {}
    sizes = {"a": 63, "b": 45, "c": 16}
    return {name: round(size * (each.get(name, 0.6) * share)) for name, size in sizes.items()}


@settings(max_examples=60, deadline=None)
@given(criteria, distributions, st.integers(1, 12), st.integers(1, 14))
def test_masks_are_nested_follow_the_cubic_and_end_exact(criterion, options, steps, every):
    net = model()
    optimizer, s = start(net, criterion=criterion, **options)
    s.sparsify(generator=torch.Generator().manual_seed(1), gradually=Gradual(steps, every))
    before, chosen = s.masks, 0
    assert all(mask.all() for mask in before.values())
    for done in range(1, steps + 3):
        assert s.growing == (done <= steps)
        step(net, optimizer, done)
        if done <= steps and (done % every == 0 or done == steps):
            chosen = done
        share = 1 - (1 - chosen / steps) ** 3
        counts = pruned(s)
        if options.get("scope"):
            counts = {"all": sum(counts.values())}
        assert counts == expected(options, share)
        now = s.masks
        assert not any((now[name] & ~before[name]).any() for name in now)
        for name, mask in now.items():
            weight = net[name].detach()
            assert weight[mask].all()
            assert not weight[~mask].any()
            assert not weight[~mask].signbit().any()
        before = now
    assert not s.growing
    assert s.state_dict().keys() == {"masks"}


@settings(max_examples=60, deadline=None)
@given(criteria, distributions, st.integers(1, 9), st.integers(1, 10), st.data())
def test_resumed_in_mid_schedule_it_ends_in_the_same_bits(criterion, options, steps, every, data):
    stop = data.draw(st.integers(0, steps))
    net = model()
    optimizer, s = start(net, criterion=criterion, **options)
    s.sparsify(generator=torch.Generator().manual_seed(1), gradually=Gradual(steps, every))
    for done in range(stop):
        step(net, optimizer, done)
    file = io.BytesIO()
    torch.save([part.state_dict() for part in (net, optimizer, s)], file)
    for done in range(stop, steps + 2):
        step(net, optimizer, done)

    file.seek(0)
    resumed = model()
    optimizer2, s2 = start(resumed, criterion=criterion, **options)
    for part, state in zip(
        (resumed, optimizer2, s2), torch.load(file, weights_only=True), strict=True
    ):
        part.load_state_dict(state)
    for done in range(stop, steps + 2):
        step(resumed, optimizer2, done)
    for name in SHAPES:
        assert torch.equal(s.masks[name], s2.masks[name])
        assert torch.equal(net[name], resumed[name])


def test_what_sparsify_was_given_outlives_a_resumption():
    """Criterion and sparsity of the round, not those given at construction."""
    net = model()
    optimizer, s = start(net)
    s.sparsify(0.2, "random", torch.Generator().manual_seed(1), Gradual(steps=4, every=2))
    step(net, optimizer, 0)
    state = copy.deepcopy([part.state_dict() for part in (net, optimizer, s)])
    resumed = model()
    optimizer2, s2 = start(resumed)
    for part, saved in zip((resumed, optimizer2, s2), state, strict=True):
        part.load_state_dict(saved)
    for done in range(1, 4):
        step(resumed, optimizer2, done)
        step(net, optimizer, done)
    assert pruned(s2) == {name: round(net[name].numel() * 0.2) for name in SHAPES}
    assert all(torch.equal(s.masks[name], s2.masks[name]) for name in SHAPES)


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_a_random_mask_ends_as_the_one_that_is_drawn_at_once(scope):
    at_once, slowly = model(), model()
    _, s = start(at_once, scope=scope, criterion="random")
    s.sparsify(generator=torch.Generator().manual_seed(1))
    optimizer, s2 = start(slowly, scope=scope, criterion="random")
    generator = torch.Generator().manual_seed(1)
    s2.sparsify(generator=generator, gradually=Gradual(steps=5, every=2))
    for done in range(5):
        step(slowly, optimizer, done)
    first = s2.masks
    assert all(torch.equal(s.masks[name], first[name]) for name in SHAPES)
    s2.densify()
    s2.sparsify(generator=generator)
    assert any(not torch.equal(s2.masks[name], first[name]) for name in SHAPES)


def test_a_copy_goes_on_by_itself():
    net = model()
    optimizer, s = start(net)
    s.sparsify(gradually=Gradual(steps=3, every=1))
    step(net, optimizer, 0)
    net2, optimizer2, s2 = copy.deepcopy((net, optimizer, s))
    for done in (1, 2):
        step(net2, optimizer2, done)
    assert s.growing
    assert not s2.growing
    for done in (1, 2):
        step(net, optimizer, done)
    assert all(torch.equal(net[name], net2[name]) for name in SHAPES)


def test_masks_grow_from_those_held():
    net = model()
    optimizer, s = start(net)
    s.sparsify(0.3)
    first = s.masks
    s.sparsify(0.7, gradually=Gradual(steps=4, every=1))
    held = pruned(s)
    assert held == {name: round(net[name].numel() * 0.3) for name in SHAPES}
    for done in range(4):
        step(net, optimizer, done)
        assert not any((s.masks[name] & ~first[name]).any() for name in SHAPES)
    assert pruned(s) == {name: round(net[name].numel() * 0.7) for name in SHAPES}
    with pytest.raises(ValueError, match=r"^a: 44 weights are pruned already.*densify\(\) first"):
        s.sparsify(0.5, gradually=Gradual(steps=4, every=1))
    assert not s.growing
    assert pruned(s)["a"] == 44


@pytest.mark.parametrize("end", ["densify", "finish", "sparsify", "load_state_dict"])
def test_what_ends_the_masks_ends_the_schedule(end):
    net = model()
    optimizer, s = start(net)
    dense = s.state_dict()
    s.sparsify(gradually=Gradual(steps=4, every=1))
    step(net, optimizer, 0)
    getattr(s, end)(*([dense] if end == "load_state_dict" else []))
    assert not s.growing
    before = pruned(s)
    step(net, optimizer, 1)
    assert (
        pruned(s) == before == {n: round(net[n].numel() * 0.6 * (end == "sparsify")) for n in net}
    )


def test_a_function_must_be_given_again():
    net = model()
    optimizer, s = start(net, criterion=steepest)
    s.sparsify(gradually=Gradual(steps=4, every=1))
    step(net, optimizer, 0)
    _, other = start(model())
    with pytest.raises(ValueError, match="'steepest', which is not in CRITERIA"):
        other.load_state_dict(s.state_dict())
    assert not other.active


def test_weights_that_are_not_finite_stop_the_growth_by_name():
    net = model()
    optimizer, s = start(net)
    s.sparsify(gradually=Gradual(steps=4, every=1))
    with torch.no_grad():
        net["b"][0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"^b: .*inf or nan"):
        step(net, optimizer, 0)


@pytest.mark.parametrize(("steps", "every"), [(0, 1), (3, 0), (-1, 1)])
def test_a_schedule_without_steps(steps, every):
    with pytest.raises(ValueError, match="of at least 1"):
        Gradual(steps, every)


@pytest.mark.parametrize("bad", [0.25 * 42, 10.0, 0, -1, "10", None])
@pytest.mark.parametrize("which", ["steps", "every"])
def test_only_whole_steps_from_one_on(which, bad):
    with pytest.raises(ValueError, match=r"whole numbers of at least 1"):
        Gradual(**{"steps": 10, "every": 1, which: bad})


@pytest.mark.parametrize("bad", [100, "cubic", {"steps": 3}])
def test_what_is_no_schedule_is_refused_at_once(bad):
    net = model()
    _, s = start(net)
    with pytest.raises(ValueError, match="schedule must be a Gradual"):
        s.sparsify(gradually=bad)
    with pytest.raises(ValueError, match="schedule must be a Gradual"):
        start(net, schedule=bad)


def test_ones_own_criterion_is_not_taken_for_ours_of_the_same_name():
    def magnitude(weight: nn.Parameter, generator: torch.Generator | None) -> torch.Tensor:
        return -weight.detach().abs()

    whole, stopped, fresh = (model() for _ in range(3))
    optimizer, s = start(whole, criterion=magnitude, schedule=Gradual(4, 1))
    s.sparsify()
    for number in range(4):
        step(whole, optimizer, number)
    optimizer, s = start(stopped, criterion=magnitude, schedule=Gradual(4, 1))
    s.sparsify()
    for number in range(2):
        step(stopped, optimizer, number)
    saved = stopped.state_dict(), optimizer.state_dict(), s.state_dict()
    ours = start(fresh)[1]
    with pytest.raises(ValueError, match="give that function to Sparsifier"):
        ours.load_state_dict(saved[2])
    fresh.load_state_dict(saved[0])
    optimizer, s = start(fresh, criterion=magnitude)
    optimizer.load_state_dict(saved[1])
    s.load_state_dict(saved[2])
    for number in range(2, 4):
        step(fresh, optimizer, number)
    assert all(torch.equal(a, b) for a, b in zip(whole.values(), fresh.values(), strict=True))
