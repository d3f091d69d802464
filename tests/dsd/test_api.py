"""A suite from Python: what it trains is what the command trains, and the process goes on as it
was."""

import os
import random
import shlex
import signal
import subprocess
import sys

import matplotlib.figure
import numpy as np
import pytest
import torch
from accelerate import Accelerator

import analysis
from analysis.figures import budgets, curves, forest, histograms
from dsd import UserError, open_suite
from dsd.training.progress import Reporter
from tests.dsd.running import undated

PLAIN = """
def plain(settings, assets, weights):
    from dsd.suite.task import Plain

    net = Points(settings, 0).model()
    return Plain(net, (torch.zeros(1, 4),), "net = ...", "points in, classes out", {})
"""


@pytest.fixture
def suite(own_suite):
    with (own_suite / "recipes" / "points" / "task.py").open("a") as task:
        task.write(PLAIN)
    return open_suite(own_suite / "recipes")


def test_it_trains_what_the_command_trains(suite, dsd, own_suite):
    run = suite.run("points-mlp", ["phases.sparse.epochs=1"], arm="dsd", seed=3, scale="mini")
    words = shlex.split(run.record.provenance["command"])
    assert words[:4] == ["dsd", "run", "points-mlp", "phases.sparse.epochs=1"]
    again = own_suite / "again"
    done = dsd(*words[1:], "--runs", str(again), cwd=own_suite)
    assert done.returncode == 0, done.stderr
    (record,) = (again / "records").glob("*.json")
    assert record.name == run.record_file.name
    assert undated(record) == undated(run.record_file)


def test_network_record_and_curves_are_those_of_the_run(suite):
    run = suite.run("points-mlp", scale="mini")
    points = suite.suite.task(suite.suite.recipe("points-mlp", "mini"), suite.runs, 0, 0)
    x, labels = points._points["test"]
    net = run.network()
    assert not net.training
    with torch.inference_mode():
        wrong_pct = 100 * (net(x).argmax(1) != labels).float().mean().item()
    assert wrong_pct == pytest.approx(run.record.final["test"]["error_pct"])
    rows = run.curves()
    assert [(row["phase"], row["epoch"]) for row in rows][:4] == [
        *(("dense", 1), ("dense", 2), ("dense", 3), ("sparse", 1))
    ]
    log = run.record.phases[-1].log[-1]
    assert rows[-1]["lr"] == log["lr"]
    assert rows[-1]["heldout/error_pct"] == log["heldout"]["error_pct"]
    for path in (run.record_file, run.folder):
        same = suite.trained(path)
        assert (same.record_file, same.folder) == (run.record_file, run.folder)


def test_frame_and_figures_take_what_it_trained(suite):
    arms = [suite.run("points-mlp", scale="mini", arm=arm) for arm in ("dsd", "finetune")]
    records = [run.record_file for run in arms]
    frame = analysis.load(suite.records)
    assert set(frame["arm"]) == {"dsd", "finetune"}
    drawn = [
        histograms.picture(histograms.of_record(records[0])),
        curves.picture(curves.of_records(records)),
        budgets.picture(budgets.of_records(records)),
        forest.picture(forest.of_records(records)),
    ]
    assert all(isinstance(figure, matplotlib.figure.Figure) for figure in drawn)


def test_the_process_goes_on_as_it_was(suite):
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    own = Accelerator(cpu=True)
    numerics = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    wanted = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    suite.run("points-mlp", scale="mini", arm="baseline", precision="bf16")
    assert (torch.rand(1), np.random.rand(), random.random()) == wanted
    assert (
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
    ) == numerics
    assert own.mixed_precision == "no"
    assert own.device.type == "cpu"
    with pytest.raises(UserError, match="trained with other settings"):  # a precision of its own
        suite.run("points-mlp", scale="mini", arm="baseline")


def test_an_interrupt_leaves_a_checkpoint_and_the_same_call_goes_on(suite, monkeypatch, capfd):
    show, before = Reporter.step, signal.getsignal(signal.SIGINT)

    def interrupt(self, done, examples):
        show(self, done, examples)
        if done == 11:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Reporter, "step", interrupt)
    with pytest.raises(KeyboardInterrupt, match="the same call resumes"):
        suite.run("points-mlp", scale="mini")
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.undo()
    resumed = suite.run("points-mlp", scale="mini")
    assert "resumed at step 11 of 24" in capfd.readouterr().err
    whole = open_suite(suite.suite.root, suite.runs.parent / "whole").run(
        "points-mlp", scale="mini"
    )
    assert undated(resumed.record_file) == undated(whole.record_file)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"recipe": "point-mlp"}, "did you mean 'points-mlp'"),
        ({"arm": "ranom"}, "did you mean 'random'"),
        ({"arm": "all"}, "name one"),
        ({"seed": -1}, "--seed -1"),
        ({"seed": "0-3"}, "one whole number"),
        ({"settings": "task.width=3"}, "give a list"),
        ({"settings": ["task.widht=3"]}, "did you mean 'width'"),
        ({"device": "tpu"}, "--device tpu"),
        ({"precision": "fp8"}, "--precision fp8"),
    ],
    ids=str,
)
def test_a_mistake_is_a_user_error_of_one_line(suite, given, expected):
    with pytest.raises(UserError, match=expected) as error:
        suite.run(**{"recipe": "points-mlp", "scale": "mini", **given})
    assert "\n" not in str(error.value)
    assert not suite.runs.exists() or not list(suite.runs.rglob("phase.json"))


def test_where_no_suite_is_the_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)):
        open_suite(tmp_path)


def test_without_the_commands_packages_the_extra_is_named():
    code = (
        "import sys; sys.modules['accelerate'] = None\n"
        "from dsd import *\n"
        "try:\n    from dsd import open_suite\nexcept ModuleNotFoundError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "dsd-training[cli]" in done.stdout, done.stderr
