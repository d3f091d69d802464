"""Figure 2: the counts that are drawn are the record's, and what the axes hide is said."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.figures import histograms
from analysis.figures.histograms import STAGES, Round, Stage, choose_layer, name, rounds, stages
from dsd.cli import app
from dsd.errors import UserError
from tests.analysis.conftest import contents, read_run
from tests.analysis.made_up import DENSE, REDENSE, SPARSE, pruned_once, pruned_twice


@pytest.fixture
def path(house) -> Path:
    notes = ["CIFAR-10 re-encoded as JPEG"]
    return house.run("dsd", 3, 29.0, notes=notes, stages=pruned_once())


@pytest.fixture
def twice(house) -> Path:
    return house.run("dsdsd", 0, 29.0, stages=pruned_twice())


def stage(counts, zeros=0, outside=0, name="pruned") -> Stage:
    edges = np.linspace(-0.7, 0.7, len(counts) + 1)
    return Stage(name, edges, np.array(counts), zeros, outside)


def test_the_five_stages_have_the_records_counts(path):
    found = stages(read_run(path), "a.weight")
    assert [s.name for s in found] == list(STAGES)
    assert [s.counts.tolist() for s in found] == [DENSE, SPARSE, SPARSE, SPARSE, REDENSE]
    assert [s.zeros for s in found] == [0, 8, 8, 8, 1]
    assert [s.outside for s in found] == [1, 1, 1, 1, 0]
    assert [s.weights for s in found] == [20] * 5
    np.testing.assert_allclose(found[0].edges, [-0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7])


def test_every_round_can_be_drawn_from_the_re_dense_weights_of_the_one_before(twice):
    run = read_run(twice)
    assert rounds(run) == [0, 4]
    assert [s.name for s in stages(run, "a.weight")] == list(STAGES)
    second = stages(run, "a.weight", 2)
    assert [s.name for s in second] == ["re-dense", *STAGES[1:]]
    assert [s.zeros for s in second] == [1, 6, 6, 6, 2]
    assert name(run, "a", 2) == "images-resnet18.dsdsd.seed0.a.weight.round2"
    for number in (1, 2):
        title = histograms.picture(run, "a", number).get_suptitle()
        assert title.endswith(f"(dsdsd, seed 0, round {number})")


def test_what_cannot_be_drawn_is_refused(house, twice):
    def refused(path: Path, number: int, fault: str) -> None:
        with pytest.raises(UserError, match=fault):
            histograms.picture(read_run(path), "a", number)

    refused(twice, 3, r"seed0\.json: arm dsdsd has 2 rounds and no --round 3;")
    never = house.run("llr", 0, 29.0)
    refused(never, 1, r"seed0\.json: arm llr has no sparse phase and a re-dense one after it")


def test_the_networks_default_layer_unless_one_is_named(path, rewrite):
    content = contents(path)
    for phase in content["phases"]:
        phase["layers"]["layer4.1.conv2.weight"] = {"weights": 20, "kept": 20}
        for stage in phase["stages"]:
            stage["layers"]["layer4.1.conv2.weight"] = stage["layers"]["a.weight"]
    rewrite(path, phases=content["phases"])
    run = read_run(path)
    assert choose_layer(run, None) == "layer4.1.conv2.weight"  # images-resnet18
    assert choose_layer(run, "a") == choose_layer(run, "a.weight") == "a.weight"
    with pytest.raises(UserError, match=r"no layer 'a\.wieght' is pruned; did you mean"):
        choose_layer(run, "a.wieght")
    rewrite(path, settings={**content["settings"], "task": {"network": "their-own"}})
    assert choose_layer(read_run(path), None) == "a.weight"  # the first


def test_the_count_axis_holds_all_but_the_spike_at_zero():
    dense = stage(DENSE, name="dense")
    found = [dense, stage(SPARSE, zeros=900), stage(SPARSE, 900), stage(SPARSE, 900)]
    found.append(stage([0, 1, 5, 900, 4, 1, 0]))
    assert 9 < Round(found).limit < 12
    spiked = [stage([0, 1, 5, 900, 4, 1, 0], name="re-dense"), stage([0, 1, 5, 300, 4, 1, 0])]
    assert 5 < Round([*spiked, stage(SPARSE)]).limit < 6
    assert Round([stage([0, 0, 0])] * 5).limit > 0


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (stage(DENSE), []),
        (stage(SPARSE, zeros=8), []),
        (stage(SPARSE, zeros=1200), ["spike cut off: 1,200"]),
        (stage(DENSE, zeros=1200), ["spike cut off: 1,209"]),
        (stage([0, 70, 80, 1, 0, 0, 0], zeros=4), ["2 bins cut off, up to 80"]),
    ],
)
def test_zeros_and_what_is_cut_off_are_counted(one, told):
    share = f"{one.zeros / one.weights:.1%} exactly zero"
    assert Round([stage(DENSE, name="dense")] * 3).said(one) == [share, *told]


def test_the_value_axis_is_as_short_as_nearly_all_weights_allow():
    found = [stage([0, 0, 5, 1000, 5, 0, 0]), stage([0, 0, 5, 1000, 5, 1, 0])]
    assert Round(found).reach == slice(2, 5)
    assert Round(found).end == pytest.approx(0.3)
    found.append(stage([0, 20, 5, 1000, 5, 0, 0]))
    assert Round(found).reach == slice(1, 6)
    found.append(stage([0, 0, 5, 1000, 5, 0, 0], outside=20))
    assert Round(found).reach == slice(0, 7)


def test_the_picture_shows_the_counts_and_says_what_it_hides(path):
    found = Round(stages(read_run(path), "a.weight"))
    figure = histograms.picture(read_run(path))
    for axes, drawn in zip(figure.axes, found.stages, strict=True):
        values, edges, _ = axes.patches[0].get_data()
        counts = drawn.counts + np.array([0, 0, 0, drawn.zeros, 0, 0, 0])
        np.testing.assert_allclose(values, np.minimum(counts, found.limit))
        np.testing.assert_allclose(edges, drawn.edges)
        assert axes.get_title() == drawn.name
        zeros = [patch.get_data() for patch in axes.patches[1:]]
        assert len(zeros) == (drawn.zeros > 0)
        for values, _, bottom in zeros:
            assert values == min(drawn.zeros, found.limit)
            assert bottom == 0
    assert [axes.texts[0].get_text() for axes in figure.axes] == [
        "0.0% exactly zero\n",
        *["40.0% exactly zero\n"] * 3,
        "5.0% exactly zero\n",
    ]
    assert figure.get_suptitle() == "ResNet-18: a.weight, 20 weights (dsd, seed 3)"
    beneath = figure.get_supxlabel()
    assert "at most 8.3% of the non-zero weights lie beyond" in beneath  # 1 of 12
    assert "CIFAR-10 re-encoded as JPEG" in beneath


def test_the_folder_of_a_finished_phase_stands_for_its_record(own_suite, analysis, monkeypatch):
    monkeypatch.chdir(own_suite)
    words = "run points-mlp --scale mini --device cpu --arm dsd --arm finetune"
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    run, records = Path("runs/points-mlp.mini/seed0"), Path("runs/records")
    ended = run / "dense" / "sparse" / "redense"
    drawn = []
    for path in (ended, records / "points-mlp.mini.dsd.seed0.json"):
        told = CliRunner().invoke(analysis, ["histograms", str(path), "--layer", "5", "--svg"])
        assert told.exit_code == 0, told.exception
        assert told.stdout.endswith("/runs/figures/points-mlp.mini.dsd.seed0.5.weight.svg\n")
        drawn.append(Path(told.stdout.strip()).read_bytes())
        Path(told.stdout.strip()).unlink()
    assert drawn[0] == drawn[1]

    def refused(path: Path, fault: str) -> None:
        assert fault in str(CliRunner().invoke(analysis, ["histograms", str(path)]).exception)

    (unmasked,) = run.glob("dense/sparse-unmasked/redense*")
    refused(unmasked, "finetune has no sparse phase and a re-dense one after it")
    refused(run, "holds no checkpoint; name a phase's folder in it")
    for record in records.glob("*.json"):
        record.unlink()
    refused(ended, "no record of it")
