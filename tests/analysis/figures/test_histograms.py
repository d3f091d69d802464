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
    of_folder,
    of_record,
    rounds,
    shown_bins,
    stages,
)
from analysis.records import Run
from analysis.weights import STAGES
from dsd.cli import app
from dsd.errors import UserError
from dsd.runs.record import read
from tests.analysis.made_up import histogram as layer

DENSE = [0, 1, 4, 9, 4, 1, 0]
SPARSE = [0, 1, 5, 0, 4, 1, 0]
REDENSE = [0, 1, 5, 8, 4, 1, 0]


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


def stage(counts, zeros=0, outside=0, name="pruned") -> Stage:
    edges = np.linspace(-0.7, 0.7, len(counts) + 1)
    return Stage(name, edges, np.array(counts), zeros, outside)


def test_the_five_stages_have_the_records_counts(path):
    found = stages(read(path), "a.weight")
    assert [s.name for s in found] == list(STAGES)
    assert [s.counts.tolist() for s in found] == [DENSE, SPARSE, SPARSE, SPARSE, REDENSE]
    assert [s.zeros for s in found] == [0, 8, 8, 8, 1]
    assert [s.outside for s in found] == [1, 1, 1, 1, 0]
    assert [s.weights for s in found] == [20] * 5
    np.testing.assert_allclose(found[0].edges, [-0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7])


def test_a_record_with_gaps_is_refused(path, rewrite):
    phases = json.loads(path.read_text())["phases"]
    del phases[1]["stages"][1]["layers"]["a.weight"]
    rewrite(path, phases=phases)
    with pytest.raises(UserError, match=r"seed3\.json: a stage has no histogram of a\.weight;"):
        histograms.draw(path, "a", 1, path.parent)


@pytest.fixture
def twice(house) -> Path:
    """A run of two rounds; the second prunes less."""
    less = layer([0, 1, 5, 3, 4, 1, 0], 6)
    again = layer([0, 1, 5, 7, 4, 1, 0], 2)
    phases = [
        seen(dense=layer(DENSE)),
        seen(pruned=layer(SPARSE, 9), sparse_trained=layer(SPARSE, 9)),
        seen(zeros_restored=layer(SPARSE, 9), re_dense=layer(REDENSE, 1)),
        seen(pruned=less, sparse_trained=less),
        seen(zeros_restored=less, re_dense=again),
    ]
    return house.run("dsdsd", 0, 29.0, stages=phases)


def test_every_round_can_be_drawn_from_the_re_dense_weights_of_the_one_before(twice, tmp_path):
    record = read(twice)
    assert rounds(record) == 2
    assert [s.name for s in stages(record, "a.weight")] == list(STAGES)
    second = stages(record, "a.weight", 2)
    assert [s.name for s in second] == ["re-dense", *STAGES[1:]]
    assert [s.zeros for s in second] == [1, 6, 6, 6, 2]
    png, _ = histograms.draw(twice, "a", 2, tmp_path)
    assert png.name == "images-resnet18.dsdsd.seed0.a.weight.round2.png"
    for number, title in ((1, "(dsdsd, seed 0, round 1)"), (2, "(dsdsd, seed 0, round 2)")):
        figure = histograms.picture(of_record(Run(twice, record), "a", number))
        assert figure.get_suptitle().endswith(title)
    with pytest.raises(UserError, match=r"seed0\.json: --round 3: arm dsdsd has 2;"):
        histograms.draw(twice, "a", 3, tmp_path)


def test_checkpoints_and_record_give_the_same_histograms(own_suite, tmp_path, monkeypatch):
    monkeypatch.chdir(own_suite)
    words = "run points-mlp --scale mini --device cpu --arm dsdsd --arm finetune"
    done = CliRunner().invoke(app, [*words.split(), "phases.redense.lr=0.1"])
    assert done.exit_code == 0, done.output
    (path,) = own_suite.glob("runs/records/*.dsdsd.seed0.json")
    record = read(path)
    run = own_suite / "runs" / "points-mlp.mini" / "seed0"
    (folder,) = run.glob("dense/sparse/redense-*/sparse-*/redense-*")  # - and a digest: lr=0.1
    for number in (1, 2):
        for name in ("3.weight", "5.weight"):
            ours = of_folder(folder, name, number)
            told = of_record(Run(path, record), name, number)
            assert [s.name for s in ours.stages] == [s.name for s in told.stages]
            for one, other in zip(ours.stages, told.stages, strict=True):
                assert one.counts.tolist() == other.counts.tolist()
                assert one.edges.tolist() == other.edges.tolist()
                assert (one.zeros, one.outside) == (other.zeros, other.outside)
            if number == 2:
                assert ours.stages[0].counts.tolist() != told.stages[-1].counts.tolist()
    monkeypatch.chdir(folder)
    assert of_folder(Path("."), None).stem == f"points-mlp.mini.{'.'.join(folder.parts[-5:])}.seed0"

    def refused(place: Path, fault: str, number: int = 1) -> None:
        with pytest.raises(UserError, match=fault):
            histograms.draw(place, None, number, tmp_path)

    refused(folder, "--round 3: a run through .* has 2;", 3)
    refused(next(run.glob("dense/sparse-unmasked/redense*")), "no sparse phase and a re-dense")
    refused(run, f"{run}: holds no checkpoint; name a phase's folder in it")
    (folder / "checkpoint.json").unlink()
    refused(folder, "holds no checkpoint")


def test_the_networks_default_layer_unless_one_is_named(path, rewrite):
    content = json.loads(path.read_text())
    layers = {name: {"weights": 20, "kept": 20} for name in ("a.weight", "layer4.1.conv2.weight")}
    content["phases"][0]["layers"] = layers
    rewrite(path, phases=content["phases"])
    record = read(path)
    assert choose_layer(record, None) == "layer4.1.conv2.weight"  # images-resnet18
    assert choose_layer(record, "a") == choose_layer(record, "a.weight") == "a.weight"
    with pytest.raises(ValueError, match=r"no layer 'a\.wieght' is pruned; did you mean"):
        choose_layer(record, "a.wieght")
    rewrite(path, settings={**content["settings"], "task": {"network": "their-own"}})
    assert choose_layer(read(path), None) == "a.weight"  # the first


def test_the_count_axis_holds_all_but_the_spike_at_zero():
    dense = stage(DENSE, name="dense")
    found = [dense, stage(SPARSE, zeros=900), stage(SPARSE, 900), stage(SPARSE, 900)]
    found.append(stage([0, 1, 5, 900, 4, 1, 0]))
    assert 9 < count_limit(found) < 12
    spiked = [stage([0, 1, 5, 900, 4, 1, 0], name="re-dense"), stage([0, 1, 5, 300, 4, 1, 0])]
    assert 5 < count_limit([*spiked, stage(SPARSE)]) < 6
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
    figure = histograms.picture(of_record(Run(path, read(path)), None))
    panels = figure.axes
    limit = count_limit(found)
    for axes, drawn in zip(panels, found, strict=True):
        values, edges, _ = axes.patches[0].get_data()
        counts = drawn.counts + np.array([0, 0, 0, drawn.zeros, 0, 0, 0])
        np.testing.assert_allclose(values, np.minimum(counts, limit))
        np.testing.assert_allclose(edges, drawn.edges)
        assert axes.get_title() == drawn.name
        zeros = [patch.get_data() for patch in axes.patches[1:]]
        assert len(zeros) == (drawn.zeros > 0)
        for values, _, bottom in zeros:
            assert values == min(drawn.zeros, limit)
            assert bottom == 0
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
    first = histograms.draw(path, None, 1, tmp_path / "one")
    again = histograms.draw(path, None, 1, tmp_path / "two")
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
