"""`dsd figures`: which pictures there are, and that a stale or missing one is named."""

import subprocess
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from analysis.commands import add_commands
from analysis.figures import standard
from dsd.errors import UserError

ROOT = Path(__file__).parents[3]


def layer(zeros):
    counts = [0, 1, 5, 8 - zeros, 4, 1, 0]
    return {"half_width": 0.7, "counts": counts, "below": 0, "above": 0, "zeros": zeros}


def seen(name, zeros=0):
    return {"stage": name, "moment": "end", "layers": {"a.weight": layer(zeros)}}


ROUND = [
    [seen("pruned", 6), seen("sparse-trained", 6)],
    [seen("zeros restored", 6), seen("re-dense", 1)],
]
LOG = [{"epoch": 1.0, "lr": 0.1, "train": {"loss": 2.0}}]


@pytest.fixture
def drawn(house):
    """A recipe of two arms and a sweep, drawn; returns the house."""
    for seed in (0, 1):
        house.run("baseline", seed, 40.0, logs=[LOG])
        house.run("dsd", seed, 38.0, stages=[[seen("dense")], *ROUND])
    house.run("dsd", 0, 37.0, overrides=("phases.sparse.sparsity=0.5",))
    house.run("dsd", 0, 37.0, scale="mini")
    standard.draw(house.suite)
    return house


def folder(house):
    return house.suite.root / "results" / "figures"


def test_each_recipe_has_its_figures_and_the_sweep_one(drawn):
    names = [
        "images-resnet18.budgets",
        "images-resnet18.dsd.seed0.a.weight",
        "images-resnet18.seed0.curves",
        "images-resnet18.sparsity",
    ]
    files = sorted(path.name for path in folder(drawn).iterdir())
    assert files == [f"{name}.{ending}" for name in names for ending in ("png", "svg")]
    standard.check(drawn.suite)
    assert standard.draw(drawn.suite) == []


def test_a_stale_and_a_missing_figure_are_named_and_drawn_anew(drawn):
    (folder(drawn) / "images-resnet18.seed0.curves.svg").unlink()
    drawn.run("dsd", 1, 30.0, stages=[[seen("dense")], *ROUND])  # seed 1: in the mean alone
    fault = (
        "^results/figures/images-resnet18.seed0.curves.svg, "
        "results/figures/images-resnet18.budgets.svg: stale; draw anew with: dsd figures$"
    )
    with pytest.raises(UserError, match=fault):
        standard.check(drawn.suite)
    assert len(standard.draw(drawn.suite)) == 4
    standard.check(drawn.suite)


def test_every_round_has_a_histogram_and_a_second_group_a_name_of_its_own(house):
    house.run("dsd", 0, 38.0, stages=[[seen("dense")], *ROUND])
    house.run("dsd", 1, 38.0, fingerprint="2")
    house.run("dsdsd", 0, 38.0, recipe="images-own", stages=[[seen("dense")], *ROUND, *ROUND])
    names = [name for name, _ in standard.figures(house.suite)]
    assert len(set(names)) == len(names)
    assert "images-resnet18.budgets.2" in names
    assert not any("images-own.dsd" in name for name in names)  # no dsd there


def test_the_command_checks_writes_elsewhere_and_refuses_both(drawn, tmp_path, monkeypatch):
    monkeypatch.chdir(drawn.suite.root)
    app = typer.Typer()
    add_commands(app)
    runner = CliRunner()
    assert runner.invoke(app, ["figures", "--check"]).exit_code == 0
    done = runner.invoke(app, ["figures", "--out", str(tmp_path / "out")])
    assert len(list((tmp_path / "out").iterdir())) == len(done.stdout.split()) == 8
    (folder(drawn) / "images-resnet18.sparsity.svg").write_text("another")
    both = runner.invoke(app, ["figures", "--check", "--out", str(tmp_path)])
    assert "leave out --out" in str(both.exception)
    stale = runner.invoke(app, ["figures", "--check"])
    assert "sparsity.svg: stale" in str(stale.exception)


def test_the_other_commands_draw_beside_the_records_folder(drawn, monkeypatch):
    monkeypatch.chdir(drawn.suite.root)
    app = typer.Typer()
    add_commands(app)
    usual = [f"results/runs/images-resnet18.{arm}.seed0.json" for arm in ("baseline", "dsd")]
    other = "results/runs/images-resnet18+phases.sparse.sparsity=0.5.dsd.seed0.json"
    for words, name in (
        (["budgets", *usual], "images-resnet18.budgets"),
        (["sparsity", *usual, other], "images-resnet18.sparsity"),
        (["histograms", usual[1], "--round", "1"], "images-resnet18.dsd.seed0.a.weight"),
    ):
        done = CliRunner().invoke(app, words)
        files = [folder(drawn) / f"{name}.{ending}" for ending in ("png", "svg")]
        assert done.stdout.split() == [str(file) for file in files], done.exception


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["figures", "ARGS=--check"], "dsd figures --check"),
        (["histograms", "RUN=a.json", "LAYER=conv2"], "dsd histograms a.json --layer conv2"),
        (["histograms", "RUN=a.json", "ARGS=--round 2"], "dsd histograms a.json --round 2"),
        (["curves", "RUN=a.json b.json"], "dsd curves a.json b.json"),
    ],
)
def test_make_has_a_target_for_it(words, command):
    make = ["make", "--no-print-directory", "-n", *words]
    told = subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
    assert " ".join(told.stdout.splitlines()[-1].split()).endswith(command)
