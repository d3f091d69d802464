"""Figure 2: the counts that are drawn are the record's, and what the axes hide is said."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.figures import histograms
from analysis.figures.histograms import (
    Stage,
    choose_layer,
    count_limit,
    cut_off,
    shown_bins,
    stages,
)
from analysis.records import Run
from dsd.errors import UserError
from dsd.record import read

DENSE = [0, 1, 4, 9, 4, 1, 0]
SPARSE = [0, 1, 5, 0, 4, 1, 0]
REDENSE = [0, 1, 5, 8, 4, 1, 0]


def layer(counts, zeros=0, below=0, above=0):
    return {
        "half_width": 0.7,
        "counts": counts,
        "below": below,
        "above": above,
        "zeros": zeros,
    }


def seen(**named):
    """Returns the stages of one phase, of a small layer and of a large one."""
    return [
        {
            "stage": name.replace("_", " ") if name == "zeros_restored" else name.replace("_", "-"),
            "moment": "end",
            "layers": {"a.weight": figures, "b.weight": layer([0, 0, 0, 3, 0, 0, 0])},
        }
        for name, figures in named.items()
    ]


@pytest.fixture
def path(house) -> Path:
    return house.run(
        "dsd",
        3,
        29.0,
        notes=["CIFAR-10 re-encoded as JPEG"],
        stages=[
            seen(dense=layer(DENSE, above=1)),
            seen(pruned=layer(SPARSE, 8, above=1), sparse_trained=layer(SPARSE, 8, 1)),
            seen(zeros_restored=layer(SPARSE, 8, 1), re_dense=layer(REDENSE, 1)),
        ],
    )


def stage(counts, zeros=0, outside=0) -> Stage:
    edges = np.linspace(-0.7, 0.7, len(counts) + 1)
    return Stage("pruned", edges, np.array(counts), zeros, outside)


def test_the_five_stages_have_the_records_counts(path):
    found = stages(read(path), "a.weight")
    assert [s.name for s in found] == list(histograms.STAGES)
    assert [s.counts.tolist() for s in found] == [DENSE, SPARSE, SPARSE, SPARSE, REDENSE]
    assert [s.zeros for s in found] == [0, 8, 8, 8, 1]
    assert [s.outside for s in found] == [1, 1, 1, 1, 0]
    assert [s.weights for s in found] == [20] * 5
    np.testing.assert_allclose(found[0].edges, [-0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7])


def test_only_the_first_round_of_several_is_drawn(house):
    phases = [
        seen(dense=layer(DENSE)),
        seen(pruned=layer(SPARSE, 9), sparse_trained=layer(SPARSE, 9)),
        seen(zeros_restored=layer(SPARSE, 9), re_dense=layer(REDENSE)),
    ]
    path = house.run("dsdsd", 0, 29.0, stages=[*phases, *phases[1:]])
    assert [s.name for s in stages(read(path), "a.weight")] == list(histograms.STAGES)


def test_an_arm_that_was_never_pruned_cannot_be_drawn(house):
    path = house.run("llr", 0, 29.0, stages=[seen(dense=layer(DENSE)), seen(trained=layer(DENSE))])
    with pytest.raises(UserError, match=r"llr\.seed0\.json: arm llr has no sparse"):
        histograms.draw(path, None, path.parent)


def test_the_layer_with_most_weights_unless_one_is_named(path, rewrite):
    phases = json.loads(path.read_text())["phases"]
    sizes = {"a.weight": 20, "b.weight": 3}
    phases[0]["layers"] = {name: {"weights": n, "kept": n} for name, n in sizes.items()}
    rewrite(path, phases=phases)
    record = read(path)
    assert choose_layer(record, None) == "a.weight"
    assert choose_layer(record, "b") == choose_layer(record, "b.weight") == "b.weight"
    with pytest.raises(ValueError, match=r"no layer 'b\.wieght' is pruned; did you mean"):
        choose_layer(record, "b.wieght")


def test_the_count_axis_holds_all_but_the_spike_at_zero():
    found = [stage(DENSE), stage(SPARSE, zeros=900), stage(SPARSE, 900), stage(SPARSE, 900)]
    found.append(stage([0, 1, 5, 900, 4, 1, 0]))
    assert 9 < count_limit(found) < 12
    assert count_limit([stage([0, 0, 0])] * 5) > 0


def test_what_is_cut_off_is_counted():
    assert cut_off(stage(DENSE), 9) == ""
    assert cut_off(stage(SPARSE, zeros=8), 9) == ""
    assert cut_off(stage(SPARSE, zeros=1200), 9) == "spike cut off: 1,200"
    assert cut_off(stage(DENSE, zeros=1200), 9) == "spike cut off: 1,209"
    assert cut_off(stage([0, 70, 80, 1], zeros=4), 9) == "2 bins cut off, up to 84"


def test_the_value_axis_is_as_short_as_nearly_all_weights_allow():
    found = [stage([0, 0, 5, 1000, 5, 0, 0]), stage([0, 0, 5, 1000, 5, 1, 0])]
    assert shown_bins(found) == slice(2, 5)
    found.append(stage([0, 20, 5, 1000, 5, 0, 0]))
    assert shown_bins(found) == slice(1, 6)
    found.append(stage([0, 0, 5, 1000, 5, 0, 0], outside=20))
    assert shown_bins(found) == slice(0, 7)


def test_the_picture_shows_the_counts_and_says_what_it_hides(path):
    found = stages(read(path), "a.weight")
    figure = histograms.picture(Run(path, read(path)), "a.weight", found)
    panels = figure.axes
    limit = count_limit(found)
    for axes, drawn in zip(panels, found, strict=True):
        values, edges, _ = axes.patches[0].get_data()
        np.testing.assert_allclose(values, np.minimum(drawn.counts, limit))
        np.testing.assert_allclose(edges, drawn.edges)
        assert axes.get_title() == drawn.name
        zeros = [patch.get_data() for patch in axes.patches[1:]]
        assert len(zeros) == (drawn.zeros > 0)
        for values, _, bottom in zeros:
            assert values - bottom == min(drawn.zeros, limit - drawn.counts[3])
    assert [axes.texts[0].get_text() for axes in panels] == [
        "0.0% exactly zero\n",
        *["40.0% exactly zero\n"] * 3,
        "5.0% exactly zero\n",
    ]
    assert figure.get_suptitle() == "ResNet-18: a.weight, 20 weights (dsd, seed 3)"
    beneath = figure.get_supxlabel()
    assert "at most 8.3% of the non-zero weights lie beyond" in beneath  # 1 of 12
    assert "CIFAR-10 re-encoded as JPEG" in beneath


def test_files_are_the_same_bytes_each_time_and_small(path, tmp_path):
    first = histograms.draw(path, None, tmp_path / "one")
    again = histograms.draw(path, None, tmp_path / "two")
    assert [p.name for p in first] == [
        "images-resnet18.dsd.seed3.a.weight.png",
        "images-resnet18.dsd.seed3.a.weight.svg",
    ]
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes()
    svg = first[1].read_text()
    assert len(svg) < 60_000
    assert "date" not in svg
    assert "sparse-trained" in svg  # text stays text


def test_the_command_puts_pictures_beside_the_records_folder(path):
    import typer

    from analysis.commands import add_commands

    app = typer.Typer()
    add_commands(app)
    done = CliRunner().invoke(app, ["histograms", str(path)])
    assert done.exit_code == 0, done.output
    figures = path.parents[1] / "figures"
    assert (figures / "images-resnet18.dsd.seed3.a.weight.svg").exists()
