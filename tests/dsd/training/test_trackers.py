"""`dsd run --log`: what each logger has in its own store afterwards."""

import sqlite3
from importlib.util import find_spec

import pytest

from dsd.errors import UserError
from dsd.training import trackers

RUN = ("run", "points-mlp", "--scale", "mini", "--arm", "dsd", "--seed", "3")
PHASES = ["dense", "dense.sparse", "dense.sparse.redense"]
EPOCHS = {"dense": 3, "dense.sparse": 2, "dense.sparse.redense": 1}


def needs(package: str):
    reason = f"{package} is not installed (pip install {package})"
    return pytest.mark.skipif(find_spec(package) is None, reason=reason)


def stopped_once(dsd, suite, *words: str, **environment: str) -> None:
    """Runs an arm that stops at once, then to its end."""
    done = dsd(*RUN, *words, "--time-limit", "0", cwd=suite, **environment)
    assert done.returncode == 75, done.stderr
    done = dsd(*RUN, *words, cwd=suite, **environment)
    assert done.returncode == 0, done.stderr


def test_tensorboard_has_a_run_for_each_phase(dsd, own_suite):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stopped_once(dsd, own_suite, "--log", "tensorboard")
    folder = own_suite / "runs" / "tensorboard" / "points-mlp.mini" / "seed3"
    assert sorted(path.name for path in folder.iterdir()) == PHASES
    for phase, epochs in EPOCHS.items():
        found = EventAccumulator(str(folder / phase)).Reload()
        scalars = {"train/loss", "train/error_pct", "heldout/error_pct", "lr"}
        assert {*found.Tags()["scalars"]} == scalars
        assert len(found.Scalars("lr")) == epochs


@needs("mlflow")
def test_mlflow_keeps_each_phase_in_its_sqlite_store(dsd, own_suite):
    stopped_once(dsd, own_suite, "--log", "mlflow", MLFLOW_TRACKING_URI="")
    with sqlite3.connect(own_suite / "runs" / "mlflow.db") as store:
        rows = store.execute(
            "select r.name, count(*) from runs r join metrics m on m.run_uuid = r.run_uuid "
            "where m.key = 'lr' group by r.name order by r.name"
        ).fetchall()
        statuses = {row[0] for row in store.execute("select status from runs")}
        lrs = dict(
            store.execute(
                "select r.name, p.value from runs r join params p on p.run_uuid = r.run_uuid "
                "where p.key = 'lr'"
            )
        )
    assert rows == [(f"seed3.{phase}", EPOCHS[phase]) for phase in PHASES], "resumed in one run"
    assert statuses == {"FINISHED"}
    assert float(lrs["seed3.dense.sparse"]) == 0.01


@needs("wandb")
def test_wandb_writes_its_runs_offline(dsd, own_suite):
    done = dsd(*RUN, "--log", "wandb", cwd=own_suite, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    assert len(list(own_suite.glob("runs/wandb/offline-run-*/run-*.wandb"))) == 3


def test_an_unknown_logger_and_a_missing_one_are_named(dsd, own_suite, monkeypatch):
    with pytest.raises(UserError, match="known: tensorboard, wandb, mlflow"):
        trackers.check("comet")
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    for kind in trackers.KINDS:
        with pytest.raises(UserError, match=f"is not installed; pip install {kind}"):
            trackers.check(kind)


def test_what_a_logger_says_is_one_line(monkeypatch, own_suite):
    from tests.dsd.running import make_run

    def refuse(*given: object) -> None:
        raise RuntimeError("no API key\nconfigured")

    monkeypatch.setitem(trackers.KINDS, "wandb", refuse)
    place = make_run(own_suite).path("dsd")[0]
    with pytest.raises(UserError, match="--log wandb: no API key configured; log in with") as one:
        trackers.Trackers("wandb", own_suite, "points", 0).start(place, 0)
    assert "\n" not in str(one.value)
