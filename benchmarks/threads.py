"""Threads that sleep while they wait, as `dsd` has it, against OpenMP's default, which spins.

    python -m benchmarks.threads [--rounds 6] [--out FILE]

A turn is five training steps of ResNet-20 on every core, in processes of their own: on an idle
machine, and beside as many busy processes as there are cores.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from signal import SIGCONT, SIGSTOP
from typing import Any

import torch

from benchmarks.pairs import ROOT, Way, compare, options, write
from dsd.training.device import usable_cores

SLEEPS = {"OMP_WAIT_POLICY": "passive"}
IDLE, BUSY = 1.03, 3.0  # targets, at most
PROCESSES = 3  # of each way
TRAIN = """
import sys, torch
from benchmarks.steps import train
from models import build
torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
net = build("resnet20")
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
batch = torch.randn(128, 3, 32, 32), torch.randint(10, (128,))
for line in sys.stdin:
    train(net, optimizer, *batch, steps=int(sys.argv[2]))
    print("done", flush=True)
"""
SPIN = "while True: pass"


class Trainer:
    """A process that trains some steps each time it is called."""

    def __init__(self, policy: dict[str, str], cores: int, steps: int) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
        environment |= {"OMP_NUM_THREADS": str(cores), "PYTHONPATH": str(ROOT), **policy}
        self._process = subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(cores), str(steps)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def __call__(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            raise SystemExit("a training process ended")


@contextmanager
def busy(cores: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Yields as many processes that do nothing but compute, stopped for now."""
    processes = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(cores)]
    try:
        for process in processes:
            process.send_signal(SIGSTOP)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def beside(processes: list[subprocess.Popen[bytes]], train: Way) -> None:
    """Trains while the other processes compute."""
    for process in processes:
        process.send_signal(SIGCONT)
    train()
    for process in processes:
        process.send_signal(SIGSTOP)


def cases(rounds: int, cores: int, steps: int = 5) -> Iterator[dict[str, Any]]:
    """Yields the comparisons: sleeping over spinning, then busy over idle, for either."""
    with ExitStack() as held:

        def several(policy: dict[str, str]) -> Way:
            """Returns what trains in one of several processes in turn: each has its own speed."""
            trainers = [held.enter_context(Trainer(policy, cores, steps)) for _ in range(PROCESSES)]
            for trainer in trainers:
                trainer()  # so that all have started
            turns = cycle(trainers)
            return lambda: next(turns)()

        spinning, sleeping, again = several({}), several(SLEEPS), several({})
        others = held.enter_context(busy(cores))
        ways = {"spinning": spinning, "sleeping": sleeping, "spinning again": again}
        yield case("sleeping over spinning, idle machine", IDLE, ways, rounds)
        for name, one, target in (("sleeping", sleeping, BUSY), ("spinning", spinning, None)):
            ways = {"idle": one, "busy": partial(beside, others, one), "idle again": one}
            yield case(f"{name}, beside {cores} busy processes over idle", target, ways, rounds)


def case(title: str, target: float | None, ways: dict[str, Way], rounds: int) -> dict[str, Any]:
    """Compares two ways by wall time."""
    result = compare(ways, rounds, torch.device("cpu"))
    return {"case": title, "target": target, **result, "clock": "wall"}


def main() -> None:
    chosen = options(__doc__ or "", "threads", rounds=6, of_torch=False)
    cores = usable_cores()
    torch.set_num_threads(cores)  # the record names them
    write("threads", cases(chosen.rounds, cores), torch.device("cpu"), chosen.out)


if __name__ == "__main__":
    main()
