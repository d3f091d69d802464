"""Runs of version 0.1.0: format1.zip was stopped by it in mid-phase, beside the end it came to."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dsd.errors import UserError
from dsd.runs import checkpoint, record
from dsd.runs import convert as conversion
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


@pytest.mark.parametrize("writes", range(5))
def test_a_conversion_killed_before_any_of_its_writes_goes_on(stopped, monkeypatch, writes):
    whole = Path(shutil.copytree(stopped, stopped.with_name("whole")))
    list(convert(Suite(whole), whole / "runs"))
    left = iter(range(writes))

    def until_killed(write: Callable[..., Any]) -> Callable[..., Any]:
        def attempt(*words: Any) -> Any:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return write(*words)

        return attempt

    with monkeypatch.context() as patch:
        for name in ("write_atomically", "_rename"):
            patch.setattr(conversion, name, until_killed(getattr(conversion, name)))
        patch.setattr(checkpoint, "save", until_killed(checkpoint.save))
        with pytest.raises(KeyboardInterrupt):
            list(convert(Suite(stopped), stopped / "runs"))
    list(convert(Suite(stopped), stopped / "runs"))

    def phases(suite: Path) -> dict[Path, object]:
        found = suite.glob("runs/**/checkpoint.json")
        return {path.relative_to(suite): checkpoint.load(path.parent)["format"] for path in found}

    assert phases(stopped) == phases(whole)
    assert set(phases(whole).values()) == {2}


@pytest.mark.parametrize("text", ["", "[]", "{}", "3"])
def test_a_damaged_phase_file_is_refused_by_name(stopped, text):
    (done,) = stopped.glob("runs/*/seed0/dense/phase.json")
    done.write_text(text)
    with pytest.raises(UserError, match=r"phase\.json: damaged; remove it"):
        list(convert(Suite(stopped), stopped / "runs"))


def test_the_command(stopped, dsd):
    done = dsd("convert", cwd=stopped)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    missing = dsd("convert", "nowhere", cwd=stopped)
    assert missing.returncode == 2
    assert "nowhere: no such folder" in missing.stderr
