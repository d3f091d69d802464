"""A weight's mask is held by one Sparsifier: a new one takes over, the old lets go."""

import copy
import gc
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import SGD

from dsd import Gradual, Sparsifier
from dsd.integrations import DSDSchedule, Phase

TAKES_OVER = r"an earlier Sparsifier held masks of 0\.weight"


def start() -> tuple[nn.Sequential, SGD]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    return model, SGD(model.parameters(), lr=0.1, momentum=0.9)


def train(model: nn.Module, optimizer: SGD, steps: int = 3) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        points = torch.randn(32, 8, generator=generator)
        F.cross_entropy(model(points), torch.arange(32) % 4).backward()
        optimizer.step()


def zeros(model: nn.Sequential) -> list[float]:
    return [float((model[i].weight == 0).float().mean()) for i in (0, 2)]


def test_a_loop_over_sparsities_from_one_start():
    model, optimizer = start()
    dense, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    for sparsity in (0.75, 0.5, 0.25):
        model.load_state_dict(dense)
        optimizer.load_state_dict(state)
        s = None  # whoever forgets it
        gc.collect()
        if sparsity == 0.75:
            s = Sparsifier(model, optimizer, sparsity)
        else:
            with pytest.warns(UserWarning, match=TAKES_OVER):
                s = Sparsifier(model, optimizer, sparsity)
        train(model, optimizer)
        assert zeros(model) == [0, 0], "dense until sparsify()"
        s.sparsify()
        train(model, optimizer)
        assert zeros(model) == [sparsity, sparsity]
        assert s.zeros == sparsity
    s.densify()
    train(model, optimizer)
    assert zeros(model) == [0, 0]
    assert len(optimizer._optimizer_step_post_hooks) == 0


@pytest.mark.parametrize("gradually", [None, Gradual(steps=6, every=1)])
def test_the_newest_that_prunes_holds_the_mask(gradually):
    model, optimizer = start()
    one, other = (Sparsifier(model, optimizer, sparsity) for sparsity in (0.75, 0.25))
    one.sparsify(gradually=gradually)
    train(model, optimizer)
    with pytest.warns(UserWarning, match=TAKES_OVER):
        other.sparsify()
    assert not one.active
    assert not one.growing
    for weight in model.parameters():
        weight.data.normal_()
    with pytest.warns(UserWarning, match=TAKES_OVER):
        one.sparsify()
    train(model, optimizer)
    assert zeros(model) == [0.75, 0.75]
    assert not other.active


def test_masks_of_other_layers_are_kept():
    model, optimizer = start()
    every = Sparsifier(model, optimizer, 0.75, schedule=Gradual(steps=6, every=1))
    every.sparsify()
    train(model, optimizer, 2)
    with pytest.warns(UserWarning, match=r"held masks of 2\.weight; this one"):
        last = Sparsifier(model, optimizer, 0.25, include=["2"], exclude=["0"])
    assert list(every.masks) == ["0.weight"]
    assert every.growing
    last.sparsify()
    train(model, optimizer, 4)
    assert zeros(model) == [0.75, 0.25]
    assert not every.growing
    every.densify()
    train(model, optimizer)
    assert zeros(model) == [0, 0.25]


def test_layers_apart_and_copies_do_not_meet():
    model, optimizer = start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = Sparsifier(model, optimizer, 0.75, exclude=["2"])
        first.sparsify()
        last = Sparsifier(model, optimizer, 0.25, exclude=["0"])
        last.sparsify()
        model2, optimizer2, s2 = copy.deepcopy((model, optimizer, first))
        s2.sparsify(0.5)
        train(model, optimizer)
        train(model2, optimizer2)
    assert zeros(model) == [0.75, 0.25]
    assert zeros(model2)[0] == 0.5


def test_an_error_gives_the_masks_back():
    model, optimizer = start()
    one, other = (Sparsifier(model, optimizer, 0.75) for _ in range(2))
    one.sparsify()
    with torch.no_grad():
        model[2].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"2\.weight"):
        other.sparsify()
    assert one.active
    model[2].weight.data.nan_to_num_(1.0)
    train(model, optimizer)
    assert zeros(model)[0] == 0.75


def test_a_dense_state_that_was_loaded_in_the_sparse_phase_can_be_trained():
    model, optimizer = start()
    dense = copy.deepcopy(model.state_dict())
    s = Sparsifier(model, optimizer, 0.75)
    s.sparsify()
    model.load_state_dict(dense)
    with pytest.raises(RuntimeError, match="create a Sparsifier again, which takes over"):
        s.densify()
    with pytest.warns(UserWarning, match=TAKES_OVER):
        s = Sparsifier(model, optimizer, 0.25)
    s.sparsify()
    train(model, optimizer)
    assert zeros(model) == [0.25, 0.25]


def test_a_plan_that_is_begun_again_trains_dense_first():
    model, optimizer = start()
    plan = [Phase(steps=1), Phase(steps=5, sparsity=0.5)]
    for rerun in (False, True):
        if rerun:
            with pytest.warns(UserWarning, match=TAKES_OVER):
                schedule = DSDSchedule(Sparsifier(model, optimizer, 0.0), plan)
        else:
            schedule = DSDSchedule(Sparsifier(model, optimizer, 0.0), plan)
        train(model, optimizer, 1)
        assert max(zeros(model)) < 0.1, "but for units that are never on"
        schedule.step()
        assert zeros(model) == [0.5, 0.5]
