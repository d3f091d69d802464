"""Choosing all masks of VGG-16 at 30 %: ours against torch.sort and np.partition.

    python -m benchmarks.masks [--rounds 3] [--out benchmarks/results/masks.json]

Each way takes the same random weights to bool masks, layer by layer. The paper's way sorts every
layer's magnitudes. The ways are interleaved, in an order that turns from round to round. Ours runs
twice a round: its ratio with itself shows the machine's noise.
Wants a quiet machine: where others compete for its cores, set OMP_NUM_THREADS=1.
"""

import argparse
import json
import math
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.pairs import ROOT
from dsd import magnitude_mask
from dsd.runs.provenance import provenance

SPARSITY = 0.3  # the paper's, for VGG-16
CONVOLUTIONS = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]  # channels
SHAPES = [
    *((wide, narrow, 3, 3) for narrow, wide in pairwise(CONVOLUTIONS)),
    *((4096, 512 * 7 * 7), (4096, 4096), (1000, 4096)),
]


def ours(weight: Tensor) -> Tensor:
    return magnitude_mask(weight, SPARSITY)


def by_sort(weight: Tensor) -> Tensor:
    magnitude = weight.abs().flatten()
    threshold = torch.sort(magnitude).values[round(weight.numel() * SPARSITY) - 1]
    return (magnitude > threshold).view(weight.shape)


def by_partition(weight: Tensor) -> Tensor:
    magnitude = np.abs(weight.numpy()).ravel()
    rank = round(weight.numel() * SPARSITY) - 1
    threshold = np.partition(magnitude, rank)[rank]
    return torch.from_numpy(magnitude > threshold).view(weight.shape)


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "ours": ours,
    "torch.sort": by_sort,
    "ours again": ours,
    "np.partition": by_partition,
}


def seconds(way: Callable[[Tensor], Tensor], weights: list[Tensor]) -> float:
    start = time.perf_counter()
    for weight in weights:
        way(weight)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/masks.json")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    weights = [
        torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
        for shape in SHAPES
    ]
    for weight in weights[:-3]:  # the convolutions: a check, and a warm-up
        if not all(torch.equal(way(weight), ours(weight)) for way in WAYS.values()):
            raise SystemExit(f"the ways disagree on the mask of shape {tuple(weight.shape)}")
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    names = list(WAYS)
    for number in range(options.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            times[name].append(seconds(WAYS[name], weights))
        print(f"round {number + 1}: " + ", ".join(f"{n} {t[-1]:.2f} s" for n, t in times.items()))
    ratios = {}
    for name in names[1:]:
        each = [t / mine for t, mine in zip(times[name], times["ours"], strict=True)]
        ratios[name] = {"median": statistics.median(each), "min": min(each), "max": max(each)}
        print(f"{name} / ours: median {ratios[name]['median']:.2f}, ", end="")
        print(f"{ratios[name]['min']:.2f} to {ratios[name]['max']:.2f}")
    result = {
        "benchmark": "masks of VGG-16",
        "weights": sum(weight.numel() for weight in weights),
        "sparsity": SPARSITY,
        "seconds": times,
        "time_over_ours": ratios,
        "made": provenance(torch.device("cpu"), ROOT)
        | {"command": shlex.join(["python", "-m", "benchmarks.masks", *sys.argv[1:]])},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
