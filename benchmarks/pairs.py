"""Ways of doing the same work, timed in turn: what steps.py and loop.py share.

On a CPU the clock is the CPU time of the process, which other programs on the machine disturb less
than wall time; on a GPU it is wall time, up to the end of the device's work. Both are kept.
"""

import argparse
import gc
import json
import resource
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dsd.runs.provenance import provenance

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"

Way = Callable[[], object]


def compare(ways: Mapping[str, Way], rounds: int, device: torch.device) -> dict[str, Any]:
    """Times three ways once a round, in an order that turns: the usual, the measured, the control.

    The control is the usual way again. A ratio is the seconds of the measured way, or of the
    control, over those of the usual way in the same round. Each way runs once before, untimed.
    Further ways are timed with them: under their names, the measured way's seconds over theirs.
    """
    usual, measured, control, *others = ways
    for way in ways.values():
        way()
    gc.collect()
    times: dict[str, dict[str, list[float]]] = {
        clock: {name: [] for name in ways} for clock in ("cpu", "wall")
    }
    orders = list(permutations(ways))
    for number in range(rounds):
        for name in orders[number % len(orders)]:
            for clock, seconds in timed(ways[name], device).items():
                times[clock][name].append(seconds)
    return {
        "clock": "cpu" if device.type == "cpu" else "wall",
        "median_seconds": {
            clock: {name: round(float(np.median(s)), 4) for name, s in seconds.items()}
            for clock, seconds in times.items()
        },
        "ratios": {
            clock: {
                "measured": spread(np.divide(seconds[measured], seconds[usual])),
                "control": spread(np.divide(seconds[control], seconds[usual])),
                **{name: spread(np.divide(seconds[measured], seconds[name])) for name in others},
            }
            for clock, seconds in times.items()
        },
    }


def timed(way: Way, device: torch.device) -> dict[str, float]:
    """Runs a way once; returns its seconds, "wall" and "cpu".

    "cpu" counts all threads of this process and the processes that it has started and waited for.
    """
    _wait(device)
    wall, cpu = time.perf_counter(), _cpu_seconds()
    way()
    _wait(device)
    return {"cpu": _cpu_seconds() - cpu, "wall": time.perf_counter() - wall}


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def spread(ratios: np.ndarray) -> dict[str, float]:
    """Returns n, min, quartiles, median and max, rounded to 0.0001."""
    names = ("min", "lower_quartile", "median", "upper_quartile", "max")
    values = np.quantile(ratios, [0, 0.25, 0.5, 0.75, 1]).round(4).tolist()
    return {"n": len(ratios), **dict(zip(names, values, strict=True))}


def options(doc: str, name: str, rounds: int, of_torch: bool = True) -> argparse.Namespace:
    """Reads the command line (rounds, out; of torch: device, threads) and sets torch's threads."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help="pairs (default: %(default)s)")
    parser.set_defaults(threads=1)
    if of_torch:
        found = "cuda" if torch.cuda.is_available() else "cpu"
        parser.add_argument("--device", type=torch.device, default=torch.device(found))
        parser.add_argument("--threads", type=int, help="of torch, on the CPU (default: 1)")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    return chosen


def write(name: str, cases: Iterable[dict[str, Any]], device: torch.device, out: Path) -> None:
    """Shows each case as it ends, then writes all to one JSON file with how they were made."""
    done = []
    for case in cases:
        done.append(case)
        print(json.dumps(case), flush=True)
    command = shlex.join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]])
    result = {
        "benchmark": name,
        "cases": done,
        "made": provenance(device, ROOT) | {"command": command},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
