"""A plan in a plain loop: phases, rates, and the same weights when it is resumed anywhere."""

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD

from dsd import Gradual, Sparsifier
from dsd.integrations import DSDSchedule, Phase


def start(phases, criterion="magnitude", **options):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    groups = [{"params": net[0].parameters()}, {"params": net[2].parameters(), "lr": 0.02}]
    optimizer = SGD(groups, lr=0.1, momentum=0.9)
    s = Sparsifier(net, optimizer, 0.5, criterion=criterion)
    generator = torch.Generator().manual_seed(3)
    return net, optimizer, DSDSchedule(s, phases, generator=generator, **options)


def step(net, optimizer, schedule, number):
    generator = torch.Generator().manual_seed(number)
    optimizer.zero_grad()
    net(torch.randn(8, 6, generator=generator)).square().mean().backward()
    optimizer.step()
    schedule.step()


def test_phases_follow_each_other_with_their_rates():
    plan = [
        Phase(steps=2, lr=0.1),
        Phase(epochs=0.5, sparsity=0.5, lr=0.05),
        Phase(steps=0, sparsity=0.9, lr=1),
        Phase(steps=2, lr=0.01),
    ]
    net, optimizer, schedule = start(plan, steps_per_epoch=4)
    seen = []
    for number in range(8):
        rates = [group["lr"] for group in optimizer.param_groups]
        seen.append((schedule.sparsifier.zeros, pytest.approx(rates[0]), schedule.done))
        assert rates[1] == pytest.approx(rates[0] / 5)  # groups keep their ratio
        step(net, optimizer, schedule, number)
    assert seen == [
        (0, 0.1, False), (0, 0.1, False), (0.5, 0.05, False), (0.5, 0.05, False),
        (0, 0.01, False), (0, 0.01, False), (0, 0.01, True), (0, 0.01, True),
    ]  # fmt: skip
    assert schedule.total == 6


def test_a_plan_that_ends_sparse_stays_sparse():
    net, optimizer, schedule = start([Phase(steps=1), Phase(steps=1, sparsity=0.5)])
    for number in range(4):
        step(net, optimizer, schedule, number)
    assert schedule.done
    assert schedule.sparsifier.zeros == 0.5
    assert optimizer.param_groups[0]["lr"] == 0.1


plans = st.lists(
    st.builds(Phase, steps=st.integers(0, 4), sparsity=st.sampled_from([0.0, 0.3, {"0": 0.6}])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(plans, st.sampled_from(["magnitude", "random"]), st.booleans(), st.data())
def test_resumed_anywhere_it_ends_in_the_same_bits(plan, criterion, before, data):
    net, optimizer, schedule = start(plan, criterion)
    total = schedule.total + 2
    stop = data.draw(st.integers(0, total))
    for number in range(stop):
        step(net, optimizer, schedule, number)
    file = io.BytesIO()
    torch.save([part.state_dict() for part in (net, optimizer, schedule)], file)
    for number in range(stop, total):
        step(net, optimizer, schedule, number)

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    net2, optimizer2, schedule2 = start([Phase(steps=0)] if before else plan, criterion)
    net2.load_state_dict(saved[0])
    optimizer2.load_state_dict(saved[1])
    if before:  # made after the others are loaded, as callbacks do
        generator = torch.Generator()
        schedule2 = DSDSchedule(schedule2.sparsifier, plan, generator=generator, state=saved[2])
    else:
        schedule2.load_state_dict(saved[2])
    for number in range(stop, total):
        step(net2, optimizer2, schedule2, number)
    pairs = zip(net.state_dict().values(), net2.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_masks_grow_within_a_phase():
    torch.manual_seed(0)
    net = nn.Linear(8, 8)
    optimizer = SGD(net.parameters(), lr=0.1)
    s = Sparsifier(net, optimizer, 0.5, schedule=Gradual(steps=3, every=1))
    schedule = DSDSchedule(s, [Phase(steps=1), Phase(steps=4, sparsity=0.5), Phase(steps=1)])
    seen = []
    for number in range(6):
        step(nn.Sequential(nn.Linear(6, 8), net), optimizer, schedule, number)
        seen.append(s.zeros)
    assert seen[0] == 0 < seen[1] < seen[2] < seen[3] == 0.5
    assert seen[5] == 0


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([], "the plan has none"),
        ([Phase(epochs=1)], "steps_per_epoch: needed"),
        ([Phase(steps=1, lr=0.1), Phase(steps=1)], "lr for all phases or for none"),
    ],
)
def test_plans_that_cannot_be(phases, message):
    with pytest.raises(ValueError, match=message):
        start(phases)


@pytest.mark.parametrize("given", [{}, {"steps": 1, "epochs": 1}, {"steps": -1}, {"epochs": -0.5}])
def test_phases_that_cannot_be(given):
    with pytest.raises(ValueError, match="a phase has steps or epochs"):
        Phase(**given)


def test_a_training_shorter_than_its_plan():
    _, _, schedule = start([Phase(steps=4)])
    schedule.check_length(4)
    with pytest.raises(ValueError, match=r"the plan has 4 optimizer steps, the training only 3"):
        schedule.check_length(3)


@pytest.mark.parametrize(
    ("sparsity", "words"),
    [
        (-0.2, "at least 0 and below 1"),
        (float("nan"), "at least 0 and below 1"),
        (1.5, "at least 0 and below 1"),
        ("0.3", "at least 0 and below 1"),
        ({"0": 1.2}, "at least 0 and below 1"),
        ({"typo": 0.5}, "named .typo."),
    ],
)
def test_a_sparsity_that_cannot_be_is_refused_before_the_dense_phase(sparsity, words):
    with pytest.raises(ValueError, match=words):
        start([Phase(steps=2), Phase(steps=2, sparsity=sparsity)])


def test_a_parameter_group_that_is_added_later_keeps_its_ratio():
    net, optimizer, schedule = start([Phase(steps=2, lr=0.1), Phase(steps=4, lr=0.01)])
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))], "lr": 0.05})
    for number in range(3):
        step(net, optimizer, schedule, number)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.002, 0.005])
