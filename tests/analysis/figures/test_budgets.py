"""Test figures against epochs spent: where phases end, over the seeds of an arm."""

import pytest

from analysis.arms import BLUE, GREY
from analysis.figures import budgets
from analysis.figures.budgets import points
from analysis.groups import of_one_group
from analysis.statistics import Spread
from dsd.errors import UserError


@pytest.fixture
def paths(house):
    """Two seeds of baseline and dsd, one of random."""
    return [
        house.run("baseline", 0, 40.0),
        house.run("baseline", 1, 44.0),
        house.run("dsd", 0, 40.0, 50.0, 39.0),
        house.run("dsd", 1, 44.0, 50.0, 41.0),
        house.run("random", 0, 40.0, 90.0, 80.0),
    ]


def test_points_are_the_ends_of_phases(paths):
    group = of_one_group(paths)
    sd = 2 * 2**0.5
    assert points(group, "dsd", "test") == [
        (3.0, Spread(42.0, pytest.approx(sd), 2)),
        (4.25, Spread(50.0, 0.0, 2)),
        (5.25, Spread(40.0, pytest.approx(2**0.5), 2)),
    ]
    assert points(group, "random", "test")[-1] == (5.25, Spread(80.0, None, 1))


def test_the_picture_draws_means_bars_and_the_baselines_end(paths, lines):
    figure = budgets.picture(of_one_group(paths))
    both, without = figure.axes
    drawn = lines(both)
    assert drawn[GREY] == [[3.0, 42.0]]
    assert [y for _, y in drawn[BLUE]] == [42.0, 50.0, 40.0]
    assert [x for x, _ in drawn[BLUE]] == pytest.approx([3.0, 4.25, 5.25], abs=0.1)
    assert drawn[BLUE][0][0] == 3.0  # where arms part they are at one place
    assert both.get_xlim()[0] == 0
    bars = [c.lines[2][0].get_segments() for c in without.containers]
    assert (
        sorted(s[0][:, 1].tolist() for s in bars)
        == [pytest.approx([42 - 2 * 2**0.5, 42 + 2 * 2**0.5])] * 2
    )
    dotted = [line for line in without.lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in dotted] == [3.0]
    assert without.get_ylim()[1] < 60 < both.get_ylim()[1]
    assert without.get_title() == "without random"
    (legend,) = figure.legends
    told = [text.get_text() for text in legend.get_texts()]
    assert told == ["baseline (n 2)", "dsd (n 2)", "random (n 1)"]


def test_every_test_set_has_a_row(captions, lines):
    figure = budgets.picture(of_one_group([captions("dsd", 0, 50.0, 45.0, 52.0)]))
    first, second = figure.axes
    assert first.get_ylabel() == "beam 1: BLEU-4"
    assert second.get_ylabel() == "beam 20: BLEU-4"
    assert [y for _, y in lines(first)[BLUE]] == [20.0, 15.0, 22.0]
    assert [y for _, y in lines(second)[BLUE]] == [21.0, 16.0, 23.0]


def test_arms_that_nobody_knows_have_looks_of_their_own(house, lines):
    recipe, names = house.suite.recipes["images-resnet18"], ("ours", "theirs", "dsd")
    arms = "".join(f"  {name}: {{source: ours, phases: [dense, sparse]}}\n" for name in names[:2])
    recipe.write_text(recipe.read_text().replace("arms:\n", f"arms:\n{arms}"))
    figure = budgets.picture(of_one_group([house.run(name, 0, 40.0, 39.0) for name in names]))
    assert len(lines(figure.axes[0])) == 3
    (legend,) = figure.legends
    assert len({line.get_marker() for line in legend.legend_handles}) == 3


def test_records_that_do_not_belong_together_are_refused(house, paths, command):
    other = house.run("dsd", 0, 30.0, scale="short")
    refused = command("budgets", *paths, other).exception
    assert isinstance(refused, UserError)
    assert "baseline.seed0.json and images-resnet18.short.dsd.seed0.json: not of one recipe" in str(
        refused
    )
