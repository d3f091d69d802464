"""The command as a user types it: what it prints, how it fails, how it stops and goes on."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dsd import __version__
from dsd.runs import checkpoint
from dsd.runs.record import read

ROOT = Path(__file__).parents[2]


def records(suite: Path) -> dict[str, dict]:
    """Returns {stem: record} of a suite's own records, as plain data."""
    found = (suite / "runs" / "records").glob("*.json")
    return {path.stem: read(path).model_dump(mode="json") for path in found}


def final_weights(suite: Path) -> dict[str, torch.Tensor]:
    (folder,) = suite.glob("runs/points-mlp.mini/seed0/dense*/sparse*/redense*")
    state = checkpoint.load(folder)
    assert state is not None
    return state["model"]


def test_outside_a_suite_one_line_says_so(dsd, tmp_path):
    for words in (["list"], ["run", "x"], ["tables"]):
        done = dsd(*words, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "no recipes/<corpus>/<network>.yaml" in done.stderr


def test_a_suite_of_ones_own_is_found_from_a_folder_below(dsd, own_suite):
    done = dsd("list", cwd=own_suite / "recipes" / "points")
    assert done.returncode == 0, done.stderr
    for word in ("points-mlp", "A small network on points", "POINTS"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rnu", "points-mlp"], "no command is called 'rnu'; did you mean 'run'?"),
        (["run", "point-mlp"], "no recipe is called 'point-mlp'; did you mean 'points-mlp'?"),
        (["run", "points-mlp", "--arm", "ranom", "--scale", "mini"], "did you mean 'random'?"),
        (["run", "points-mlp", "--scale", "mini", "task.widht=3"], "did you mean 'width'?"),
        (["run", "points-mlp", "--scale", "mini", "--precision", "fp8"], "--precision fp8"),
        (["run", "points-mlp", "--scale", "mini", "--log", "paper"], "--log paper"),
        (["run", "points-mlp", "--scale", "mini", "--shard", "fsdb"], "known: fsdp"),
        (
            ["run", "points-mlp", "--scale", "mini", "--shard", "fsdp"],
            "torchrun --nproc-per-node 2",
        ),
        (["verify", "points", "nowhere"], "nowhere: no such folder"),
        (["verify", "pionts", "."], "did you mean 'points'?"),
        (["fetch", "points"], "no program may download it"),
    ],
)
def test_a_fault_is_one_line_and_exit_code_2(dsd, own_suite, words, expected):
    done = dsd(*words, cwd=own_suite)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stderr.startswith("dsd: ")
    assert done.stderr.count("\n") == 1


def test_a_fault_that_one_process_has_is_said(dsd, own_suite):
    done = dsd("run", "point-mlp", cwd=own_suite, RANK="1")
    assert done.returncode == 2
    assert "no recipe is called 'point-mlp'" in done.stderr


def test_missing_data_is_said_once_with_layout_source_and_miniature(dsd):
    done = dsd("run", "imagenet-resnet18", IMAGENET="")
    assert done.returncode == 2
    for word in (
        "IMAGENET is not set",
        "<folder>/train/<wnid>",
        "image-net.org",
        "IMAGENET=/path dsd run imagenet-resnet18",
        "dsd run imagenet-resnet18 --scale mini",
        "make imagenet-resnet18-dsd SCALE=mini",
    ):
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    done = dsd("run", "imagenet-resnet18", IMAGENET="/no/such/folder")
    assert done.returncode == 2
    assert "IMAGENET is /no/such/folder, where no folder is" in done.stderr


def test_every_arm_and_two_seeds_in_one_command_with_scalars(dsd, own_suite):
    words = ["--arm", "all", "--seed", "0", "--seed", "1", "--log", "tensorboard"]
    done = dsd("run", "points-mlp", "--scale", "mini", *words, cwd=own_suite)
    assert done.returncode == 0, done.stderr
    found = records(own_suite)
    assert len(found) == 7 * 2
    assert found["points-mlp.mini.dsd.seed1"]["seed"] == 1
    command = found["points-mlp.mini.dsd.seed1"]["phases"][-1]["provenance"]["command"]
    assert command.startswith("dsd run points-mlp --scale mini --arm all")
    assert done.stderr.count("dense: 3 epochs at lr 0.1") == 2  # once a seed
    assert "sparsity 50%, mask random" in done.stderr
    assert list(own_suite.glob("runs/tensorboard/points-mlp.mini/seed0/*/events.*"))


def start(own_suite: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dsd", "run", "points-mlp", "--scale", "mini", *words],
        cwd=own_suite,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_sigterm_stops_with_a_checkpoint_and_the_command_goes_on(dsd, own_suite):
    many = "phases.dense.epochs=400"
    process = start(own_suite, "--arm", "baseline", many)
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 3/400" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "stopped: SIGTERM received" in rest
    (folder,) = own_suite.glob("runs/points-mlp.mini/seed0/dense-*")
    state = checkpoint.load(folder)
    assert state is not None
    assert 24 <= state["progress"]["steps"] < 3200
    done = dsd("run", "points-mlp", "--scale", "mini", "--arm", "baseline", many, cwd=own_suite)
    assert done.returncode == 0, done.stderr
    assert f"resumed at step {state['progress']['steps']} of 3200" in done.stderr
    (record,) = records(own_suite).values()
    assert len(record["phases"][0]["log"]) == 400


def test_a_second_process_on_the_same_run_is_refused(dsd, own_suite):
    long = ["--arm", "baseline", "phases.dense.epochs=100000"]
    first = start(own_suite, *long)
    assert first.stderr is not None
    assert "points-mlp baseline" in first.stderr.readline()
    assert "dense: 100000 epochs" in first.stderr.readline()
    first.send_signal(signal.SIGSTOP)
    words = ["run", "points-mlp", "--scale", "mini", *long, "--time-limit", "1"]
    second = dsd(*words, cwd=own_suite)
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert f"in use by process {first.pid}" in second.stderr


def test_the_time_limit_stops_with_a_checkpoint(dsd, own_suite):
    words = ["--arm", "baseline", "phases.dense.epochs=100000", "--time-limit", "0.02"]
    done = dsd("run", "points-mlp", "--scale", "mini", *words, cwd=own_suite)
    assert done.returncode == 75
    assert "stopped: the time limit is reached" in done.stderr
    assert list(own_suite.glob("runs/points-mlp.mini/seed0/dense-*/checkpoint.json"))


def launch(own_suite: Path, options: list[str], *words: str) -> subprocess.Popen[str]:
    """Starts `torchrun OPTIONS -m dsd WORDS`."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, "-m", "dsd", *words],
        cwd=own_suite,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--shard", "fsdp"]], ids=["replicas", "sharded"])
def test_two_nodes_that_meet_on_loopback_train_as_one_process_does(dsd, own_suite, options):
    """Each torchrun is a node's agent. Killed and started again, they go on."""
    words = ["run", "points-mlp", "--scale", "mini", "--device", "cpu", "task.dropout=0"]
    assert dsd(*words, cwd=own_suite).returncode == 0
    alone = final_weights(own_suite)
    (own_suite / "runs").rename(own_suite / "away")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for limit in (["--time-limit", "0"], []):
        meet = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
        meet += ["--rdzv-endpoint", f"127.0.0.1:{port}", "--local-addr", "127.0.0.1"]
        agents = [launch(own_suite, meet, *words, *options, *limit) for _ in range(2)]
        errors = [agent.communicate()[1] for agent in agents]
        assert [agent.returncode for agent in agents] == ([1, 1] if limit else [0, 0]), errors
        if limit:
            assert "time limit is reached" in "".join(errors)
    for name, value in final_weights(own_suite).items():
        torch.testing.assert_close(value, alone[name], rtol=1e-4, atol=1e-5)
    (record,) = records(own_suite).values()
    assert record["phases"][-1]["provenance"]["processes"] == 2
    assert record["phases"][-1]["provenance"]["shard"] == (options[1] if options else None)


def test_torchrun_trains_as_one_process_does(dsd, own_suite):
    words = ["run", "points-mlp", "--scale", "mini", "--device", "cpu", "task.dropout=0"]
    assert dsd(*words, cwd=own_suite).returncode == 0
    alone = final_weights(own_suite)
    (expected,) = records(own_suite).values()
    (own_suite / "runs").rename(own_suite / "away")
    torchrun = launch(own_suite, ["--standalone", "--nproc-per-node", "2"], *words)
    _, error = torchrun.communicate()
    assert torchrun.returncode == 0, error
    for name, value in final_weights(own_suite).items():
        torch.testing.assert_close(value, alone[name], rtol=1e-4, atol=1e-5)
    (record,) = records(own_suite).values()
    assert record["phases"][-1]["provenance"]["processes"] == 2
    assert record["phases"][1]["layers"] == expected["phases"][1]["layers"]
    for a, b in zip(record["phases"], expected["phases"], strict=True):
        assert a["test"]["test"]["error_pct"] == pytest.approx(
            b["test"]["test"]["error_pct"], abs=3
        )
        for row, other in zip(a["log"], b["log"], strict=True):
            assert row["train"]["loss"] == pytest.approx(other["train"]["loss"], rel=1e-3)


def test_help_teaches(dsd):
    for command in ("run", "eval", "fetch", "verify"):
        done = dsd(command, "--help")
        assert done.returncode == 0
        assert "Usage: dsd" in done.stdout
    assert "Examples" in dsd("run", "--help").stdout
    assert dsd("--version").stdout.strip() == __version__


def test_fast_is_in_the_record_and_its_phases_are_its_own(dsd, own_suite):
    words = ["run", "points-mlp", "--scale", "mini", "--device", "cpu"]
    done = dsd(*words, "--fast", cwd=own_suite)
    assert done.returncode == 0, done.stderr
    (record,) = records(own_suite).values()
    settings = record["settings"] if "settings" in record else record["phases"][-1]["settings"]
    assert settings["fused"] is True
    assert settings["channels_last"] is True
    assert settings["tf32"] is False  # there is none on a CPU
    again = dsd(*words, cwd=own_suite)
    assert again.returncode == 2
    assert "channels_last: True then, False now" in again.stderr
    exact = dsd(*words, "--fast", "--precision", "fp32", "--seed", "1", cwd=own_suite)
    assert exact.returncode == 0, exact.stderr
    assert {r["settings"]["precision"] for r in records(own_suite).values() if r["seed"] == 1} == {
        "fp32"
    }
