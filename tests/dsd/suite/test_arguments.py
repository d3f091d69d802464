"""The words of a command line: seeds, and combinations of settings."""

import pytest

from dsd.errors import UserError
from dsd.suite.arguments import MOST_SEEDS, arms, combinations, seeds
from tests.dsd.suite.test_recipe import load


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["0"], [0]),
        (["0-4"], [0, 1, 2, 3, 4]),
        (["0,3"], [0, 3]),
        (["7", "0-2,1", "9"], [7, 0, 1, 2, 9]),
        (["3-3"], [3]),
        ([" 1, 2 "], [1, 2]),
        (["9223372036854775807"], [2**63 - 1]),
    ],
)
def test_seeds(words, expected):
    assert seeds(words) == expected


@pytest.mark.parametrize(
    "word",
    ["", "-1", "a", "1-", "4-0", "1--2", "0,,1", "1.5", "٣", "9" * 30, "9223372036854775808"],
)
def test_what_is_no_seed(word):
    with pytest.raises(UserError, match="--seed") as caught:
        seeds([word])
    assert "\n" not in str(caught.value)


def test_arms():
    recipe = load()
    assert arms(recipe, ["dsd,finetune", "dsd"]) == ["dsd", "finetune"]
    assert arms(recipe, ["dsd,all"]) == [*recipe.arms]
    for wrong in ("dsd,", "dsd,fintune", "dsd finetune"):
        with pytest.raises(UserError, match="no arm is called"):
            arms(recipe, [wrong])


def test_too_many_seeds_are_a_slip():
    assert len(seeds([f"1-{MOST_SEEDS}"])) == MOST_SEEDS
    with pytest.raises(UserError, match="split"):
        seeds([f"0-{MOST_SEEDS}"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [()]),
        (["a=1"], [("a=1",)]),
        (["a=1,2", "b=x,y"], [("a=1", "b=x"), ("a=1", "b=y"), ("a=2", "b=x"), ("a=2", "b=y")]),
        (["a=[0.9,0.99],[0.8,0.9]"], [("a=[0.9,0.99]",), ("a=[0.8,0.9]",)]),
        (['a="1,2"'], [('a="1,2"',)]),
        (["a={b: 1, c: 2}"], [("a={b: 1, c: 2}",)]),
    ],
)
def test_every_combination_of_settings(words, expected):
    assert combinations(words) == expected


@pytest.mark.parametrize("word", ["a=1,", "a=,1", "a=1,,2", "=1", "a"])
def test_what_is_no_setting(word):
    with pytest.raises(UserError):
        combinations([word])
