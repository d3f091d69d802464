"""What the paper's experiments cost on 1, 8 and 64 GPUs, and a sweep on 100, for docs/scale.md.

    python -m benchmarks.scale              # the tables, from what was measured
    python -m benchmarks.scale --measure    # measure first; some minutes, on an idle machine

FLOPs and bytes are counted; the ImageNet networks are measured on one GPU (gpu_check.py); input,
masks and checkpoints on a CPU; the rest is a data sheet (costs.py: ASSUMED).
"""

import argparse
import heapq
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from benchmarks import costs, images, scale_page
from benchmarks.costs import A
from benchmarks.pairs import RESULTS, ROOT, timed
from dsd.runs import checkpoint
from dsd.runs.provenance import provenance
from dsd.suite.folder import Suite
from dsd.sweep.plan import Job
from dsd.sweep.queue import work

PAGE = ROOT / "docs" / "scale.md"
RESULT = RESULTS / "scale.json"
NETWORKS = ("alexnet", "vgg16", "googlenet", "squeezenet", "resnet18", "resnet50")
SPEECH = ("deepspeech", "deepspeech2")
GPUS = (1, 8, 64)
SWEEP_GPUS, SWEEP_PHASES, KILLED = 100, 1000, 0.05
CPU = torch.device("cpu")


def measure() -> dict[str, Any]:
    """Returns core seconds of an image's input, and the bytes a second of a checkpoint, here."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = images.draw(Path(folder))
        input_s = {}
        for name in ("fb_resnet", "caffe"):
            way = partial(images.ours, drawn, name)
            way()
            input_s[name] = min(timed(way, CPU)["cpu"] for _ in range(5)) / len(drawn)
        state = {"model": torch.zeros(50_000_000)}
        started = time.perf_counter()
        checkpoint.save(Path(folder), state)
        saved = state["model"].nbytes / (time.perf_counter() - started)
    made = provenance(CPU, ROOT)
    made["command"] = "python -m benchmarks.scale --measure"
    return {"input_core_s": input_s, "checkpoint_bytes_per_s": saved, "made": made}


def on_gpu() -> dict[str, Any]:
    """Returns images a second of each ImageNet network on one GPU, by precision, and the record."""
    case = json.loads((RESULTS / "gpu.json").read_text())["cases"]["fast_ratio"]
    ways = {"fp32": "default", "bf16": "fast"}
    return {
        "made": case["made"],
        **{
            name: {precision: case[name]["images_per_s"][way] for precision, way in ways.items()}
            for name in NETWORKS
        },
    }


def counted() -> dict[str, Any]:
    """Returns parameters, FLOPs of a forward pass and layers, of an image or a second of speech."""
    suite, found = Suite(ROOT), {}
    for name in NETWORKS:
        found[name] = costs.image_network(name, suite.recipe(f"imagenet-{name}").task["crop"])
    return {**found, **{name: costs.speech_network(name) for name in SPEECH}}


def image_rows(
    measured: dict[str, Any], sizes: dict[str, Any], speeds: dict[str, Any]
) -> list[dict[str, Any]]:
    """Returns the costs of each ImageNet recipe: precision by number of GPUs."""
    rows = []
    for name in NETWORKS:
        recipe = Suite(ROOT).recipe(f"imagenet-{name}")
        weights, flops, layers = sizes[name]
        batch = recipe.task["batch_size"]
        input_s = batch * measured["input_core_s"][recipe.task["preprocessing"]]
        steps = A["images"] / batch
        for precision in ("fp32", "bf16"):
            compute_s = batch / speeds[name][precision]
            for gpus in (number for number in GPUS if number <= batch):
                step = costs.step(compute_s, weights, layers, input_s, gpus)
                row = {"network": name, "precision": precision, "gpus": gpus, "batch": batch}
                row |= {"weights": weights, "gflops": flops / 1e9, "step": vars(step)}
                row |= {"seconds": step.seconds, "limit": step.limit}
                row["dsd_hours"] = costs.epochs(recipe, ["dsd"]) * steps * step.seconds / 3600
                row["all_hours"] = (
                    costs.epochs(recipe, [*recipe.arms]) * steps * step.seconds / 3600
                )
                rows.append(row)
    return rows


def speech_rows(sizes: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the costs of the WSJ recipes; the input is measured in benchmarks/speech.py."""
    speech = json.loads((RESULTS / "speech.json").read_text())["cases"]
    (case,) = [one for one in speech if "FLAC" in one["case"]]
    per_core = case["ratios"]["cpu"]["measured"]["median"]  # seconds of speech a second
    rows = []
    for name in SPEECH:
        recipe, (weights, flops, layers) = Suite(ROOT).recipe(f"wsj-{name}"), sizes[name]
        total = A["wsj_hours"] * 3600
        batch = recipe.task["batch_size"]
        seconds = batch * total / A["wsj_utterances"]  # of speech in a batch
        compute_s = 3 * flops * seconds / (A["fp32_flops"] * A["fp32_share"])
        for gpus in (1, 8):
            step = costs.step(compute_s, weights, layers, seconds / per_core, gpus)
            row = {"network": name, "gpus": gpus, "weights": weights, "gflops": flops / 1e9}
            row |= {"batch": batch, "step": vars(step), "limit": step.limit}
            row["seconds"] = step.seconds
            hours = total / seconds * step.seconds / 3600
            row["dsd_hours"] = costs.epochs(recipe, ["dsd"]) * hours
            row["all_hours"] = costs.epochs(recipe, [*recipe.arms]) * hours
            rows.append(row)
    return rows


def sweep_jobs(rows: list[dict[str, Any]]) -> list[Job]:
    """Returns about a thousand phases: every arm of the ImageNet networks, seed by seed."""
    each = {row["network"]: row for row in rows if row["gpus"] == 1 and row["precision"] == "bf16"}
    jobs: list[Job] = []
    for seed in range(SWEEP_PHASES):
        for name, row in each.items():
            recipe, known = Suite(ROOT).recipe(f"imagenet-{name}"), set[str]()
            epoch = A["images"] / row["batch"] * row["seconds"] / 3600
            for arm in recipe.arms:
                parent, title = None, f"{name}/seed{seed}"
                for node in recipe.plan(arm):
                    title = f"{title}/{node.folder}"
                    if title not in known:
                        known.add(title)
                        hours = node.phase.epochs * epoch
                        jobs.append(Job(title, Path(title), parent, (), False, False, hours))
                    parent = title
        if len(jobs) >= SWEEP_PHASES:
            break
    return jobs


def simulate(jobs: list[Job], gpus: int, killed: float) -> dict[str, float]:
    """Runs jobs through the local scheduler with a made-up clock; returns hours.

    killed: the share of starts that end by a kill, after a random part of the job; it goes on from
    its last checkpoint, two minutes before.
    """
    draw, clock, left = Random(0), [0.0], {job.name: job.hours or 0.0 for job in jobs}
    running: list[tuple[float, int, Job, int]] = []
    busy, kills = [0.0], [0]
    lost = A["checkpoint_every_s"] / 3600

    def start(job: Job, slot: int) -> None:
        hours, code = left[job.name], 0
        if draw.random() < killed:
            done = draw.random() * hours
            left[job.name] = hours - max(0.0, done - lost)
            hours, code = done, -9
            kills[0] += 1
        busy[0] += hours
        heapq.heappush(running, (clock[0] + hours, slot, job, code))

    def ended() -> tuple[Job, int, int]:
        clock[0], slot, job, code = heapq.heappop(running)
        return job, slot, code

    failures = work(jobs, gpus, start, ended)
    chains: dict[str | None, float] = {None: 0.0}
    for job in jobs:
        chains[job.name] = chains[job.parent] + (job.hours or 0.0)
    return {
        "killed": killed,
        "phases": len(jobs),
        "hours": clock[0],
        "gpu_hours": busy[0],
        "use": busy[0] / (clock[0] * gpus),
        "longest_chain": max(chains.values()),
        "kills": kills[0],
        "failures": len(failures),
    }


def results(measured: dict[str, Any], sizes: dict[str, Any]) -> dict[str, Any]:
    """Returns everything that the page shows, from what was measured and counted."""
    speeds = on_gpu()
    rows = image_rows(measured, sizes, speeds)
    mask = json.loads((RESULTS / "masks.json").read_text())
    ns = sorted(mask["seconds"]["ours"])[1] / mask["weights"] * 1e9
    jobs = sweep_jobs(rows)
    return {
        "measured": measured,
        "on_gpu": speeds,
        "counted": sizes,
        "mask_ns_a_weight": ns,
        "mask_threads": mask["made"]["threads"],
        "images": rows,
        "speech": speech_rows(sizes),
        "masks": [costs.masks(10.0**power, ns) for power in (9, 10, 11, 12)],
        "sweep": [simulate(jobs, SWEEP_GPUS, killed) for killed in (0.0, KILLED)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.scale")
    parser.add_argument("--measure", action="store_true", help="measure first")
    asked = parser.parse_args().measure
    measured = measure() if asked else json.loads(RESULT.read_text())["measured"]
    result = results(measured, counted())
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    PAGE.write_text(scale_page.page(PAGE.read_text(), result))


if __name__ == "__main__":
    main()
