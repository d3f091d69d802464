"""The sweep over sparsities: what it puts together, and at which sparsity each figure stands."""

import pytest

from analysis.arms import BLUE, VERMILION
from analysis.figures import sparsity
from analysis.figures.sparsity import baseline, points, sweeps, swept
from analysis.groups import groups
from analysis.records import read_all
from analysis.statistics import Spread
from dsd.errors import UserError

HALF, MOST = ("phases.sparse.sparsity=0.5",), ("phases.sparse.sparsity=0.9",)


@pytest.fixture
def runs(house):
    """The usual runs at 0.3, a sweep of 0.5 and 0.9, and what is no part of it."""
    for seed in (0, 1):
        house.run("baseline", seed, 40.0 + seed)
        house.run("dsd", seed, 40.0, 42.0 + seed, 38.0 + seed)
    house.run("finetune", 0, 40.0, 39.0, 37.0)
    house.run("dsd", 0, 40.0, 45.0, 36.0, overrides=HALF)
    house.run("dsd", 0, 40.0, 60.0, 50.0, overrides=MOST)
    house.run("dsd", 0, 40.0, 60.0, 50.0, overrides=("phases.sparse.lr=0.5",))
    house.run("dsd", 0, 40.0, 60.0, 50.0, scale="short")
    elsewhere = ("phases.sparse.sparsity=0.7",)
    house.run("dsd", 0, 40.0, 60.0, 50.0, overrides=elsewhere, fingerprint="2")
    return house.runs


def sweep(runs):
    (found,) = sweeps(groups(read_all(runs)))
    return found


def test_a_sweep_differs_in_its_sparsity_alone(runs):
    found = sweep(runs)
    assert [group.first.overrides for group in found] == [[], list(HALF), list(MOST)]
    assert swept(found) == 1


def test_a_default_that_is_said_again_is_no_sweep(house):
    house.run("dsd", 0, 40.0, 42.0, 38.0)
    same = house.group.runs[0].record.phases[1].sparsity
    house.run("dsd", 1, 40.0, 42.0, 38.0, overrides=(f"phases.sparse.sparsity={same:g}",))
    assert sweeps(groups(read_all(house.runs))) == []
    house.run("dsd", 2, 40.0, 42.0, 38.0, overrides=HALF)
    (found,) = sweeps(groups(read_all(house.runs)))
    assert swept(found) == 1


def test_points_go_from_the_matched_fine_tuning_to_the_most_zeros_over_the_same_seeds(runs, house):
    def one(*points):
        return [(at, Spread(mean, None, 1)) for at, mean in points]

    # of 0.3, seed 1 has no other sparsity
    sparse, final = (points(sweep(runs), "test", place) for place in (1, -1))
    assert sparse == one((0.0, 39.0), (0.3, 42.0), (0.5, 45.0), (0.9, 60.0))
    assert final == one((0.0, 37.0), (0.3, 38.0), (0.5, 36.0), (0.9, 50.0))
    assert baseline(sweep(runs), "test") == Spread(40.0, None, 1)
    house.run("dsd", 1, 41.0, 47.0, 39.0, overrides=HALF)
    house.run("dsd", 1, 41.0, 62.0, 50.0, overrides=MOST)
    sd = pytest.approx(0.5**0.5)
    sparse, final = (points(sweep(runs), "test", place) for place in (1, -1))
    assert sparse[:2] == [*one((0.0, 39.0)), (0.3, Spread(42.5, sd, 2))]
    assert sparse[2] == (0.5, Spread(46.0, pytest.approx(2**0.5), 2))
    assert final[1] == (0.3, Spread(38.5, sd, 2))
    assert baseline(sweep(runs), "test") == Spread(40.5, sd, 2)


def test_runs_that_share_no_seed_are_all_drawn(house):
    house.run("dsd", 0, 42.0, 38.0)
    house.run("dsd", 1, 42.0, 36.0, overrides=HALF)
    house.run("finetune", 7, 42.0, 36.0)
    assert [test.mean for _, test in points(sweep(house.runs), "test", -1)] == [38.0, 36.0]


def test_controls_that_were_not_run_are_left_out(house):
    house.run("dsd", 0, 38.0)
    house.run("dsd", 0, 36.0, overrides=HALF)
    found = sweep(house.runs)
    assert [at for at, _ in points(found, "test", -1)] == [0.3, 0.5]
    assert baseline(found, "test") is None
    assert sparsity.picture(found).axes[0].get_xlabel() == "sparsity of the sparse phase"


def test_the_picture_draws_both_phases_and_the_baseline(runs):
    figure = sparsity.picture(sweep(runs))
    (axes,) = figure.axes
    drawn = {c.lines[0].get_color(): c.lines[0].get_xydata() for c in axes.containers}
    assert drawn[VERMILION][:, 1].tolist() == [39.0, 42.0, 45.0, 60.0]
    assert drawn[BLUE][:, 1].tolist() == [37.0, 38.0, 36.0, 50.0]
    assert drawn[BLUE][:, 0] == pytest.approx([0, 0.3, 0.5, 0.9], abs=0.01)
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == [40.0]
    assert [text.get_text() for text in axes.texts] == ["n 1"] * 4
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.3", "0.5", "0.9"]
    (legend,) = figure.legends
    told = [text.get_text() for text in legend.get_texts()]
    assert told == ["after sparse", "after re-dense", "baseline (n 1)"]


def test_one_sparsity_that_ruins_the_network_does_not_flatten_the_others(house, runs):
    assert sparsity.picture(sweep(runs)).axes[0].get_yscale() == "linear"
    house.run("dsd", 0, 40.0, 9.0, 8.0)
    (axes,) = sparsity.picture(sweep(runs)).axes
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "top-1 error (%), log scale"


def test_two_test_sets_have_a_panel_each(captions, house):
    captions("dsd", 0, 50.0, 45.0, 52.0)
    captions("dsd", 0, 50.0, 46.0, 53.0, overrides=HALF)
    figure = sparsity.picture(sweep(house.runs))
    assert [axes.get_title() for axes in figure.axes] == ["beam 1", "beam 20"]
    means = figure.axes[1].containers[1].lines[0].get_ydata().tolist()
    assert means == [23.0, 24.0]


def test_what_is_no_sweep_is_refused(house, command):
    paths = [house.run("dsd", 0, 38.0), house.run("dsd", 0, 38.0, scale="short")]
    refused = command("sparsity", *paths).exception
    assert isinstance(refused, UserError)
    fault = "resnet18.dsd.seed0.json and images-resnet18.short.dsd.seed0.json: not one sweep"
    assert fault in str(refused)
