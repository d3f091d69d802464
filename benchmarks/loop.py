"""Our loop, as `dsd run` uses it, against a plain PyTorch loop of the same model and options.

    python -m benchmarks.loop [--rounds 6] [--device cpu] [--threads 1] [--out FILE]

A turn is one short epoch of the CIFAR-10 recipe on random pixels: plain, ours, plain again, each
with its own copy of the network and the same batches from the same Loader. Ours is
`dsd.training.phase.train_epoch` with accelerate, the image task, sums over the epoch and the
progress bar of a terminal. The plain loop only adds the loss up. Checkpoints and scores are left
out of both.
"""

import io
import os
from itertools import count
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from rich.console import Console
from torch import nn

from benchmarks.pairs import ROOT, Way, compare, options, write
from data.images import ImageSet
from data.transforms import Cifar
from dsd.suite.recipe import Recipe, load_recipe
from dsd.suite.task import ALONE
from dsd.training.device import Options
from dsd.training.optimizers import make_optimizer
from dsd.training.phase import finish_epoch, train_epoch
from dsd.training.progress import Reporter
from dsd.training.run import Run
from dsd.training.state import TrainState
from dsd.training.stop import Stop
from recipes.images import ImageTask, Settings

TARGET = 1.03
STEPS = {"cpu": 8, "cuda": 100}  # of an epoch
CASES = [("resnet20", 32, 128), ("resnet18", 64, 16)]  # network, pixels, batch size


def case(
    network: str, pixels: int, batch_size: int, *, rounds: int, device: torch.device
) -> dict[str, Any]:
    """Compares the loops on one network and images of pixels x pixels."""
    steps = STEPS[device.type]
    recipe = load_recipe(
        ROOT / "recipes/cifar10/resnet20.yaml",
        overrides=(
            f"task.network={network}",
            f"task.batch_size={batch_size}",
            "phases.dense={epochs: 1000, lr: 0.01}",
        ),
    )
    images = random_images(steps * batch_size, pixels)
    task = ImageTask(Settings(**recipe.task), images, images, seed=0, workers=0)
    nets = []
    for _ in range(3):
        torch.manual_seed(0)
        nets.append(task.model().to(device))
    ways = {
        "plain": plain_loop(recipe, task, nets[0], device),
        "ours": our_loop(recipe, task, nets[1], device),
        "plain again": plain_loop(recipe, task, nets[2], device),
    }
    result = compare(ways, rounds, device)
    if not all(map(torch.equal, nets[0].parameters(), nets[1].parameters())):
        raise SystemExit(f"{network}: the loops do not end with the same weights")
    return {
        "case": f"{network}, {pixels} px, batch {batch_size}",
        "steps_per_turn": steps,
        "target": TARGET,
        "limit": 1.0,
        **result,
    }


def random_images(number: int, pixels: int) -> ImageSet:
    """Returns images of random pixels and labels, in memory as CIFAR-10's."""
    draw = np.random.default_rng(0)
    return ImageSet(
        name="random pixels",
        classes=tuple("abcdefghij"),
        labels=draw.integers(10, size=number),
        pixels=draw.integers(256, size=(number, pixels, pixels, 3), dtype=np.uint8),
    )


def plain_loop(recipe: Recipe, task: ImageTask, net: nn.Module, device: torch.device) -> Way:
    """Returns a function that trains one epoch more, as a script would."""
    optimizer = make_optimizer(recipe.optimizer, net.parameters(), recipe.phases["dense"].lr)
    epochs, cifar = count(), Cifar()

    def turn() -> float:
        net.train()
        total = torch.zeros((), device=device)
        for batch in task.batches(next(epochs), 0, ALONE):
            pixels, labels, drawn = (
                batch[name].to(device, non_blocking=True) for name in ("images", "labels", "drawn")
            )
            optimizer.zero_grad()
            loss = F.cross_entropy(net(cifar.colours(pixels.contiguous(), drawn)), labels)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return total.item() / task.steps_per_epoch

    return turn


def our_loop(recipe: Recipe, task: ImageTask, net: nn.Module, device: torch.device) -> Way:
    """Returns a function that trains one epoch more, as a phase of a run."""
    run = Run(
        recipe=recipe,
        usual=recipe,
        overrides=(),
        seed=0,
        task=task,
        task_settings=Settings,
        accelerator=Accelerator(cpu=device.type == "cpu", mixed_precision="no"),
        options=Options(),
        runs=ROOT / "runs",  # nothing is written there
        records=ROOT / "runs",
        checkpoint_every_s=float("inf"),
        provenance={},
        stop=Stop(),
        reporter=Reporter(Console(file=io.StringIO(), force_terminal=True)),
    )
    (place,) = run.path("baseline")
    optimizer = make_optimizer(recipe.optimizer, net.parameters(), place.node.phase.lr)
    model = run.accelerator.prepare_model(net)
    state = TrainState(net, model, optimizer, run.sparsifier(net, optimizer, place.node.phase))
    total = round(place.node.phase.epochs * task.steps_per_epoch)

    def turn() -> None:
        run.reporter.phase(place, total, state.progress.steps, task.unit, task.steps_per_epoch)
        train_epoch(run, place, state, total)
        finish_epoch(run, place, state)
        run.reporter.close()

    return turn


def main() -> None:
    chosen = options(__doc__, "loop", rounds=6)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)  # as `dsd run` does
    cases = (case(*setting, rounds=chosen.rounds, device=chosen.device) for setting in CASES)
    write("loop", cases, chosen.device, chosen.out)


if __name__ == "__main__":
    main()
