"""Recipes: what is refused, and how; how arms share phases; how rates fall."""

import math
from pathlib import Path

import pytest

from dsd.errors import UserError
from dsd.suite.decay import Decay
from dsd.suite.recipe import load_recipe, merge

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
        ("phases.sparse.sparsity=1", "phases.sparse.sparsity: Input should be less than 1"),
        ("arms.dsd.mask=magnitud", "arms.dsd.mask"),
        ("phases.dense.epochs", "settings are written key=value"),
        ("phases.dense.epochs=[", "not valid YAML"),
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


def test_decay_shapes():
    assert Decay().scale(3, 10) == 1
    step = Decay(shape="step", at=(81, 122), factor=0.1)
    assert [step.scale(e, 164) for e in (0, 80.99, 81, 121.9)] == pytest.approx([1, 1, 0.1, 0.1])
    assert step.scale(122, 164) == pytest.approx(0.01)
    cosine = Decay(shape="cosine")
    assert [cosine.scale(e, 8) for e in (0, 4, 8)] == pytest.approx([1, 0.5, 0])
    assert cosine.scale(2, 8) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert Decay(shape="poly", power=0.5).scale(45, 60) == pytest.approx(0.5)
