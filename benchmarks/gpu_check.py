"""What needs a device, tried on it in ten minutes: `make gpu-check`.

    python3 -m benchmarks.gpu_check [CHECK...] [--device cuda] [--out FILE] [--minutes 10]

Correctness of the parts and an exact resume first, then speeds as ratios, then the dsd arm of a
miniature of each task. It needs torch, torchvision, torchaudio, accelerate and what `dsd` needs;
neither make nor a registry. A check that fails is in the record and in the table; the others go on.
What is not begun before the minutes are up is "not run". Checks that are named run alone, and the
others stay in the file as they are. Exit code 1 when one failed.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import steps
from benchmarks.costs import image_network
from benchmarks.pairs import RESULTS, ROOT, timed
from dsd import Sparsifier, magnitude_mask
from dsd.pruning.bits import BitMask
from dsd.pruning.masks import random_mask
from dsd.runs import checkpoint
from dsd.runs.provenance import provenance
from dsd.suite.folder import Suite, corpus_folder
from dsd.suite.recipe import Recipe, load_recipe
from dsd.suite.task import ALONE
from dsd.training.device import Options, fastest, set_numerics
from dsd.training.optimizers import make_optimizer
from dsd.training.prefetch import on_device
from models import build

IMAGENET = ("alexnet", "squeezenet", "googlenet", "vgg16", "resnet18", "resnet50")
STEPS = 3  # of training, in a turn
MINIATURES = ("imagenet-resnet18", "flickr8k-neuraltalk", "wsj-deepspeech")
UNWAITING = ("imagenet-resnet18", "cifar10-resnet20", "flickr8k-neuraltalk", "wsj-deepspeech")
SHAPES = ((64, 64, 3, 3), (4097, 1025), (1, 7), (1000, 513))  # of weights, even and odd

Check = Callable[[torch.device, Path], dict[str, Any]]


def masks_are_the_cpus(device: torch.device, folder: Path) -> dict[str, Any]:
    """Masks are those of the CPU, bit for bit, also of ties and halves, and are applied whole."""
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for shape in SHAPES:
            weight = torch.randn(shape, generator=generator).to(dtype)
            weight.view(-1)[::3] = 0.5  # ties
            for sparsity in (0.0, 0.3, 0.5, 0.9):
                here, there = (magnitude_mask(w, sparsity) for w in (weight, weight.to(device)))
                assert torch.equal(here, there.cpu()), (dtype, shape, sparsity)
                masked = weight.to(device)
                BitMask(there, masked).apply(masked)
                assert torch.equal(masked.cpu(), weight * here), (dtype, shape, sparsity)
                draws = [torch.Generator().manual_seed(1) for _ in range(2)]
                here = random_mask(weight, sparsity, draws[0])
                there = random_mask(weight.to(device), sparsity, draws[1])
                assert torch.equal(here, there.cpu()), ("random", dtype, shape, sparsity)
    return {"compared": 3 * len(SHAPES) * 4 * 2}


def batches_arrive_whole(device: torch.device, folder: Path) -> dict[str, Any]:
    """Batches that are copied ahead on a stream of their own arrive whole and in order."""
    batches = [{"x": torch.full((2000, 1000), float(i)), "i": [i]} for i in range(30)]
    sums, places = [], []
    for batch in on_device(iter(batches), device):
        sums.append((batch["x"] @ batch["x"].t()).diagonal().sum())  # the device is busy meanwhile
        places += batch["i"]
    assert places == list(range(30))
    assert torch.stack(sums).tolist() == [float(2000 * 1000 * i * i) for i in range(30)]
    return {"batches": 30}


def pruned_weights_stay_zero(device: torch.device, folder: Path) -> dict[str, Any]:
    """Under each optimizer, plain and fused, pruned weights stay exactly zero and come back."""
    tried = []
    for make in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        for fused in (False, True):
            torch.manual_seed(0)
            net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
            options: dict[str, Any] = {"momentum": 0.9} if make is torch.optim.SGD else {}
            optimizer = make(net.parameters(), lr=1e-2, fused=fused, **options)
            sparsifier = Sparsifier(net, optimizer, 0.5)
            for moment in ("before", "sparse", "dense again"):
                if moment == "sparse":
                    sparsifier.sparsify()
                elif moment == "dense again":
                    sparsifier.densify()
                for _ in range(5):
                    optimizer.zero_grad()
                    images = torch.randn(32, 64, device=device)
                    F.cross_entropy(net(images), torch.arange(32, device=device) % 10).backward()
                    optimizer.step()
                zeros = sum(int((m.weight == 0).sum()) for m in net if isinstance(m, nn.Linear))
                wanted = (64 * 128 + 128 * 10) // 2 if moment == "sparse" else 0
                assert zeros == wanted, (make.__name__, fused, moment, zeros)
            tried.append(f"{make.__name__}{' fused' if fused else ''}")
    return {"optimizers": tried}


def no_step_waits(device: torch.device, folder: Path) -> dict[str, Any]:
    """A training step never waits for the device, but in torch's ctc_loss (set_sync_debug_mode)."""
    if device.type != "cuda":
        return {"skipped": "needs a GPU"}
    suite = Suite(ROOT)
    set_numerics(fastest(device))
    for name in UNWAITING:
        recipe = suite.recipe(name, "mini")
        task = suite.task(recipe, corpus_folder(suite, recipe, folder), 0, 0)
        net = task.model().to(device)
        optimizer = make_optimizer(recipe.optimizer, net.parameters(), 1e-3)
        for number, batch in enumerate(on_device(task.batches(0, 0, ALONE), device)):
            # the first steps make handles, workspaces and the optimizer's state
            torch.cuda.set_sync_debug_mode("error" if number > 2 else "default")
            optimizer.zero_grad()
            try:
                with _ctc_may_wait():
                    loss = task.loss(net, batch).mean
                loss.backward()
                optimizer.step()
            except RuntimeError as error:
                raise RuntimeError(f"{name}: {error}") from None
            finally:
                torch.cuda.set_sync_debug_mode("default")
            if number == 6:
                break
    return {"recipes": [*UNWAITING]}


@contextmanager
def _ctc_may_wait() -> Iterator[None]:
    """Lets torch's ctc_loss, and nothing else, wait: it copies the lengths to the device itself."""
    original = F.ctc_loss

    def waiting(*given: Any, **named: Any) -> Tensor:
        mode = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("default")
        try:
            return original(*given, **named)
        finally:
            torch.cuda.set_sync_debug_mode(mode)

    with mock.patch.object(F, "ctc_loss", waiting):
        yield


def miniature(name: str, *words: str) -> Check:
    """Returns the check that the dsd arm of a miniature trains."""

    def check(device: torch.device, folder: Path) -> dict[str, Any]:
        start = time.perf_counter()
        dsd(folder, "run", name, "--scale", "mini", "--device", device.type, *words)
        seconds = time.perf_counter() - start
        (record,) = folder.glob(f"records/{name}.mini.dsd.seed0.json")
        phases = json.loads(record.read_text())["phases"]
        last = json.loads((record.parent / f"{phases[-1]['file']}.json").read_text())["record"]
        return {"test": last["test"], "device": last["provenance"]["device"], "seconds": seconds}

    check.__name__ = "_".join(["miniature", name, *words])
    check.__doc__ = f"The dsd arm of {' '.join([name, *words])}'s miniature trains."
    return check


def resumes_to_the_same_bits(device: torch.device, folder: Path) -> dict[str, Any]:
    """A run stopped twice ends with the weights of one that was not."""
    words = ["run", "cifar10-resnet20", "--scale", "mini", "--device", device.type]
    dsd(folder / "whole", *words)
    stops = 0
    while dsd(folder / "stopped", *words, "--time-limit", "0.05", fine=(0, 75)) == 75:
        stops += 1
        assert stops < 50, "it does not come to an end"
    ends = [
        checkpoint.load(folder / way / "cifar10-resnet20.mini/seed0/dense/sparse/redense")
        for way in ("whole", "stopped")
    ]
    assert ends[0]
    assert ends[1]
    for name, weight in ends[0]["model"].items():
        assert torch.equal(weight, ends[1]["model"][name]), name
    return {"stops": stops}


def step_ratio(device: torch.device, folder: Path) -> dict[str, Any]:
    """A sparse step over a dense one, ResNet-18 and ResNet-20."""
    cases = [steps.case(*one, rounds=12, device=device) for one in steps.CASES]
    return {case["case"]: case["ratios"][case["clock"]] for case in cases}


def fast_ratio(device: torch.device, folder: Path) -> dict[str, Any]:
    """Images a second under --fast over those under the defaults, each ImageNet network's step."""
    found = {}
    for name in IMAGENET:
        recipe = load_recipe(ROOT / "recipes" / "imagenet" / f"{name}.yaml")
        size = recipe.task["batch_size"] if device.type == "cuda" else 2
        ways = (Options(), fastest(device))
        takes = [_training(recipe, size, device, options) for options in ways]
        seconds: list[list[float]] = [[], []]
        for turn in range(4):  # the first one warms up
            for way, (options, take) in enumerate(zip(ways, takes, strict=True)):
                set_numerics(options)
                spent = timed(take, device)["wall"] / STEPS
                if turn:
                    seconds[way].append(spent)
        slow, fast = (statistics.median(one) for one in seconds)
        least, middle, most = sorted(round(a / b, 3) for a, b in zip(*seconds, strict=True))
        flops = 3 * size * image_network(name, recipe.task["crop"])[1]
        found[name] = {
            "batch": size,
            "ratio": {"median": middle, "min": least, "max": most},
            "images_per_s": {"default": round(size / slow, 1), "fast": round(size / fast, 1)},
            "tflops_per_s": {
                "default": round(flops / slow / 1e12, 1),
                "fast": round(flops / fast / 1e12, 1),
            },
        }
    set_numerics(Options())
    return found


def _training(
    recipe: Recipe, size: int, device: torch.device, options: Options
) -> Callable[[], None]:
    """Returns a function that takes STEPS training steps on images of noise, as `dsd run` would."""
    bf16 = options.precision == "bf16"
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    net = build(recipe.task["network"]).to(device).to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = make_optimizer(recipe.optimizer, net.parameters(), 1e-4, fused=options.fused)
    side = recipe.task["crop"]
    images = torch.randn(size, 3, side, side, device=device).contiguous(memory_format=layout)
    labels = torch.arange(size, device=device) % 1000

    def take() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                outputs = net(images)
            logits = outputs[0] if isinstance(outputs, tuple) else outputs
            F.cross_entropy(logits.float(), labels).backward()
            optimizer.step()

    return take


def mask_ratio(device: torch.device, folder: Path) -> dict[str, Any]:
    """torch.sort's mask of VGG-16's largest layer over ours."""
    weight = torch.randn(4096, 25088, device=device)

    def by_sort() -> Tensor:
        magnitude = weight.abs().flatten()
        return weight.abs() > torch.sort(magnitude).values[round(weight.numel() * 0.3) - 1]

    ways = (by_sort, lambda: magnitude_mask(weight, 0.3))
    for way in ways:
        way()
    ratios = [timed(ways[0], device)["wall"] / timed(ways[1], device)["wall"] for _ in range(5)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


CHECKS: tuple[Check, ...] = (
    masks_are_the_cpus,
    batches_arrive_whole,
    pruned_weights_stay_zero,
    no_step_waits,
    resumes_to_the_same_bits,
    step_ratio,
    mask_ratio,
    fast_ratio,
    *(miniature(name) for name in MINIATURES),
    miniature("imagenet-resnet18", "--fast"),
    miniature("cifar10-resnet20", "--fast", "--compile"),
)


def dsd(runs: Path, *words: str, fine: tuple[int, ...] = (0,)) -> int:
    """Runs a command with its runs in a folder; returns the exit code, one of those that are fine.

    Raises RuntimeError with its last words for any other.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dsd", *words, "--runs", str(runs)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode not in fine:
        raise RuntimeError(f"dsd {shlex.join(words)}: {done.returncode}: {done.stderr[-400:]}")
    return done.returncode


def run(check: Check, device: torch.device, folder: Path) -> dict[str, Any]:
    """Runs one check; returns what it found, or its fault, and the seconds it took."""
    start = time.perf_counter()
    try:
        result: dict[str, Any] = {"ok": True, **check(device, folder)}
    except Exception as error:
        result = {"ok": False, "fault": f"{type(error).__name__}: {error}"[:1000]}
        traceback.print_exc()
    return {"check": _title(check), **result, "took_s": round(time.perf_counter() - start, 1)}


def _title(check: Check) -> str:
    return (check.__doc__ or "").partition("\n")[0]


def table(results: list[dict[str, Any]]) -> str:
    """Returns the results as a Markdown table."""
    lines = ["| check | | found | seconds |", "|---|---|---|---|"]
    for one in results:
        rest = {k: v for k, v in one.items() if k not in ("check", "ok", "took_s", "made")}
        state = {True: "ok", False: "**failed**", None: "not run"}[one["ok"]]
        lines.append(f"| {one['check']} | {state} | {_words(rest)} | {one['took_s']} |")
    return "\n".join(lines) + "\n"


def _words(found: Any) -> str:
    """Returns what a check found in words; a spread as its median, least and most."""
    if isinstance(found, dict) and {"median", "min", "max"} <= found.keys():
        median, least, most = (f"{found[name]:.3g}" for name in ("median", "min", "max"))
        return f"{median} ({least} to {most})"
    if isinstance(found, dict):
        inside = {name.replace("_", " "): _words(value) for name, value in found.items()}
        return ", ".join(
            f"{name} ({words})" if ", " in words else f"{name} {words}"
            for name, words in inside.items()
        )
    if isinstance(found, list):
        return ", ".join(map(_words, found))
    if isinstance(found, float):
        return f"{found:.4g}" if abs(found) < 1e4 else f"{found:.0f}"
    return str(found)


def main() -> None:
    named = {check.__name__: check for check in CHECKS}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=", ".join(named))
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.json")
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args()
    if unknown := [name for name in given.checks if name not in named]:
        parser.error(f"no check is called {unknown[0]}; known: {', '.join(named)}")
    if given.device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu_check: torch sees no GPU here; --device cpu tries the checks themselves")
    ends = time.monotonic() + 60 * given.minutes
    kept = _kept(given.out) if given.checks else {}
    results = {name: kept[name] for name in named if name in kept}
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name in dict.fromkeys(given.checks or named):
            if time.monotonic() > ends:
                found = {"check": _title(named[name]), "ok": None, "took_s": 0}
                results.setdefault(name, found)
                continue
            place = Path(folder, name)
            place.mkdir()
            found = run(named[name], given.device, place)
            failed |= not found["ok"]
            words = ["python3", "-m", "benchmarks.gpu_check", *sys.argv[1:]]
            made = provenance(given.device, ROOT) | {"command": shlex.join(words)}
            results[name] = {**found, "made": made}
            print(json.dumps(results[name]), flush=True)
            given.out.parent.mkdir(parents=True, exist_ok=True)
            given.out.write_text(json.dumps({"cases": results}, indent=1) + "\n")
    print(table([*results.values()]), end="")
    sys.exit(failed)


def _kept(path: Path) -> dict[str, Any]:
    """Returns the cases of a record, by their checks' names; none where there is no record."""
    try:
        cases: dict[str, Any] = json.loads(path.read_text())["cases"]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"gpu_check: {path} is no record of checks ({error}); name another with --out")
    return cases


if __name__ == "__main__":
    main()
