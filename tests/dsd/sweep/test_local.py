"""Sweeps on this machine: killed, stopped, given again; and what dsd status says of them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dsd.errors import UserError
from dsd.runs import checkpoint, heartbeat
from dsd.runs.files import lock
from dsd.suite.folder import Suite
from dsd.sweep import status
from dsd.sweep.command import as_words, parted, sweep
from dsd.sweep.local import share
from dsd.sweep.plan import Wanted, plan
from dsd.training.algorithm import train_arm
from dsd.training.device import Options, data_workers
from tests.conftest import ROOT
from tests.dsd.running import make_run, undated, weights

SWEEP = ("sweep", "points-mlp", "--scale", "mini", "--arm", "baseline", "--arm", "llr")
SWEEP += ("--device", "cpu", "--checkpoint-every", "0", "phases.dense.epochs=12")


def test_killed_in_the_middle_it_goes_on_to_the_same_bits(dsd, own_suite, tmp_path):
    whole = make_run(Path(shutil.copytree(own_suite, tmp_path / "whole")), SWEEP[-1])
    train_arm(whole, "llr")

    words = [sys.executable, "-m", "dsd", *SWEEP]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.Popen(words, cwd=own_suite, env=environment, stdout=subprocess.DEVNULL)
    saved = f"runs/points-mlp.mini/seed0/dense*/{checkpoint.POINTER}"
    while not list(own_suite.glob(saved)):
        assert killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    # Its job saves and ends of itself; were it still at it, the new one would wait.
    done = dsd(*SWEEP, cwd=own_suite)
    assert done.returncode == 0, done.stdout
    (log,) = own_suite.glob("runs/points-mlp.mini/seed0/dense*/train.log")
    assert "stopped: SIGTERM received" in log.read_text()
    assert "resumed at step" in log.read_text()
    (folder,) = own_suite.glob("runs/points-mlp.mini/seed0/dense*/llr*")
    state = checkpoint.load(folder)
    assert state is not None
    for name, value in weights(whole, "llr", 2).items():
        assert torch.equal(value, state["model"][name]), name
    (made,) = (own_suite / "runs/records").glob("*.llr.seed0.json")
    assert undated(made) == undated(own_suite.parent / "whole/records" / made.name)
    again = dsd(*SWEEP, cwd=own_suite)
    assert "2 jobs, 2 finished; nothing to do" in again.stdout
    assert "started" not in again.stdout
    assert {one.state for one in status.states(own_suite / "runs")} == {"finished"}


def test_the_time_limit_stops_it_and_it_goes_on(dsd, own_suite):
    stopped = dsd(*SWEEP, "--time-limit", "0.001", cwd=own_suite)
    assert stopped.returncode == 75
    assert "stopped: the time limit is reached; the same command goes on" in stopped.stdout
    assert dsd(*SWEEP, cwd=own_suite).returncode == 0


def test_a_job_that_fails_says_why_here_and_in_the_status(dsd, own_suite):
    done = dsd(*SWEEP, "task.explode_at=9", cwd=own_suite)
    assert done.returncode == 1
    assert "1 jobs failed, 1 wait for them" in done.stdout
    assert "the loss is not finite at step 9" in done.stdout
    states = {one.state: one.words for one in status.states(own_suite / "runs")}
    assert states.keys() == {"failed", "waiting"}
    assert "the loss is not finite at step 9" in states["failed"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sweep", "points-mlp", "--scale", "mini", "--arm", "al"], "no arm is called 'al'"),
        (["run", "points-mlp", "--scale", "mini", "--seed", "0;1"], "--seed 0;1"),
    ],
)
def test_mistakes_are_one_line(dsd, own_suite, words, expected):
    done = dsd(*words, cwd=own_suite)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert expected in done.stderr


def test_the_words_of_a_sweep():
    words = ["net", "a.b=1,2", "gpus=2", "other"]
    assert parted(words, None) == (["net", "other"], ["a.b=1,2", "gpus=2"], None)
    cluster = {"time": 60, "partition": "main", "gpus_per_node": 2}
    assert parted(words, ["partition=main"]) == (["net", "other"], ["a.b=1,2"], cluster)
    assert parted(["net", "a=1"], ["partition=main gpus=2"]) == (["net"], ["a=1"], cluster)
    with pytest.raises(UserError, match="name a recipe"):
        parted(["a.b=1"], None)
    options = {"scale": "mini", "runs": None, "compile": False, "channels-last": True, "workers": 0}
    assert as_words(options) == ("--scale", "mini", "--channels-last", "--workers", "0")


def test_the_plan_is_shown_as_a_tree_and_the_status_as_a_table(own_suite, capsys):
    wanted = Wanted(
        suite=Suite(own_suite),
        recipes=["points-mlp"],
        arms=["dsd", "llr"],
        seeds=[0, 1, 2, 5],
        settings=[],
        scale="mini",
        runs=own_suite / "runs",
        records=None,
        options=Options(),
        processes=1,
        words=(),
    )
    assert sweep(wanted, None, None, None, dry_run=True) == 0
    shown = capsys.readouterr().out
    for word in ("dense", "sparse", "redense", "llr", "0-2,5", "unknown"):
        assert word in shown
    assert "16 jobs, 0 finished; hours unknown for 16" in shown
    assert not (own_suite / "runs/sweeps").exists()

    status.remember(own_suite / "runs", plan(wanted))
    failed = own_suite / "runs/points-mlp.mini/seed2/dense"
    failed.mkdir(parents=True)
    heartbeat.write(failed, "failed", "[red]no space")
    status.show(own_suite / "runs", live=False)
    shown = capsys.readouterr().out
    assert "16 phases: 15 waiting, 1 failed" in shown
    assert "seed2/dense: failed, [red]no space" in shown
    with pytest.raises(UserError, match="nowhere: no such folder"):
        status.show(Path("nowhere"), live=False)


def test_cores_and_gpus_are_shared_out():
    cores = len(os.sched_getaffinity(0))
    whole, part = str(cores), str(max(1, cores // 2))
    assert share(0, 1, [], {}) == {"OMP_NUM_THREADS": whole, "DSD_CORES": whole}
    assert share(5, 1000, [], {}) == {"OMP_NUM_THREADS": "1", "DSD_CORES": "1"}
    assert share(0, 2, [], {"OMP_NUM_THREADS": "3"}) == {"DSD_CORES": part}
    gpus = [share(slot, 4, ["2", "5"], {})["CUDA_VISIBLE_DEVICES"] for slot in range(4)]
    assert gpus == ["2", "5", "2", "5"]


def test_the_status_of_each_kind_of_phase(tmp_path, monkeypatch):
    runs = tmp_path / "runs"

    def phase(seed: int) -> Path:
        folder = runs / f"net.mini/seed{seed}/dense"
        folder.mkdir(parents=True)
        return folder

    (phase(0) / "phase.json").touch()
    heartbeat.write(phase(1), "running", steps=(3, 12))
    (phase(2) / checkpoint.POINTER).touch()
    heartbeat.write(phase(3), "failed", "no space")
    lost = phase(4)
    heartbeat.write(lost, "running")
    beat = json.loads((lost / heartbeat.FILE).read_text())
    (lost / heartbeat.FILE).write_text(json.dumps(beat | {"time": time.time() - 600}))
    (runs / "sweeps").mkdir()
    (runs / "sweeps/one.json").write_text(json.dumps(["net.mini/seed9/dense"]))
    found = {one.seed: one.state for one in status.states(runs)}
    assert found == {
        0: "finished",
        1: "running",
        2: "stopped",
        3: "failed",
        4: "lost",
        9: "waiting",
    }
    words = {one.seed: one.words for one in status.states(runs)}
    assert "step 3 of 12 (25%)" in words[1]
    assert "no space" in words[3]
    assert "no word for 10 min" in words[4]


def test_seeds_are_shown_as_they_are_given():
    assert status.ranges([0, 1, 2, 4, 7, 8]) == "0-2,4,7-8"
    assert status.ranges([]) == ""


def test_a_phase_in_training_tells_how_far_it_is(tmp_path):
    def train(error: Exception | None) -> None:
        with heartbeat.beating(tmp_path, lambda: (1, 2), KeyError):
            while (beat := heartbeat.read(tmp_path)) is None or beat.state != "running":
                time.sleep(0.01)
            assert (beat.steps_done, beat.steps) == (1, 2)
            if error:
                raise error

    for error, state in ((UserError("too hot"), "failed"), (KeyError("later"), "stopped")):
        with pytest.raises(type(error)):
            train(error)
        assert heartbeat.read(tmp_path).state == state
        assert str(error) in heartbeat.read(tmp_path).words
    train(None)
    assert heartbeat.read(tmp_path) is None


def test_a_job_waits_for_a_phase_that_another_process_trains(tmp_path):
    holder = (
        "import sys, time; from pathlib import Path; from dsd.runs.files import lock\n"
        "with lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"in use by process {other.pid}"), lock(tmp_path):
            pass
        waited = []

        def wait() -> None:
            waited.append(1)
            if len(waited) == 2:
                other.stdin.close()
            time.sleep(0.02)

        with lock(tmp_path, wait):
            assert len(waited) >= 2


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"state": "running"}', b"\xff", b'{"steps": "x"}']
)
def test_what_is_no_heartbeat_is_none(tmp_path, content):
    (tmp_path / heartbeat.FILE).write_bytes(content)
    assert heartbeat.read(tmp_path) is None


def test_a_job_has_its_share_of_data_workers(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setenv("DSD_CORES", "8")
    assert data_workers(None, "full") == 8
    assert data_workers(None, "mini") == 0
    assert data_workers(3, "mini") == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert data_workers(None, "full") == 2
    monkeypatch.setenv("DSD_CORES", "1")
    assert data_workers(None, "full") == 0
