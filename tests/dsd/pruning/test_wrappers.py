"""Optimizers inside others: masks hold at every level that steps, reborn weights start at rest."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop

from dsd import Gradual, Sparsifier
from tests.dsd.pruning.wrappers import (
    SAM,
    ByName,
    Hidden,
    Inherits,
    Lookahead,
    LookaheadOfGroups,
    LookaheadOfState,
    MasterWeights,
    Minimiser,
    Named,
    ScheduleFree,
    StateInGroups,
)

WRAPPERS: dict[str, Callable[[nn.Module], Any]] = {
    "sgd": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9),
    "adagrad": lambda m: Adagrad(m.parameters(), lr=0.1, initial_accumulator_value=0.1),
    "lookahead": lambda m: Lookahead(SGD(m.parameters(), lr=0.1, momentum=0.9)),
    "lookahead of adam": lambda m: Lookahead(Adam(m.parameters(), lr=0.01), k=3),
    "lookahead of groups": lambda m: LookaheadOfGroups(SGD(m.parameters(), lr=0.1)),
    "lookahead of state": lambda m: LookaheadOfState(SGD(m.parameters(), lr=0.1, momentum=0.9)),
    "lookahead of lookahead": lambda m: LookaheadOfGroups(Lookahead(SGD(m.parameters(), lr=0.1))),
    "sam": lambda m: SAM(m.parameters(), SGD, lr=0.1, momentum=0.9),
    "minimiser": lambda m: Minimiser(SGD(m.parameters(), lr=0.1, momentum=0.9), m),
    "schedule-free": lambda m: ScheduleFree(m.parameters(), lr=0.1),
    "master weights": lambda m: MasterWeights(m.parameters(), SGD, lr=0.1, momentum=0.9),
    "master weights of adam": lambda m: MasterWeights(m.parameters(), AdamW, lr=0.01),
    "hidden": lambda m: Hidden(m.parameters(), SGD, lr=0.1, momentum=0.9),
    "hidden adam": lambda m: Hidden(m.parameters(), Adam, lr=0.01),
    "inherits": lambda m: Inherits(m.parameters(), lr=0.01),
    "by name": lambda m: ByName(m, SGD, lr=0.1, momentum=0.9),
    "state in groups": lambda m: StateInGroups(m, lr=0.1),
    "two": lambda m: [
        SGD(m[0].parameters(), lr=0.1, momentum=0.9),
        AdamW(m[2].parameters(), lr=0.01),
    ],
}
every_wrapper = pytest.mark.parametrize("name", WRAPPERS)


def mlp(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).to(dtype)


def start(name: str, **options: Any) -> tuple[nn.Sequential, Any, Sparsifier]:
    model = mlp(torch.bfloat16 if name.startswith("master") else torch.float32)
    optimizer = WRAPPERS[name](model)
    s = Sparsifier(model, optimizer, sparsity=0.5, **options)
    for number in range(5):
        step(model, optimizer, number)
    return model, optimizer, s


def gradients(model: nn.Module, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    points = torch.randn(32, 8, generator=generator).to(next(model.parameters()).dtype)
    model.zero_grad()
    F.cross_entropy(model(points), torch.arange(32) % 4).backward()


def step(model: nn.Module, optimizer: Any, number: int) -> None:
    """One step of a user's loop."""
    gradients(model, number)
    if isinstance(optimizer, list):
        for one in optimizer:
            one.step()
    elif isinstance(optimizer, SAM):
        optimizer.first_step(zero_grad=True)
        gradients(model, number)
        optimizer.second_step()
    elif isinstance(optimizer, Minimiser):
        optimizer.ascent_step()
        gradients(model, number)
        optimizer.descent_step()
    else:
        optimizer.step()


def step_without_gradient(model: nn.Module, optimizer: Any) -> None:
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    if isinstance(optimizer, SAM):
        optimizer.first_step()
        optimizer.second_step()
    elif isinstance(optimizer, Minimiser):
        optimizer.ascent_step()
        for weight in model.parameters():
            weight.grad = torch.zeros_like(weight)
        optimizer.descent_step()
    else:
        for one in optimizer if isinstance(optimizer, list) else [optimizer]:
            one.step()


def revived(model: nn.Module, masks: dict[str, torch.Tensor]) -> int:
    return sum(int((model.get_parameter(n)[~m] != 0).sum()) for n, m in masks.items())


@every_wrapper
def test_pruned_weights_stay_at_zero_after_every_step(name):
    model, optimizer, s = start(name)
    assert s.layers == ["0.weight", "2.weight"]
    s.sparsify()
    for number in range(7):
        step(model, optimizer, number)
        assert revived(model, s.masks) == 0
        assert all(model.get_parameter(n)[m].any() for n, m in s.masks.items())
    masks = s.masks
    s.densify()
    for number in range(3):
        step(model, optimizer, number)
    assert revived(model, masks) > 60  # of 96


@pytest.mark.parametrize("momentum", ["pruned", "reset"])
@every_wrapper
def test_a_reborn_weight_does_not_move_without_a_gradient(name, momentum):
    model, optimizer, s = start(name, momentum=momentum)
    s.sparsify()
    for number in range(5):
        step(model, optimizer, number)
    masks = s.masks
    s.densify()
    for _ in range(4):
        step_without_gradient(model, optimizer)
        assert revived(model, masks) == 0
    step(model, optimizer, 9)
    assert revived(model, masks) > 50


@every_wrapper
def test_nothing_is_left_of_the_hooks(name):
    model, optimizer, s = start(name)
    levels = s._optimizers.levels
    before = [set(vars(level)) for level in levels]
    s.sparsify()
    step(model, optimizer, 0)
    s.finish()
    assert [set(vars(level)) for level in levels] == before
    for hooks in ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks"):
        assert not any(getattr(level, hooks, None) for level in levels)


@every_wrapper
def test_a_gradual_schedule_counts_each_step_once(name):
    model, optimizer, s = start(name)
    s.sparsify(gradually=Gradual(steps=6, every=1))
    for number in range(6):
        assert s.growing
        step(model, optimizer, number)
    assert not s.growing
    assert revived(model, s.masks) == 0
    assert [row["kept"] for row in s.report().values()] == [64, 32]


def test_sams_second_gradient_is_that_of_a_sparse_network():
    model, optimizer, s = start("sam")
    s.sparsify()
    gradients(model, 0)
    optimizer.first_step()
    assert revived(model, s.masks) == 0


def test_sams_step_with_a_closure():
    model, optimizer, s = start("sam")
    s.sparsify()
    seen = []

    def closure() -> None:
        seen.append(revived(model, s.masks))
        gradients(model, 0)

    optimizer.step(closure)
    assert seen == [0, 0]
    assert revived(model, s.masks) == 0


def test_schedule_free_weights_are_sparse_in_both_modes():
    model, optimizer, s = start("schedule-free")
    optimizer.eval()
    s.sparsify()  # also when it begins in this mode
    for number in range(4):
        assert revived(model, s.masks) == 0
        optimizer.train()
        assert revived(model, s.masks) == 0
        step(model, optimizer, number)
        optimizer.eval()


def test_learning_rate_schedulers_may_wrap_the_step_too():
    model, optimizer, s = start("lookahead of groups")
    s.sparsify()
    optimizer.defaults, optimizer.state = {}, {}
    rates = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    for number in range(3):
        step(model, optimizer, number)
        rates.step()
        assert revived(model, s.masks) == 0
    s.densify()
    step(model, optimizer, 0)
    assert revived(model, {"2.weight": torch.zeros(4, 16, dtype=bool)}) == 64


def test_a_copy_of_a_wrapper_steps_for_itself():
    model, optimizer, s = start("master weights")
    s.sparsify()
    model2, optimizer2, s2 = copy.deepcopy((model, optimizer, s))
    before = copy.deepcopy(model.state_dict())
    step(model2, optimizer2, 0)
    assert revived(model2, s2.masks) == 0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not torch.equal(model2[0].weight, model[0].weight)


class FullBatchLBFGS(LBFGS):
    """As others call theirs."""


@pytest.mark.parametrize("kind", [LBFGS, FullBatchLBFGS])
@pytest.mark.parametrize("wrap", [lambda o: o, Lookahead, lambda o: [o]])
def test_lbfgs_is_refused_by_name(kind, wrap):
    model = mlp()
    with pytest.raises(ValueError, match=rf"^{kind.__name__} searches along a line"):
        Sparsifier(model, wrap(kind(model.parameters())), sparsity=0.5)


class Flat:
    """Trains one flat copy of all weights: what it does to which is not known."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.flat = torch.cat([p.detach().flatten() for p in model.parameters()]).requires_grad_()
        self.optimizer = SGD([self.flat], lr=0.1)


@pytest.mark.parametrize("make", [Flat, lambda m: SGD(mlp().parameters(), lr=0.1)])
def test_an_optimizer_of_other_tensors_is_refused(make):
    model = mlp()
    with pytest.raises(ValueError, match="the optimizer holds no parameter of this model"):
        Sparsifier(model, make(model), sparsity=0.5)


@pytest.mark.parametrize("bad", [[], None, "adam", mlp(), [SGD(mlp().parameters()), None]])
def test_what_is_no_optimizer(bad):
    with pytest.raises((TypeError, ValueError), match=r"^optimizer: |^optimizer must be"):
        Sparsifier(mlp(), bad, sparsity=0.5)


@pytest.mark.parametrize("name", ["momentum", "velocity", "m", "exp_avg", "grad_ema"])
def test_momentum_under_other_names(name):
    model = mlp()
    optimizer = Named(model.parameters(), lr=0.1, name=name)
    s = Sparsifier(model, optimizer, sparsity=0.5)
    step(model, optimizer, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s.sparsify()
        masks = s.masks
        step(model, optimizer, 1)
        s.densify()
    step_without_gradient(model, optimizer)
    assert revived(model, masks) == 0


@pytest.mark.parametrize("name", ["n", "b", "r", "prev", "variance", "sum", "hessian", "mask"])
def test_state_whose_name_says_too_little_is_named(name):
    """They are scales in optimizers of libraries; in one's own they may be momentum."""
    model = mlp()
    optimizer = Named(model.parameters(), lr=0.1, name=name)
    s = Sparsifier(model, optimizer, sparsity=0.5)
    step(model, optimizer, 0)
    with pytest.warns(UserWarning, match=f"Named's {name}: state whose role is"):
        s.sparsify()


@pytest.mark.parametrize("border", ["sparsify", "densify"])
def test_state_that_is_not_known_is_named(border):
    model = mlp()
    optimizer = Named(model.parameters(), lr=0.1, name="mystery")
    s = Sparsifier(model, optimizer, sparsity=0.5)
    if border == "densify":
        s.sparsify()
    step(model, optimizer, 0)
    with pytest.warns(UserWarning, match="Named's mystery: state whose role is") as caught:
        getattr(s, border)()
    assert caught[0].filename == __file__
    reset = Sparsifier(model, optimizer, sparsity=0.5, momentum="reset")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reset.sparsify()
    assert not optimizer.state


def test_reset_gives_adagrad_the_state_of_a_new_one():
    _, optimizer, s = start("adagrad", momentum="reset")
    s.sparsify()
    assert all((state["sum"] == 0.1).all() for state in optimizer.state.values())
    assert len(optimizer.state) == 4


class Quantised(torch.optim.Optimizer):
    """Keeps its momentum as bytes; `table` says whether they are bitsandbytes' indices."""

    def __init__(self, model: nn.Module, table: torch.Tensor | None) -> None:
        super().__init__(model.parameters(), {"lr": 0.1})
        for weight in model.parameters():
            self.state[weight]["state1"] = torch.full(weight.shape, 3, dtype=torch.uint8)
            if table is not None:
                self.state[weight] |= {"qmap1": table, "absmax1": torch.ones(1)}

    def step(self, closure: Any = None) -> None: ...


def test_quantised_momentum_is_set_to_its_zero():
    model = mlp()
    optimizer = Quantised(model, torch.arange(-127, 128) / 127)
    s = Sparsifier(model, optimizer, sparsity=0.5)
    s.sparsify()
    for name, mask in s.masks.items():
        codes = optimizer.state[model.get_parameter(name)]["state1"]
        assert (codes[~mask] == 127).all()
        assert (codes[mask] == 3).all()


@pytest.mark.parametrize("table", [None, torch.linspace(-1, 1, 256)])  # the latter has no zero
def test_quantised_momentum_that_cannot_rest_is_refused(table):
    model = mlp()
    before = copy.deepcopy(model.state_dict())
    s = Sparsifier(model, Quantised(model, table), sparsity=0.5)
    with pytest.raises(ValueError, match=r"Quantised's state1 is quantised .*momentum=\"reset\""):
        s.sparsify()
    assert not s.active
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_state_that_rmsprop_of_bitsandbytes_calls_state1_is_no_momentum():
    class RMSprop8bit(Named):
        pass

    model = mlp()
    optimizer = RMSprop8bit(model.parameters(), lr=0.1, name="state1")
    step(model, optimizer, 0)
    before = optimizer.state[model[0].weight]["state1"].clone()
    Sparsifier(model, optimizer, sparsity=0.5).sparsify()
    assert torch.equal(optimizer.state[model[0].weight]["state1"], before)


def test_muon_rests_as_a_whole():
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    model = nn.Sequential(nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 4, bias=False))
    optimizer = torch.optim.Muon(model.parameters(), lr=0.1)
    s = Sparsifier(model, optimizer, sparsity=0.5)
    step(model, optimizer, 0)
    s.sparsify()
    assert optimizer.state[model[0].weight]["momentum_buffer"].any()  # kept in the sparse phase
    step(model, optimizer, 1)
    masks = s.masks
    s.densify()
    step_without_gradient(model, optimizer)
    assert revived(model, masks) == 0


def test_rmsprops_running_average_stays():
    model = mlp()
    optimizer = RMSprop(model.parameters(), lr=0.01)
    s = Sparsifier(model, optimizer, sparsity=0.5)
    step(model, optimizer, 0)
    before = optimizer.state[model[0].weight]["square_avg"].clone()
    s.sparsify()
    assert torch.equal(optimizer.state[model[0].weight]["square_avg"], before)
