"""kill -9 at random moments: a run resumed each time ends with the undisturbed one's bits."""

import gc
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from dsd.runs import checkpoint
from dsd.suite.folder import Suite
from tests.dsd.running import undated
from tests.forked import no_gpu

ROOT = Path(__file__).parents[3]
KILLS = 20


def start(work: Callable[[], None]) -> int:
    """Forks: a new process each time, without paying for the imports each time."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            no_gpu()
            work()
        except SystemExit as exit:
            code = exit.code if isinstance(exit.code, int) else 1
        finally:
            os._exit(code)
    return process


def wait(process: int, seconds: float | None = None) -> int | None:
    """Returns the exit code, or None when the process still runs after `seconds`."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while deadline is None or time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def command(folder: Path) -> Callable[[], None]:
    """`dsd run cifar10-resnet20 --scale mini`, with a checkpoint at every step, in `folder`."""

    def work() -> None:
        from dsd.cli import main

        torch.set_num_threads(1)
        os.chdir(ROOT)
        sys.argv = ["dsd", "run", "cifar10-resnet20", "--scale", "mini", "--runs", str(folder)]
        sys.argv += ["--checkpoint-every", "0", "--device", "cpu", "phases.dense.epochs=0.125"]
        sys.argv += ["phases.sparse.epochs=0.0625", "phases.redense.epochs=0.0625"]
        sys.argv += ["task.heldout=20", "task.batch_size=16"]
        main()

    return work


def result(folder: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """Returns the record without what may differ between equal runs, and the final weights."""
    (path,) = (folder / "records").glob("*.json")
    (last,) = folder.glob("cifar10-resnet20.mini/seed0/dense*/sparse*/redense*")
    state = checkpoint.load(last)
    assert state is not None
    return undated(path), state["model"]


def main(folder: Path) -> None:
    # imported once, before the forks; torch's optimizers would import torch._dynamo in each
    import torch._dynamo

    import dsd.cli  # noqa: F401

    Suite(ROOT).task_module("cifar10")
    importlib.import_module("models.resnet")
    gc.freeze()
    whole, killed = folder / "whole", folder / "killed"
    started = time.monotonic()
    assert wait(start(command(whole))) == 0
    length = time.monotonic() - started
    expected_record, expected_weights = result(whole)

    def same_bits() -> None:
        record, weights = result(killed)
        assert record == expected_record
        assert weights.keys() == expected_weights.keys()
        for name, value in weights.items():
            assert torch.equal(value, expected_weights[name]), name

    draw = random.Random(0)
    for _ in range(KILLS):
        while (
            wait(process := start(command(killed)), draw.uniform(0.05, 0.25) * length) is not None
        ):
            same_bits()  # it came to its end before the kill: the next one begins again
            shutil.rmtree(killed)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert wait(start(command(killed))) == 0
    same_bits()
    print(f"{KILLS} kills, the same bits")


def test_killed_at_twenty_random_moments(tmp_path):
    # In a process of its own: a fork is only safe where torch has no threads yet.
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert f"{KILLS} kills, the same bits" in done.stdout, done.stderr


if __name__ == "__main__":
    main(Path(sys.argv[1]))
