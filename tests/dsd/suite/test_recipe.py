"""Recipes: what is refused, and how; how arms share phases; how rates fall."""

import math
from pathlib import Path

import pytest

from dsd.errors import UserError
from dsd.pruning.criteria import CRITERIA
from dsd.pruning.schedule import Gradual
from dsd.suite.decay import Decay
from dsd.suite.recipe import Phase, held_sparsity, load_recipe
from dsd.suite.values import merge

MLP = Path(__file__).parents[2] / "own_suite" / "recipes" / "points" / "mlp.yaml"


def load(*overrides: str, scale: str = "full"):
    return load_recipe(MLP, scale, overrides)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("phases.dense.epoch=3", "unknown key 'phases.dense.epoch'; did you mean 'epochs'?"),
        ("optimiser.name=sgd", "unknown key 'optimiser'; did you mean 'optimizer'?"),
        ("phases.dense.decay.shap=step", "did you mean 'shape'?"),
        ("optimizer.momentun=0.9", "did you mean 'momentum'?"),
        ("arms.dsd.phases=[dense, spars]", "no phase is called 'spars'; did you mean 'sparse'?"),
        ("arms.dsd.phases=[sparse, redense]", "the first phase must be dense"),
        ("phases.dense.lr=-1", "phases.dense.lr: Input should be greater than 0"),
        (
            "phases.sparse.sparsity=1",
            "phases.sparse.sparsity: sparsity must be at least 0 and below",
        ),
        ("phases.sparse.sparsity={fc: 1}", "phases.sparse.sparsity: sparsity must be at least 0"),
        ("phases.sparse.sparsity=half", "sparsity: a sparsity is a number, or one for each layer"),
        ("phases.sparse.sparsity={fc: half}", "or one for each layer, not 'half'"),
        ("phases.sparse.scope=globl", "phases.sparse.scope: Input should be 'layer' or 'global'"),
        (
            "phases.sparse={epochs: 1, lr: 1, sparsity: {fc: 0.5}, scope: global}",
            "not one for each",
        ),
        ("phases.sparse.gradual={epochs: 2, every: 1}", "the phase ends before, after 1.25 epochs"),
        ("phases.sparse.gradual={epochs: 1, every: 1, evry: 1}", "did you mean 'every'?"),
        ("phases.sparse.gradual={epochs: 1, every: 0}", "every: Input should be greater than or"),
        ("phases.dense.gradual={epochs: 1, every: 1}", "gradual: the phase has no sparsity"),
        ("phases.dense.sparsity={fc: 0.5}", "the first phase must be dense"),
        (
            "arms.dsd.mask=magnitud",
            "arms.dsd.mask: no criterion is called 'magnitud'; did you mean 'magnitude'?",
        ),
        ("phases.dense.epochs", "settings are written key=value"),
        ("phases.dense.epochs=[", "not valid YAML"),
        ("optimizer.momentum=", "has no value; for none at all write optimizer.momentum=null"),
        ("phases.redens={epochs: 9, lr: 1}", "phases.redens: no arm uses it; did you mean 'reden"),
        ("phases.re-dense.epochs=1", "phases.re-dense: no arm uses it; did you mean 'redense'?"),
        ("phases.dense.epochs=true", "epochs: Input should not be true"),
        ("dense_seed=true", "dense_seed: Input should not be true"),
        ("phases.dense.epochs=1:30", "phases.dense.epochs: Input should be a valid number"),
        ("phases.dense={epochs: 1, lr: 1, lr: 2}", "not valid YAML"),
    ],
)
def test_a_fault_is_one_line_that_names_the_key(override, expected):
    with pytest.raises(UserError) as fault:
        load(override)
    assert expected in str(fault.value)
    assert "\n" not in str(fault.value)


def test_unknown_arm_and_scale_name_the_nearest():
    with pytest.raises(UserError, match="did you mean 'finetune'"):
        load().plan("fintune")
    with pytest.raises(UserError, match="no scale 'mni'; did you mean 'mini'"):
        load(scale="mni")


def test_not_a_mapping_and_broken_yaml_name_the_file(tmp_path):
    for text in ("- a\n", "a: [\n"):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(UserError, match=r"x\.yaml"):
            load_recipe(tmp_path / "x.yaml")


def test_numbers_are_decimal():
    assert load("phases.dense.epochs=010").phases["dense"].epochs == 10
    assert load("phases.dense.lr=1e-3").phases["dense"].lr == 1e-3


def test_a_key_that_comes_twice_and_a_scales_idle_phase_are_named(tmp_path):
    text = MLP.read_text()
    for old, new, said in (
        (
            "dense: {epochs: 3, lr: 0.1}",
            "dense: {epochs: 3, lr: 0.1, lr: 0.3}",
            "'lr' is there twi",
        ),
        ("task: {width: 32}", "task: {width: 32}\ntask: {}", "line 5: 'task' is there twice"),
        ("  mini: {}", "  mini: {phases: {spars: {epochs: 1, lr: 1}}}", "spars: no arm uses it"),
    ):
        assert old in text
        (tmp_path / "x.yaml").write_text(text.replace(old, new))
        with pytest.raises(UserError, match=said):
            load_recipe(tmp_path / "x.yaml", "mini")


def test_overrides_change_one_key_and_leave_the_rest():
    recipe = load("phases.sparse.sparsity=0.8", "phases.sparse.lr=1e-3")
    assert recipe.phases["sparse"].sparsity == 0.8
    assert recipe.phases["sparse"].lr == 1e-3
    assert recipe.phases["sparse"].epochs == 1.25
    assert recipe.phases["dense"] == load().phases["dense"]


def test_merge_goes_into_mappings_and_replaces_lists():
    assert merge({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}}


def test_arms_share_the_folders_in_which_they_begin_alike():
    recipe = load()
    folders = {arm: [node.folder for node in recipe.plan(arm)] for arm in recipe.arms}
    assert folders["baseline"] == ["dense"]
    assert folders["dsd"] == ["dense", "sparse", "redense"]
    assert folders["dsdsd"][:3] == folders["dsd"]
    assert folders["finetune"] == ["dense", "sparse-unmasked", "redense"]
    assert folders["random"] == ["dense", "sparse-random", "redense"]
    assert folders["llr"] == ["dense", "llr"]


def test_a_new_criterion_is_a_mask_of_every_recipe(monkeypatch):
    monkeypatch.setitem(CRITERIA, "steepest", lambda weight, generator: weight.grad)
    plan = load("arms.dsd.mask=steepest").plan("dsd")
    assert [(node.folder, node.mask) for node in plan] == [
        ("dense", "none"),
        ("sparse-steepest", "steepest"),
        ("redense", "none"),
    ]


def test_a_sparsity_by_layer():
    recipe = load("phases.sparse.sparsity={3: 0, '*': 0.5}", "phases.llr.sparsity={'*': 0}")
    assert recipe.phases["sparse"].sparsity == {"3": 0, "*": 0.5}
    assert not recipe.phases["llr"].sparse
    for arm in ("dsd", "random", "finetune", "sparse"):
        plan = recipe.plan(arm)
        assert [n.folder for n in plan] == [n.folder for n in load().plan(arm)]
        assert [n.mask for n in plan] == [n.mask for n in load().plan(arm)]
    layers = {"3.weight": {"weights": 600, "kept": 1}, "5.weight": {"weights": 400, "kept": 1}}
    for arm, after in (("dsd", 0), ("sparse", 0.2), ("finetune", 0)):
        plan = recipe.plan(arm)
        held = [held_sparsity(plan[:depth], layers) for depth in (1, 2, 3)]
        assert held == [0, 0.2, after]
    assert held_sparsity(load().plan("dsd")[:2], layers) == 0.5


def test_a_gradual_phase_in_steps():
    phase = load("phases.sparse.gradual={epochs: 0.75, every: 2}").phases["sparse"]
    assert phase.gradually(steps_per_epoch=8) == Gradual(steps=6, every=2)
    assert phase.gradually(steps_per_epoch=0) is None  # too short for a step: at once
    assert load().phases["sparse"].gradually(8) is None


def test_the_new_keys_change_no_old_recipe():
    """A finished run's settings lack them: read through the models, both are equal."""
    old = {"epochs": 1.25, "lr": 0.01, "sparsity": 0.5, "decay": Decay().model_dump(mode="json")}
    assert Phase.model_validate(old) == load().phases["sparse"]
    assert Phase.model_validate(old).model_dump(mode="json").items() >= old.items()


def test_decay_shapes():
    assert Decay().scale(3, 10) == 1
    step = Decay(shape="step", at=(81, 122), factor=0.1)
    assert [step.scale(e, 164) for e in (0, 80.99, 81, 121.9)] == pytest.approx([1, 1, 0.1, 0.1])
    assert step.scale(122, 164) == pytest.approx(0.01)
    cosine = Decay(shape="cosine")
    assert [cosine.scale(e, 8) for e in (0, 4, 8)] == pytest.approx([1, 0.5, 0])
    assert cosine.scale(2, 8) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert Decay(shape="poly", power=0.5).scale(45, 60) == pytest.approx(0.5)
