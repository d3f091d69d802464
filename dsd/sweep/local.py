"""A sweep on this machine: so many jobs at a time, cores and GPUs shared out among them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dsd.sweep import job as process
from dsd.sweep.plan import Job
from dsd.sweep.queue import work
from dsd.training.device import CORES, usable_cores
from dsd.training.stop import Stop, Stopped


def run(
    jobs: Sequence[Job],
    slots: int,
    root: Path,
    gpus: Sequence[str],
    say: Callable[[str], None],
    stop: Stop,
) -> dict[str, int]:
    """Runs the jobs, `slots` at a time; returns {name: exit code} of those that failed.

    root: the suite. gpus: names of the GPUs, as CUDA_VISIBLE_DEVICES has them. Raises Stopped, when
    a signal or the time limit of `stop` asks for it, after every job has saved its checkpoint.
    """
    children: dict[int, tuple[Job, subprocess.Popen[bytes], float]] = {}
    stop.listen()

    def start(job: Job, slot: int) -> None:
        environment = share(slot, slots, gpus, os.environ)
        child = process.start(job.words, job.folder, root, environment)
        children[slot] = job, child, time.monotonic()
        say(f"started {job.name}")

    def ended() -> tuple[Job, int, int]:
        while True:
            for slot, (job, child, began) in children.items():
                if (code := child.poll()) is not None:
                    del children[slot]
                    minutes = f"{(time.monotonic() - began) / 60:.1f} min"
                    words = process.why(job.folder, code) if code else ""
                    say(f"ended   {job.name}: {words + ', ' if words else ''}{minutes}")
                    return job, slot, code
            if stop.asked():
                _end([child for _, child, _ in children.values()])
                raise Stopped(stop.reason)
            time.sleep(0.1)

    return work(jobs, slots, start, ended)


def share(
    slot: int, slots: int, gpus: Sequence[str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Returns the variables that give a slot its part of the cores and its GPU.

    Threads that the user has set stay. Several slots may have one GPU.
    """
    cores = max(1, usable_cores() // slots)
    shared = {CORES: str(cores)}
    if "OMP_NUM_THREADS" not in environment:
        shared["OMP_NUM_THREADS"] = str(cores)
    return shared | ({"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else {})


def visible_gpus() -> list[str]:
    """Returns the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return (named or [str(number) for number in range(64)])[: torch.cuda.device_count()]


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.send_signal(signal.SIGTERM)
    for child in children:
        child.wait()
