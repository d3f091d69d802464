"""The picture of all gains: where they stand, what is hollow, what lies beyond the axis."""

import numpy as np
import pytest

from analysis.arms import ARMS
from analysis.figures import forest
from analysis.groups import groups
from analysis.records import read_all

BLUE, SQUARE = ARMS["dsd"].colour, ARMS["dsd"].marker


def picture(house):
    return forest.picture(groups(read_all(house.runs)))


def markers(axes) -> list[tuple[float, float, str, str]]:
    """Returns x, y, marker and face of every marker."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]), line.get_marker(), face)
        for line in axes.lines
        if line.get_marker() not in ("None", "") and (face := line.get_markerfacecolor())
    ]


def gained(house, *gains, **conditions) -> None:
    for seed, gain in enumerate(gains):
        house.run("baseline", seed, 40.0, **conditions)
        house.run("dsd", seed, 40.0, 41.0, 40.0 - gain, **conditions)


def test_gains_are_in_percent_of_the_other_arm_with_their_intervals(house):
    gained(house, 1.0, 2.0, 3.0)
    over_baseline, over_finetune = picture(house).axes
    assert markers(over_baseline) == [(pytest.approx(5.0), 0, SQUARE, BLUE)]  # 2 of 40
    assert markers(over_finetune) == []
    bar = next(
        line
        for line in over_baseline.lines
        if len(line.get_xdata()) == 2 and line.get_color() == BLUE
    )
    half = 100 / 40 * 4.302653 / np.sqrt(3)  # Student's t, two degrees of freedom, sd 1
    np.testing.assert_allclose(bar.get_xdata(), [5 - half, 5 + half], rtol=1e-5)


def test_one_seed_is_hollow_and_what_lies_beyond_becomes_an_arrow(house):
    gained(house, 1.0, 1.2, 0.8)
    gained(house, 20.0, scale="short")
    axes = picture(house).axes[0]
    found = {y: (x, marker, face) for x, y, marker, face in markers(axes)}
    assert found[0] == (pytest.approx(2.5), SQUARE, BLUE)
    assert found[1] == (axes.get_xlim()[1], ">", "none")
    assert "+50.0 %, n 1" in [text.get_text() for text in axes.texts]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [
        "ResNet-18\ntop-1 error (%)",
        "ResNet-18\ntop-1 error (%), scale short",
    ]


def test_on_a_phone_the_panels_stand_one_above_the_other_with_names_that_fit(house):
    gained(house, 1.0, 1.2, 0.8)
    gained(house, 2.0, 1.0, scale="mini", overrides=("phases.sparse.sparsity=0.123456789",))
    found = groups(read_all(house.runs))
    wide, narrow = forest.picture(found), forest.picture(found, narrow=True)
    assert [[x for x, *_ in markers(axes)] for axes in narrow.axes] == [
        [x for x, *_ in markers(axes)] for axes in wide.axes
    ]
    narrow.draw_without_rendering()
    upper, lower = (axes.get_window_extent() for axes in narrow.axes)
    assert upper.y0 > lower.y1
    assert narrow.get_figwidth() * 96 < 360 - 32  # a phone's pixels less the page's margins
    words = [text for axes in narrow.axes for text in axes.texts]
    said = " ".join(text.get_text().replace("\n", " ") for text in words)
    assert "top-1 error (%), miniature, phases.sparse.sparsity=0.123456789" in said
    for text in words:
        assert text.get_fontsize() >= 8
        assert text.get_window_extent().x1 <= narrow.bbox.x1
    for axes in narrow.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        assert not any(
            one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[i + 1 :]
        )


def test_nothing_to_compare_is_no_picture(house):
    house.run("dsd", 0, 30.0)
    assert picture(house) is None


def test_nothing_is_a_percentage_of_zero(house):
    house.run("baseline", 0, 0.0)
    house.run("dsd", 0, 0.0, 0.0, 0.0)
    assert picture(house) is None
