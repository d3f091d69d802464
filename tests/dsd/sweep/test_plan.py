"""The plan of a sweep: what is one job, what waits for what, what is left, how long it takes."""

import json
from pathlib import Path

import pytest

from dsd.suite.folder import Suite
from dsd.sweep.plan import Job, Wanted, plan
from dsd.training.algorithm import train_arm
from dsd.training.device import Options
from tests.dsd.running import make_run


def planned(suite: Path, arms=("all",), seeds=(0, 1), words=()) -> dict[str, Job]:
    """{the job's name without the recipe's: job}."""
    wanted = Wanted(
        suite=Suite(suite),
        recipes=["points-mlp"],
        arms=arms,
        seeds=seeds,
        settings=words,
        scale="mini",
        runs=suite / "runs",
        records=suite / "records",
        options=Options(),
        processes=1,
        words=("--scale", "mini"),
    )
    return {job.name.removeprefix("points-mlp.mini/"): job for job in plan(wanted)}


def test_a_phase_that_arms_share_is_one_job(own_suite):
    jobs = planned(own_suite)
    assert sum(name.endswith("/dense") for name in jobs) == 2  # one a seed
    assert sum(name.endswith("/dense/sparse") for name in jobs) == 2  # dsd, dsdsd and sparse
    for name, job in jobs.items():
        parent, _, _ = name.rpartition("/")
        assert job.parent == (f"points-mlp.mini/{parent}" if "dense/" in name else None)
        assert job.hours is None  # nobody has measured it
        assert not job.finished
    dense = jobs["seed1/dense"].words
    assert dense == (
        *("points-mlp", "--scale", "mini", "--seed", "1"),
        "--arm",
        "baseline",
        "--job",
        "1",
    )


def test_settings_share_what_they_do_not_change(own_suite):
    jobs = planned(own_suite, ["dsd", "baseline"], [0], ["phases.sparse.sparsity=0.3,0.4,0.5"])
    trained = [name for name in jobs if "records" not in name]
    assert sum(name.endswith("/dense") for name in trained) == 1
    assert len(trained) == 7
    # Baseline has a record under each setting; one comes with the phase, two are written apart.
    apart = [job for name, job in jobs.items() if "records" in name]
    assert len(apart) == 2
    assert {job.parent for job in apart} == {"points-mlp.mini/seed0/dense"}


def test_another_seeds_dense_phase_is_one_job_for_all(own_suite):
    recipe = own_suite / "recipes/points/mlp.yaml"
    recipe.write_text(recipe.read_text() + "dense_seed: 5\n")
    jobs = planned(own_suite, ["dsd", "baseline"], [0, 1])
    assert [name for name in jobs if name.endswith("/dense")] == ["seed5/dense"]
    assert jobs["seed0/dense/sparse"].parent == "points-mlp.mini/seed5/dense"
    assert jobs["seed5/dense"].words[-5:] == ("5", "--arm", "baseline", "--job", "1")


def test_what_is_finished_is_left_out_and_tells_the_hours_of_the_rest(own_suite):
    run = make_run(own_suite)
    run.runs = own_suite / "runs"
    train_arm(run, "dsd")
    jobs = planned(own_suite, ["dsd", "baseline"], [0, 1])
    assert jobs["seed0/dense/sparse/redense"].finished
    assert jobs["seed0/dense/sparse"].finished
    assert not jobs["seed0/dense"].finished  # baseline's record is not written
    assert jobs["seed0/dense"].hours == 0
    phase = json.loads((own_suite / "runs/points-mlp.mini/seed0/dense/phase.json").read_text())
    seconds = phase["record"]["provenance"]["train_seconds"]
    assert jobs["seed1/dense"].hours == pytest.approx(seconds / 3600)


def test_the_first_phases_alone_leave_no_record(own_suite):
    run = make_run(own_suite)
    assert train_arm(run, "dsd", phases=2) is None
    assert [place.finished for place in run.path("dsd")] == [True, True, False]
    assert not list(own_suite.glob("records/*.json"))
    assert train_arm(run, "dsd", phases=3) == own_suite / "records/points-mlp.mini.dsd.seed0.json"
