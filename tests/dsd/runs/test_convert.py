"""Runs of version 0.1.0: format1.zip was stopped by it in mid-phase, beside the end it came to."""

import json
import zipfile
from pathlib import Path

import pytest
import torch

from dsd.errors import UserError
from dsd.runs import record
from dsd.runs.convert import convert
from dsd.suite.folder import Suite
from dsd.training.algorithm import train_arm
from tests.dsd.running import make_run, weights

CHANGED = "phases.sparse.sparsity=0.75"


@pytest.fixture
def stopped(own_suite: Path) -> Path:
    """A suite with a run of format 1: dense finished, 4 of 10 sparse steps done."""
    with zipfile.ZipFile(Path(__file__).with_name("format1.zip")) as pack:
        pack.extractall(own_suite / "runs")
    return own_suite


def test_a_run_stopped_in_mid_phase_goes_on_to_the_same_end(stopped):
    lines = list(convert(Suite(stopped), stopped / "runs"))
    assert len(lines) == 2
    assert list(convert(Suite(stopped), stopped / "runs")) == []
    run = make_run(stopped, CHANGED)
    run.provenance |= {"command": "dsd run, again"}
    done = record.read(train_arm(run, "dsd"))
    assert [len(phase.made["earlier_sessions"]) for phase in done.phases] == [0, 1, 0]
    expected = torch.load(stopped / "runs" / "end.pt", weights_only=True)
    for name, value in weights(run, "dsd", 3).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6)


def test_a_run_that_is_not_converted_is_refused_with_the_remedy(stopped):
    with pytest.raises(UserError, match=r"format 1, this program reads 2; .* dsd convert"):
        train_arm(make_run(stopped, CHANGED), "dsd")
    list(convert(Suite(stopped), stopped / "runs"))
    (done,) = stopped.glob("runs/*/seed0/dense/phase.json")
    done.write_text(json.dumps({**json.loads(done.read_text()), "format": 3}))
    with pytest.raises(UserError, match="format 3, this program reads 2; update this program"):
        train_arm(make_run(stopped, CHANGED), "dsd")


def test_the_command(stopped, dsd):
    done = dsd("convert", cwd=stopped)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    missing = dsd("convert", "nowhere", cwd=stopped)
    assert missing.returncode == 2
    assert "nowhere: no such folder" in missing.stderr
