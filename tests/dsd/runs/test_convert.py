"""Runs of version 0.1.0: format1.zip was stopped by it in mid-phase, beside the end it came to."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dsd.errors import UserError
from dsd.runs import checkpoint, phase_file, record, sealed
from dsd.runs import convert as conversion
from dsd.runs.convert import convert
from dsd.runs.finished import find
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
    assert [len(phase.provenance["earlier_sessions"]) for phase in done.phases] == [0, 1, 0]
    expected = torch.load(stopped / "runs" / "end.pt", weights_only=True)
    for name, value in weights(run, "dsd", 3).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6)


def test_a_run_that_is_not_converted_is_refused_with_the_remedy(stopped):
    with pytest.raises(UserError, match=r"format 1, this program reads 3; .* dsd convert"):
        train_arm(make_run(stopped, CHANGED), "dsd")
    list(convert(Suite(stopped), stopped / "runs"))
    (done,) = stopped.glob("runs/*/seed0/dense/phase.json")
    sealed.write(done, {**json.loads(done.read_text()), "format": 4})
    with pytest.raises(UserError, match="format 4, this program reads 3; update this program"):
        train_arm(make_run(stopped, CHANGED), "dsd")


@pytest.mark.parametrize("writes", range(6))
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
        patch.setattr(conversion, "_rename", until_killed(conversion._rename))
        patch.setattr(checkpoint, "save", until_killed(checkpoint.save))
        for module in (phase_file, sealed):
            patch.setattr(module, "write_atomically", until_killed(module.write_atomically))
        with pytest.raises(KeyboardInterrupt):
            list(convert(Suite(stopped), stopped / "runs"))
    list(convert(Suite(stopped), stopped / "runs"))

    def phases(suite: Path) -> dict[Path, object]:
        found = suite.glob("runs/**/checkpoint.json")
        return {path.relative_to(suite): checkpoint.load(path.parent)["format"] for path in found}

    assert phases(stopped) == phases(whole)
    assert set(phases(whole).values()) == {2}
    for path in whole.glob("runs/**/phase.*"):
        assert (stopped / path.relative_to(whole)).read_bytes() == path.read_bytes()
    assert not list(stopped.glob("runs/**/examples.npz"))


@pytest.mark.parametrize("text", ["", "[]", "{}", "3"])
def test_a_damaged_phase_file_is_refused_by_name(stopped, text):
    (done,) = stopped.glob("runs/*/seed0/dense/phase.json")
    done.write_text(text)
    with pytest.raises(UserError, match=r"phase\.json: damaged.*; put the file back, or remove it"):
        list(convert(Suite(stopped), stopped / "runs"))


def test_the_command(stopped, dsd):
    done = dsd("convert", cwd=stopped)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    missing = dsd("convert", "nowhere", cwd=stopped)
    assert missing.returncode == 2
    assert "nowhere: no such folder" in missing.stderr


@pytest.fixture
def recorded(own_suite: Path) -> Path:
    """A suite with finished runs of format 2, and their two records of version 1."""
    with zipfile.ZipFile(Path(__file__).with_name("format2.zip")) as pack:
        pack.extractall(own_suite / "runs")
    return own_suite


def plain(name: str) -> str:
    """The name that a key of version 1 has now."""
    return conversion.RENAMED.get(name, name)


def test_records_keep_every_figure_and_find_their_runs(recorded):
    folder = recorded / "runs" / "records"
    old = {path: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    arrays = {path: dict(np.load(path.with_name(f"{path.stem}.npz"))) for path in old}
    with pytest.raises(UserError, match=r"record version 1, .* dsd convert"):
        record.read(next(iter(old)))
    assert len(list(convert(Suite(recorded), recorded / "runs"))) == 3 + 2
    assert list(convert(Suite(recorded), recorded / "runs")) == []
    assert len(list(folder.glob("points-mlp.mini/**/*.json"))) == 3, "the dense phase once"
    assert not list(folder.glob("*.npz"))
    for path, raw in old.items():
        new = record.read(path)
        assert (new.final, new.parameters, new.seed) == (
            *(raw["final"], raw["parameters"], raw["seed"]),
        )
        stages = iter(record.read_stages(path))
        for was, now in zip(raw["phases"], new.phases, strict=True):
            kept = {plain(key): value for key, value in was.items() if key != "stages"}
            assert now.model_dump(mode="json", exclude={"stages"}) == kept
            for stage in was["stages"]:
                name, layers = next(stages)
                assert name == stage["stage"]
                for layer, one in layers.items():
                    assert {**one, "counts": one["counts"].tolist()} == stage["layers"][layer]
        examples = record.read_examples(path)
        assert examples.keys() == arrays[path].keys()
        assert all(np.array_equal(examples[key], arrays[path][key]) for key in examples)
        found = find(Suite(recorded), path, recorded / "runs")
        assert found.phase == new.phases[-1]


def test_a_converted_run_is_finished(recorded):
    list(convert(Suite(recorded), recorded / "runs"))
    (path,) = (recorded / "runs" / "records").glob("*.dsd.*.json")
    before, times = record.read(path), {p: p.stat().st_mtime_ns for p in recorded.rglob("*.pt")}
    run = make_run(recorded, *before.overrides)
    assert record.read(train_arm(run, "dsd")) == before
    assert {p: p.stat().st_mtime_ns for p in recorded.rglob("*.pt")} == times


@pytest.mark.parametrize("writes", range(0, 12, 2))
def test_records_converted_half_before_a_stop_go_on(recorded, monkeypatch, writes):
    folder = recorded / "runs" / "records"
    paths = sorted(folder.glob("*.json"))
    left = iter(range(writes))

    def write(path: Path, data: bytes) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        for module in (phase_file, sealed, record):
            patch.setattr(module, "write_atomically", write)
        with pytest.raises(KeyboardInterrupt):
            [conversion.convert_record(path) for path in paths]
    for path in paths:
        conversion.convert_record(path)
        assert record.read_examples(path)
    assert not list(folder.glob("*.npz"))


def test_a_record_without_its_examples_is_refused(recorded):
    (path,) = (recorded / "runs" / "records").glob("*.dsd.*.json")
    beside = path.with_name(f"{path.stem}.npz")
    beside.write_bytes(beside.read_bytes()[:-1])
    with pytest.raises(UserError, match="missing, or not the file that"):
        conversion.convert_record(path)
    assert json.loads(path.read_text())["version"] == 1
