"""The paper's figures: which column is whose, what is verified, and the gains that follow."""

from pathlib import Path

import pytest

from analysis import paper
from dsd.errors import UserError
from dsd.suite.folder import Suite

PAPER = paper.load(Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("table", "column", "metric"),
    [
        ("appendix_cifar10_resnet20", None, "top1_error_pct"),
        ("table2_googlenet", None, "top5_error_pct"),
        ("table3_vgg16", None, "top1_error_pct"),
        ("table4_resnet", "resnet18", "top1_error_pct"),
        ("table4_resnet", "resnet50", "top5_error_pct"),
        ("table5_neuraltalk", None, "bleu4"),
    ],
)
def test_gains_from_the_papers_figures_are_the_gains_it_states(table, column, metric):
    figures = PAPER.figures(table, column, metric)
    gain = paper.gain(figures["baseline"].value, figures["dsd"].value, metric)
    assert gain == pytest.approx(figures["improve_abs"].value, abs=0.011)


@pytest.mark.parametrize(
    ("split", "values"), [("eval92", [28.03, 27.45]), ("eval93", [33.55, 31.59])]
)
def test_a_test_set_has_its_own_columns(split, values):
    metric, figures = PAPER.of_arms("table7_deepspeech", None, None, split)
    assert metric == "wer_pct"
    assert [figures[arm].value for arm in ("baseline", "dsd")] == values
    assert PAPER.test_sets("table7_deepspeech") == ["eval92", "eval93"]
    assert PAPER.test_sets("table5_neuraltalk") == PAPER.test_sets(paper.ZOO) == [""]


def test_the_model_zoo_has_a_row_a_network():
    metric, figures = PAPER.of_arms(paper.ZOO, "AlexNet", None)
    assert metric == "top1_error_pct"
    assert {arm: figure.value for arm, figure in figures.items()} == {
        "baseline": 42.78,
        "dsd": 41.48,
    }


def test_captions_are_quoted_by_bleu_4():
    metric, figures = PAPER.of_arms("table5_neuraltalk", None, None)
    assert (metric, figures["dsd"].printed) == ("bleu4", "18.5")


def test_unverified_figures_are_known_as_such():
    _, cifar = PAPER.of_arms("appendix_cifar10_resnet20", None, None)
    assert {arm: (f.seen, f.sd_seen) for arm, f in cifar.items()} == {
        "baseline": (True, True),
        "dsd": (True, False),
        "finetune": (False, False),
    }
    assert not PAPER.figures("table3_vgg16", None, "top1_error_pct")["llr"].seen


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("nothing", None, "bleu4"), r"nothing\.csv: missing; name another table"),
        (("table4_resnet", "resnet34", "top1_error_pct"), r"table4_resnet\.csv: no column .*34"),
        (
            ("table7_deepspeech", None, "wer_pct", "test"),
            r"speech\.csv: no column holds wer_pct",
        ),
        (
            (paper.ZOO, "AlexNt", "top1_error_pct"),
            r"model_zoo\.csv: no .* of AlexNt; there are AlexNet",
        ),
    ],
)
def test_what_is_not_there_names_the_file(asked, said):
    with pytest.raises(UserError, match=said):
        PAPER.figures(*asked)


def test_every_network_of_the_paper_leads_to_a_recipe_and_back():
    suite = Suite(PAPER.folder.parents[1])
    recipes = [suite.recipe(name) for name in suite.recipes]
    places = {(recipe.table, recipe.column): recipe for recipe in recipes if recipe.table}
    for table in ("table1_overview", paper.ZOO):
        for row in PAPER.rows(table):
            recipe = places[paper.place(row["network"])]
            letters = recipe.name.partition("-")[2].replace("-", "")
            assert letters == row["network"].lower().replace("-", "")
    assert set(places) - set(paper.PLACES.values()) == {("appendix_cifar10_resnet20", None)}
