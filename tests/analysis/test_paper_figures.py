"""The paper's figures: which column is whose, what is verified, and the gains that follow."""

import csv
from pathlib import Path

import pytest

from analysis import paper
from dsd.errors import UserError

PAPER = Path(__file__).parents[2] / "results" / "paper"


@pytest.mark.parametrize(
    ("table", "column", "metric"),
    [
        ("appendix_cifar10_resnet20", None, "top1_error_pct"),
        ("table2_googlenet", None, "top1_error_pct"),
        ("table2_googlenet", None, "top5_error_pct"),
        ("table3_vgg16", None, "top1_error_pct"),
        ("table4_resnet", "resnet18", "top1_error_pct"),
        ("table4_resnet", "resnet50", "top5_error_pct"),
        ("table5_neuraltalk", None, "bleu4"),
    ],
)
def test_gains_from_the_papers_figures_are_the_gains_it_states(table, column, metric):
    found, figures = paper.figures(PAPER, table, column, metric)
    assert found == metric
    with (PAPER / f"{table}.csv").open() as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    name = next(n for n in rows["dsd"] if n.endswith(metric) and n.startswith(column or ""))
    gain = paper.gain(figures["baseline"].value, figures["dsd"].value, metric)
    assert gain == pytest.approx(float(rows["improve_abs"][name]), abs=0.011)


def test_the_model_zoo_has_a_row_a_network():
    metric, figures = paper.figures(PAPER, "model_zoo", "AlexNet")
    assert metric == "top1_error_pct"
    assert {arm: figure.value for arm, figure in figures.items()} == {
        "baseline": 42.78,
        "dsd": 41.48,
    }
    with pytest.raises(UserError, match=r"model_zoo\.csv: no network 'AlexNt'"):
        paper.figures(PAPER, "model_zoo", "AlexNt")


def test_unverified_figures_are_known_as_such():
    _, cifar = paper.figures(PAPER, "appendix_cifar10_resnet20", None)
    assert [(arm, f.seen, f.sd_seen) for arm, f in cifar.items()] == [
        ("baseline", True, True),
        ("dsd", True, False),
        ("finetune", False, False),
    ]
    _, vgg = paper.figures(PAPER, "table3_vgg16", None)
    assert not vgg["llr"].seen


def test_a_table_or_column_that_is_not_there_names_the_file():
    with pytest.raises(UserError, match=r"nothing\.csv: missing"):
        paper.figures(PAPER, "nothing", None)
    with pytest.raises(UserError, match=r"table4_resnet\.csv: no column .*resnet34"):
        paper.figures(PAPER, "table4_resnet", "resnet34")
