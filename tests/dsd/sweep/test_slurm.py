"""Sweeps on a real Slurm, of one node: warned, requeued and cancelled jobs end with a local
sweep's bits."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from dsd.errors import UserError
from dsd.runs import checkpoint
from dsd.sweep.slurm import IDS
from dsd.sweep.slurm_options import parameters
from tests.dsd.running import undated

SCRIPT = Path(__file__).parent / "one_node.sh"
# A checkpoint at every step: jobs are slow enough to be caught, and always have one.
SWEEP = ("sweep", "points-mlp", "--scale", "mini", "--arm", "dsd", "--arm", "llr", "--seed", "0-1")
SWEEP += ("--device", "cpu", "--checkpoint-every", "0", "phases.dense.epochs=60")
SLURM = ("--slurm", "partition=main", "cpus=1", "time=30")
MINUTES = 20


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["time=90"], {"time": 90}),
        (["time=1:30:00"], {"time": 90}),
        (["time=1-01:00:00"], {"time": 1500}),
        (["time=1-1"], {"time": 1500}),
        (["time=7:30"], {"time": 8}),
        (["partition=main", "gpus=8"], {"time": 60, "partition": "main", "gpus_per_node": 8}),
    ],
)
def test_what_slurm_is_asked_for(words, expected):
    assert parameters(words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["partitoin=main"], "did you mean 'partition'?"),
        (["gpus=0"], "1 or above"),
        (["gpus=some"], "1 or above"),
        (["time=soon"], "give minutes"),
        (["time=1"], "5 minutes at least"),
        (["partition"], "key=value"),
    ],
)
def test_what_slurm_is_not_asked_for(words, expected):
    with pytest.raises(UserError, match="--slurm") as caught:
        parameters(words)
    assert expected in str(caught.value)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if os.geteuid():
        pytest.skip("only root starts a Slurm")
    folder = tmp_path / "slurm"
    started = subprocess.run([SCRIPT, "start", folder], capture_output=True, text=True)
    if shutil.which("slurmctld") is None:
        pytest.skip(f"slurm-wlm cannot be installed: {started.stderr.strip()[-200:]}")
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    try:
        assert started.returncode == 0, started.stderr
        yield
    finally:
        if started.returncode == 0:
            subprocess.run(["scancel", "--me"])
            until(lambda: not queued(), "what is left is cancelled")  # its steps end, too
        subprocess.run([SCRIPT, "stop", folder])


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60 * MINUTES
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {MINUTES} minutes"
        time.sleep(0.3)


def queued() -> dict[str, str]:
    words = ["squeue", "--array", "--noheader", "--format=%i %T"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(line.split() for line in lines)


def result(suite: Path) -> tuple[dict[str, dict], dict[str, dict[str, torch.Tensor]]]:
    """Records without their provenance, and the weights of every phase."""
    records = {path.name: undated(path) for path in (suite / "runs/records").glob("*.json")}
    weights = {}
    for file in (suite / "runs").glob("points-mlp.mini/seed*/**/phase.json"):
        state = checkpoint.load(file.parent)
        assert state is not None
        weights[str(file.parent.relative_to(suite))] = state["model"]
    return records, weights


@pytest.mark.slow
def test_slurm_and_this_machine_give_the_same_bits(dsd, own_suite, slurm, tmp_path):
    here = Path(shutil.copytree(own_suite, tmp_path / "here"))
    threads = {"OMP_NUM_THREADS": "1"}

    def submit() -> dict[str, str]:
        done = dsd(*SWEEP, *SLURM, cwd=own_suite, **threads)
        assert done.returncode == 0, done.stderr
        ids = json.loads((own_suite / "runs/slurm" / IDS).read_text())
        return {
            name.split("/", 1)[1].partition("-")[0]: number
            for name, number in ids.items()
            if name.count("/") == 2
        }

    def training(seed: int) -> bool:  # a step is done, and its checkpoint written
        return any(own_suite.glob(f"runs/points-mlp.mini/seed{seed}/dense*/{checkpoint.POINTER}"))

    def log(seed: int) -> str:
        (path,) = own_suite.glob(f"runs/points-mlp.mini/seed{seed}/dense*/train.log")
        return path.read_text()

    first = submit()
    assert len(queued()) == 8  # seeds x (dense, llr, sparse, redense)
    assert submit() == first  # what is queued is not submitted again
    assert len(queued()) == 8

    until(lambda: training(0) and training(1), "both dense phases train")
    subprocess.run(["scancel", "--signal=USR2", first["seed0/dense"]], check=True)  # time is up
    subprocess.run(["scancel", first["seed1/dense"]], check=True)
    until(lambda: "resumed at step" in log(0), "the job that was warned goes on by itself")
    until(lambda: first["seed1/dense"] not in queued(), "the other one is gone")

    second = submit()
    assert second["seed0/dense"] == first["seed0/dense"]
    assert second["seed1/dense"] != first["seed1/dense"]
    until(lambda: "resumed at step" in log(1), "given again, the sweep goes on")
    subprocess.run(["scontrol", "requeue", second["seed1/dense"]], check=True)
    until(lambda: log(1).count("resumed at step") > 1, "the requeued job goes on, too")
    until(lambda: not queued(), "all jobs end")
    assert "8 jobs, 8 finished" in dsd(*SWEEP, "--dry-run", cwd=own_suite, **threads).stdout

    local = dsd(*SWEEP, "--jobs", "2", cwd=here, **threads)
    assert local.returncode == 0, local.stdout
    records, weights = result(own_suite)
    expected_records, expected_weights = result(here)
    assert len(records) == 4
    assert records == expected_records
    assert len(weights) == 8
    assert weights.keys() == expected_weights.keys()
    for name, state in weights.items():
        for key, value in state.items():
            assert torch.equal(value, expected_weights[name][key]), f"{name} {key}"
