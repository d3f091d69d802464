"""Scales in words: each of the suite's recipes has some, one of a user's keeps its name."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from analysis import scales
from analysis.results import read
from analysis.tables import notes
from dsd.suite.folder import Suite

SUITE = Suite(Path(__file__).parents[2])
OF_RECIPES = [
    (name, scale)
    for name, path in SUITE.recipes.items()
    for scale in yaml.safe_load(path.read_text(encoding="utf-8")).get("scales") or {}
]


def of(recipe: str, scale: str):
    return SimpleNamespace(recipe=recipe, scale=scale)


@pytest.mark.parametrize(("recipe", "scale"), OF_RECIPES)
def test_every_scale_of_the_suite_has_words(recipe, scale):
    assert scales.words(of(recipe, scale)) != scale
    assert scale not in scales.scale(of(recipe, scale)).split()


def test_no_words_are_left_over():
    known = {(recipe.partition("-")[0], scale) for recipe, scale in OF_RECIPES}
    told = {(corpus, scale) for corpus, its in scales.SCALES.items() for scale in its}
    assert told <= known


def test_a_scale_of_a_users_own_keeps_its_name():
    assert scales.words(of("images-resnet18", "short")) == "short"
    assert scales.scale(of("images-resnet18", "short")) == "scale short"
    assert scales.words(of("cifar10-resnet20", "short")) == "a thirteenth of the epochs"
    assert scales.scale(of("images-resnet18", "full")) == ""


def test_readers_see_the_words_and_the_name_to_type(house):
    house.run("dsd", 0, 28.0, scale="mini")
    (group,) = read(house.suite).groups
    assert notes.title(group) == "ResNet-18, miniature (images-resnet18, scale mini)"
    assert "miniature" in group.reasons_apart(house.suite)
    assert "| miniature |" in house.written()["other_conditions.md"]
