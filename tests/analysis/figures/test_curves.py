"""Learning curves: shared phases once, lines that do not break, tests at the phase ends alone."""

import pytest

from analysis.figures import curves, plots
from analysis.figures.curves import logged, of_first_seed, segments
from analysis.groups import groups
from analysis.records import Run
from dsd.errors import UserError
from dsd.runs.record import read


def row(epoch, train, heldout=None):
    figures = {"epoch": epoch, "lr": 0.1, "train": {"loss": train / 10, "top1_error_pct": train}}
    return figures | ({"heldout": {"top1_error_pct": heldout}} if heldout is not None else {})


DENSE = [row(1.0, 60, 61), row(2.0, 50, 51), row(3.0, 40, 41)]
SPARSE = [row(1.0, 44, 45), row(1.25, 43, 44)]
REDENSE = [row(1.0, 38, 39)]


@pytest.fixture
def paths(house):
    arms = {
        "dsd": (DENSE, SPARSE, REDENSE),
        "baseline": (DENSE,),
        "llr": (DENSE, [row(1.0, 39, 40), row(2.0, 39, 40)]),
    }
    tests = {"dsd": (41.5, 45.5, 39.5), "baseline": (41.5,), "llr": (41.5, 40.5)}
    return [house.run(arm, 0, *tests[arm], logs=logs) for arm, logs in arms.items()]


def runs(paths):
    return [Run(path, read(path)) for path in paths]


def test_segments_hold_the_logs_end_to_end(paths):
    found = segments(runs(paths))
    assert [(s.arms, s.name, s.start, s.end) for s in found] == [
        (["dsd", "baseline", "llr"], "dense", 0.0, 3.0),
        (["dsd"], "sparse", 3.0, 4.25),
        (["dsd"], "redense", 4.25, 5.25),
        (["llr"], "llr", 3.0, 5.0),
    ]
    dense, sparse, redense, llr = found
    assert dense.train == [(1.0, 60), (2.0, 50), (3.0, 40)]
    assert sparse.train == [(3.0, 40), (4.0, 44), (4.25, 43)]
    assert sparse.heldout == [(3.0, 41), (4.0, 45), (4.25, 44)]
    assert redense.heldout == [(4.25, 44), (5.25, 39)]
    assert llr.train == [(3.0, 40), (4.0, 39), (5.0, 39)]
    assert [s.tests for s in found] == [{"test": at} for at in (41.5, 45.5, 39.5, 40.5)]


def test_training_that_does_not_measure_the_metric_shows_its_loss(house):
    logs = [[{"epoch": 1.0, "lr": 0.1, "train": {"loss": 2.0}}]]
    path = house.run("baseline", 0, 30.0, logs=logs)
    assert logged(runs([path]), "train") == "loss"
    (segment,) = segments(runs([path]))
    assert segment.train == [(1.0, 2.0)]
    assert segment.heldout == []


def test_the_picture_draws_the_points_and_the_borders(paths):
    found = runs(paths)
    figure = curves.picture(found)
    assert len(figure.axes) == 4
    whole, after, lower, lower_after = figure.axes
    lines = [line.get_xydata().tolist() for line in whole.lines]
    assert [[1.0, 60.0], [2.0, 50.0], [3.0, 40.0]] in lines
    assert [[3.0, 40.0], [4.0, 44.0], [4.25, 43.0]] in lines
    shown = [line.get_xydata().tolist() for line in after.lines]
    assert [[3.0, 40.0]] in shown  # where the dense phase ended
    assert [[1.0, 60.0], [2.0, 50.0], [3.0, 40.0]] not in shown
    borders = {line.get_xdata()[0] for line in whole.lines if line.get_color() == plots.PALE}
    assert borders == {3.0, 4.25, 5.0, 5.25}
    points = [line for line in lower.lines if line.get_linestyle() == "None"]
    assert sorted(line.get_xydata().tolist()[0] for line in points) == [
        [3.0, 41.5],
        [4.25, 45.5],
        [5.0, 40.5],
        [5.25, 39.5],
    ]
    assert [text.get_text() for text in after.texts] == ["sparse", "re-dense"]
    assert "held-out" in lower.get_ylabel()
    assert lower_after.get_xlabel() == "epochs"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["baseline", "dsd", "llr"]


def test_two_test_sets_have_markers_of_their_own_and_perplexity_a_panel(captions):
    def log(*perplexities):
        return [
            {
                "epoch": i,
                "lr": 0.1,
                "train": {"loss": 9.0},
                "heldout": {"loss": 3.0, "perplexity": p},
            }
            for i, p in enumerate(perplexities, start=1)
        ]

    logs = [log(30.0, 20.0, 17.0), log(19.0), log(16.0)]
    found = runs([captions("dsd", 0, 50.0, 45.0, 52.0, logs=logs)])
    assert logged(found, "heldout") == "perplexity"
    dense, *_ = segments(found)
    assert dense.heldout == [(1, 30.0), (2, 20.0), (3, 17.0)]
    assert dense.tests == {"test_beam1": 20.0, "test_beam20": 21.0}  # BLEU-4
    figure = curves.picture(found)
    assert len(figure.axes) == 6
    labels = [axes.get_ylabel() for axes in figure.axes[::2]]
    assert labels == ["training loss (nats)", "held-out perplexity", "test BLEU-4"]
    heldout, tests = figure.axes[2], figure.axes[4]
    assert [[3.0, 17.0], [4.0, 19.0]] in [line.get_xydata().tolist() for line in heldout.lines]
    points = {
        tuple(line.get_xydata()[0]): line.get_fillstyle()
        for line in tests.lines
        if line.get_linestyle() == "None"
    }
    assert points == {
        **{(3.0, 20.0): "full", (4.25, 15.0): "full", (5.25, 22.0): "full"},
        **{(3.0, 21.0): "none", (4.25, 16.0): "none", (5.25, 23.0): "none"},
    }
    (legend,) = figure.legends
    entries = {line.get_label(): line.get_fillstyle() for line in legend.legend_handles}
    assert entries["beam 1"] == "full"
    assert entries["beam 20"] == "none"


def test_what_is_held_out_without_the_metric_is_its_loss_at_last(house):
    log = [{"epoch": 1.0, "lr": 0.1, "train": {"loss": 2.0}, "heldout": {"loss": 3.0}}]
    (run,) = runs([house.run("baseline", 0, 30.0, logs=[log])])
    assert logged([run], "heldout") == "loss"
    assert curves.picture([run]).axes[1].get_ylabel() == "held-out loss (nats)"


def test_the_first_seed_that_most_arms_have(house):
    for arm, seed in (("baseline", 0), ("dsd", 0), ("baseline", 1), ("dsd", 1), ("llr", 1)):
        house.run(arm, seed, 30.0)
    house.run("baseline", 2, 30.0)
    (group,) = groups(runs(sorted(house.runs.glob("*.json"))))
    assert [(r.record.arm, r.record.seed) for r in of_first_seed(group)] == [
        ("baseline", 1),
        ("dsd", 1),
        ("llr", 1),
    ]


def test_the_random_arm_does_not_flatten_the_others_on_the_right(house, paths):
    random = house.run("random", 0, 41.5, 90, 70, logs=(DENSE, [row(1.25, 88)], [row(1.0, 69)]))
    found = runs([*paths, random])
    whole, after, *_ = curves.picture(found).axes
    assert whole.get_ylim()[1] > 88
    assert after.get_ylim()[1] < 50
    assert "without random" in after.get_title()


def test_runs_that_do_not_belong_together_are_refused(house, paths, command):
    for other in (house.run("dsd", 1, 30.0), house.run("dsd", 0, 30.0, scale="short")):
        refused = command("curves", *paths, other).exception
        assert isinstance(refused, UserError)
        assert "one recipe, scale and seed" in str(refused)
