"""kill -9 at random instants: the same command, again and again, ends in the same bits."""

import os
import random
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.results import results, same_as
from tests.faults.tally import ROOT, Tally, start

TASKS = {  # recipe: settings that make it last some seconds
    "cifar10-resnet20": (
        "phases.dense.epochs=1",
        "phases.sparse.epochs=0.5",
        "phases.redense.epochs=0.5",
    ),
    "flickr8k-neuraltalk": (
        "phases.dense.epochs=2",
        "phases.sparse.epochs=1",
        "phases.redense.epochs=1",
    ),
    "an4-deepspeech": (
        "phases.dense.epochs=1",
        *(f"phases.{phase}.epochs=0.5" for phase in ("sparse1", "redense1", "sparse2", "redense2")),
    ),
}


def kills(
    folder: Path, count: int, tasks: Sequence[str] = tuple(TASKS), seed: int = 0
) -> list[Tally]:
    """Kills each of the tasks so often in all; returns a tally for each task.

    Right: what is left after every kill goes on, and ends in the undisturbed run's bits.
    """
    return [
        _killed(folder / task, task, count // len(tasks) + (i < count % len(tasks)), seed)
        for i, task in enumerate(tasks)
    ]


def _killed(folder: Path, task: str, count: int, seed: int) -> Tally:
    tally = Tally(f"kill -9, {task}")
    miniature = folder / "miniature"
    miniature.mkdir(parents=True)

    def words(runs: Path) -> list[str]:
        runs.mkdir(exist_ok=True)
        if not (runs / "miniature").exists():
            (runs / "miniature").symlink_to(miniature)
        words = ["run", task, "--scale", "mini", "--runs", str(runs), "--device", "cpu"]
        return [*words, "--checkpoint-every", "0.2", *TASKS[task]]

    assert start(words(folder / "corpus"), ROOT).wait().code == 0  # writes the miniature
    started = time.monotonic()
    said = start(words(folder / "whole"), ROOT).wait()
    length = time.monotonic() - started
    assert said.code == 0, said.out
    expected = results(folder / "whole")
    draw, killed = random.Random(f"{task} {seed}"), folder / "killed"
    done = pending = 0
    while done < count or pending:
        child = start(words(killed), ROOT)
        if done < count:
            time.sleep(draw.uniform(0.05, 0.7) * length)
            os.kill(child.process, signal.SIGKILL)
        said = child.wait()
        if said.code == -signal.SIGKILL:
            done, pending = done + 1, pending + 1
            continue
        verdict = "traceback" if "Traceback" in said.out else "lost"
        if said.code == 0:
            verdict = "right" if same_as(expected, killed) else "silent"
        for _ in range(pending):
            tally.add(verdict, said.out[-300:])
        pending = 0
        shutil.rmtree(killed)
    return tally
