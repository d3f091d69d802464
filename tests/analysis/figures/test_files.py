"""`dsd figures`: which pictures there are, and that a stale or missing one is named."""

import subprocess
from pathlib import Path

import pytest

from analysis.figures import files
from dsd.errors import UserError
from tests.analysis.made_up import pruned_once, pruned_twice

ROOT = Path(__file__).parents[3]
LOG = [{"epoch": 1.0, "lr": 0.1, "train": {"loss": 2.0}}]
HALF = "phases.sparse.sparsity=0.5"
NAMES = [
    "images-resnet18.budgets",
    "images-resnet18.dsd.seed0.a.weight",
    "images-resnet18.seed0.curves",
    "images-resnet18.sparsity",
]


@pytest.fixture
def drawn(house):
    """A recipe of two arms and a sweep, drawn; returns the house."""
    for seed in (0, 1):
        house.run("baseline", seed, 40.0, logs=[LOG])
        house.run("dsd", seed, 38.0, stages=pruned_once())
    house.run("dsd", 0, 37.0, overrides=(HALF,))
    house.run("dsd", 0, 37.0, scale="mini")
    files.draw(house.suite)
    return house


def folder(house):
    return house.suite.root / "results" / "figures"


def test_each_recipe_has_its_figures_and_the_sweep_one(drawn):
    assert sorted(path.name for path in folder(drawn).iterdir()) == [f"{n}.png" for n in NAMES]
    files.check(drawn.suite)
    assert files.draw(drawn.suite) == []


def test_a_stale_figure_is_named_and_drawn_anew(drawn):
    drawn.run("dsd", 1, 30.0, stages=pruned_once())  # seed 1: in the mean alone
    fault = "^results/figures/images-resnet18.budgets.png: stale; draw again with: dsd figures$"
    with pytest.raises(UserError, match=fault):
        files.check(drawn.suite)
    assert [path.name for path in files.draw(drawn.suite)] == ["images-resnet18.budgets.png"]
    files.check(drawn.suite)


def test_a_picture_that_a_page_shows_must_be_there_whole(drawn):
    shown = folder(drawn) / f"{NAMES[2]}.png"
    page = drawn.suite.root / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text(f"![A picture](../results/figures/{shown.name})")
    whole = shown.read_bytes()
    for spoilt in (None, b"", whole[:-100]):
        shown.unlink() if spoilt is None else shown.write_bytes(spoilt)
        with pytest.raises(UserError, match=rf"^results/figures/{shown.name}: stale"):
            files.check(drawn.suite)
        assert files.draw(drawn.suite) == [shown]
        assert shown.read_bytes() == whole
    page.write_text("![A picture](../results/figures/other.png)")
    with pytest.raises(UserError, match=r"^results/figures/other\.png: no record gives this"):
        files.check(drawn.suite)


def test_every_round_has_a_histogram_and_a_second_group_a_name_of_its_own(house):
    house.run("dsd", 0, 38.0, stages=pruned_once())
    house.run("dsd", 1, 38.0, fingerprint="2")
    house.run("dsdsd", 0, 38.0, recipe="images-own", stages=pruned_twice())
    names = list(files.standard(house.suite))
    assert "images-resnet18.budgets.2" in names
    assert not any("images-own.dsd" in name for name in names)  # no dsd there


def test_the_command_checks_draws_elsewhere_and_refuses_both(drawn, command, tmp_path):
    assert command("figures", "--check").exit_code == 0
    for words, ending in (((), "png"), (("--svg",), "svg")):
        done = command("figures", "--out", tmp_path / ending, *words)
        made = sorted(path.name for path in (tmp_path / ending).iterdir())
        assert made == [f"{name}.{ending}" for name in NAMES]
        assert len(done.stdout.split()) == 4
    svg = (tmp_path / "svg" / f"{NAMES[1]}.svg").read_text()
    assert len(svg) < 60_000
    assert "date" not in svg
    assert "sparse-trained" in svg  # text stays text
    assert "leave out the other options" in str(command("figures", "--check", "--svg").exception)
    (folder(drawn) / f"{NAMES[3]}.png").write_text("another")
    assert "sparsity.png: stale" in str(command("figures", "--check").exception)


@pytest.mark.parametrize(
    ("words", "name"),
    list(zip(("budgets", "histograms", "curves", "sparsity"), NAMES, strict=True)),
)
def test_a_command_draws_the_same_bytes_whatever_the_order(drawn, command, words, name):
    usual = [drawn.runs / f"images-resnet18.{arm}.seed0.json" for arm in ("baseline", "dsd")]
    given = {
        "histograms": usual[1:],
        "sparsity": [*usual, drawn.runs / f"images-resnet18+{HALF}.dsd.seed0.json"],
    }.get(words, usual)
    png = folder(drawn) / f"{name}.png"
    made = []
    for records in (given, given[::-1]):
        png.unlink()
        assert command(words, *records).stdout == f"{png}\n"
        made.append(png.read_bytes())
    assert made[0] == made[1]
    assert command(words, *given, "--svg").stdout == f"{png.with_suffix('.svg')}\n"


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
