"""Every optimizer of torch.optim by its name: it trains, prunes, resumes to the same bits."""

from pathlib import Path

import pytest
import torch
from torch import nn

from dsd.errors import UserError
from dsd.suite.optimizers import REFUSED, USUAL, classes, settings
from dsd.suite.recipe import Optimizer, load_recipe
from dsd.training.algorithm import train_arm
from dsd.training.optimizers import MuonWithAdamW, clear_state, make_optimizer
from dsd.training.stop import Stopped
from tests.dsd.running import StopAfter, make_run, undated, weights

MLP = Path(__file__).parents[2] / "own_suite" / "recipes" / "points" / "mlp.yaml"
ALL = [*classes(), "rmsprop_eps_inside"]
WITH = {  # settings that make state
    "sgd": ("momentum=0.9", "dampening=0.1"),
    "adam": ("amsgrad=true",),
    "adamw": ("amsgrad=true", "weight_decay=0.01"),
    "rmsprop": ("momentum=0.9", "centered=true"),
    "adafactor": ("eps=[null, 0.01]",),
    "muon": ("momentum=0.9", "ns_steps=3", "weight_decay=0.1"),
    "rprop": ("step_sizes=[1.0e-5, 1.0]",),
}


def recipe_of(*overrides: str):
    return load_recipe(MLP, "mini", overrides)


def given(name: str) -> list[str]:
    own = [f"optimizer.{each}" for each in WITH.get(name, ())]
    return ["optimizer.momentum=null"] * (name not in ("sgd", "rmsprop", "muon")) + [
        f"optimizer.name={name}",
        *own,
    ]


def test_all_of_torch_but_two_are_there():
    theirs = {n.lower() for n, c in vars(torch.optim).items() if isinstance(c, type)}
    assert {*classes()} | {*REFUSED} == theirs - {"optimizer"}
    for name, known in USUAL.items():
        assert known | {"weight_decay"} <= settings(name), "what is written down is torch's"


OFTEN = ("sgd", "rmsprop_eps_inside", "adamw", "muon")  # each kind of state; the others are slow


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow) for name in ALL]
)
def test_stopped_often_it_ends_with_the_same_bits(own_suite, tmp_path, name):
    short = ["phases.dense.epochs=0.5", "phases.sparse.epochs=0.5", "phases.redense.epochs=0.5"]
    overrides = [*given(name), *short]
    whole = make_run(own_suite, *overrides)
    expected = undated(train_arm(whole, "dsd"))
    final = weights(whole, "dsd", 3)
    start = whole.task.model().state_dict()
    assert any(not torch.equal(final[key], start[key]) for key in final)
    sparse = weights(whole, "dsd", 2)["3.weight"]
    assert int((sparse == 0).sum()) == sparse.numel() // 2
    (own_suite / "runs").rename(tmp_path / "away")
    stops = 0
    while True:
        run = make_run(own_suite, *overrides, stop=StopAfter(looks=3))
        try:
            path = train_arm(run, "dsd")
            break
        except Stopped:
            stops += 1
    assert stops >= 3
    assert undated(path) == expected
    for key, value in weights(run, "dsd", 3).items():
        assert torch.equal(value, final[key]), key


@pytest.mark.parametrize("name", ALL)
def test_its_state_is_forgotten_where_the_recipe_says_so(name):
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    made = make_optimizer(recipe_of(*given(name)).optimizer, net.parameters(), 0.01)
    net(torch.randn(8, 4)).square().sum().backward()
    made.step()
    parts = made.parts if isinstance(made, MuonWithAdamW) else [made]
    assert all(part.state for part in parts)
    clear_state(made)
    assert not any(part.state for part in parts)


def test_names_are_torchs_in_any_case():
    assert (
        recipe_of("optimizer.name=AdamW", "optimizer.momentum=null").optimizer
        == recipe_of("optimizer.name=adamw", "optimizer.momentum=null").optimizer
    )


def test_numbers_that_yaml_takes_for_text_are_numbers():
    made = recipe_of(
        "optimizer.name=nadam",
        "optimizer.momentum=null",
        "optimizer.eps=1e-6",
        "optimizer.momentum_decay=1e-3",
        "optimizer.lambd=null",
    ).optimizer
    assert (made.eps, made.model_extra) == (1e-6, {"momentum_decay": 1e-3})


def test_muon_has_the_matrices_and_adamw_the_rest():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    made = make_optimizer(Optimizer(name="muon", weight_decay=0.1), net.parameters(), 0.02)
    muon, adamw = made.parts
    assert [p.shape for p in muon.param_groups[0]["params"]] == [(2, 4)]
    assert len(adamw.param_groups[0]["params"]) == 5
    assert muon.param_groups[0]["adjust_lr_fn"] == "match_rms_adamw"
    assert [(g["lr"], g["weight_decay"]) for g in made.param_groups] == [(0.02, 0.1)] * 2
    made.param_groups[1]["lr"] = 0.5
    assert adamw.param_groups[0]["lr"] == 0.5
    with pytest.raises(UserError, match="the network has none; use adamw"):
        make_optimizer(Optimizer(name="muon"), nn.Conv1d(2, 2, 1).parameters(), 0.1)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["name=lbfgs"], "lbfgs computes the loss several times a step"),
        (["name=SparseAdam", "momentum=null"], "sparseadam takes sparse gradients alone"),
        (["name=adamm"], "no optimizer is called 'adamm'; did you mean 'adam'?"),
        (["name=optimizer"], "no optimizer is called 'optimizer'"),
        (["name=nadam"], "nadam has no momentum; did you mean 'momentum_decay'?"),
        (["name=adagrad"], "adagrad has no momentum; drop them: optimizer.momentum=null"),
        (["name=nadam", "momentum=null", "momentum_decai=0.1"], "did you mean 'momentum_decay'?"),
        (["name=nadam", "momentum=null", "betas=[0.9]"], "optimizer.betas"),
        (["name=asgd", "momentum=null", "lambd=many"], "not settings of asgd: "),
        (["name=adadelta", "momentum=null", "rho=7"], "not settings of adadelta: Invalid rho"),
        (["name=rprop", "momentum=null", "weight_decay=0.1"], "rprop has no weight_decay"),
        (["name=rprop", "momentum=null", "etas=[2, 1]"], "not settings of rprop: Invalid eta"),
        (["name=muon", "adjust_lr_fn=mine"], "not settings of muon: Adjust"),
        (["name=adam", "momentum=null", "amsgrad=maybe"], "amsgrad of adam is true or false"),
        (["momentun=null"], "no optimizer has 'momentun'; did you mean 'momentum'?"),
        (["lr=0.1"], "sgd has no lr; drop them: optimizer.lr=null"),
        (["fused=true"], "sgd has no fused"),
        (["maximize=true"], "sgd has no maximize"),
        (["name=adam", "momentum=null", "eps=[1, 2, 3]"], "not settings of adam"),
        (["name=adamax", "momentum=null", "eps=small"], "eps is a number, not 'small'"),
    ],
)
def test_what_cannot_be_is_one_line(overrides, said):
    with pytest.raises(UserError) as caught:
        recipe_of(*(f"optimizer.{each}" for each in overrides))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
