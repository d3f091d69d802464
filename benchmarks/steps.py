"""A training step of the sparse phase against the same dense step.

    python -m benchmarks.steps [--rounds 30] [--device cpu] [--threads 1] [--out FILE]

Three copies of one network step on one batch, in turn: dense, sparse (Sparsifier active, 30 %),
dense again. Optimizer, rate and excluded layers are those of the recipe's sparse phase.
"""

import copy
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.pairs import ROOT, compare, options, write
from dsd import Sparsifier
from dsd.suite.recipe import load_recipe
from dsd.training.optimizers import AnyOptimizer, make_optimizer
from models import build

SPARSITY = 0.3
CASES = [  # recipe, pixels, batch size, target
    ("imagenet/resnet18", 128, 16, 1.02),
    ("cifar10/resnet20", 32, 128, 1.05),
]


def case(
    name: str, pixels: int, batch_size: int, target: float, *, rounds: int, device: torch.device
) -> dict[str, Any]:
    """Compares the steps of one recipe's network on images of pixels x pixels."""
    recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml")
    torch.manual_seed(0)
    net = build(recipe.task["network"]).to(device)
    images = torch.randn(batch_size, 3, pixels, pixels).to(device)
    labels = torch.randint(10, (batch_size,)).to(device)
    models = {way: copy.deepcopy(net) for way in ("dense", "sparse", "dense again")}
    optimizers = {
        way: make_optimizer(recipe.optimizer, model.parameters(), recipe.phases["sparse"].lr)
        for way, model in models.items()
    }
    sparsifier = Sparsifier(models["sparse"], optimizers["sparse"], SPARSITY, recipe.exclude)
    sparsifier.sparsify()
    steps = 1 if device.type == "cpu" else 20  # so that a turn is long beside one launch
    ways = {
        way: partial(train, model, optimizers[way], images, labels, steps)
        for way, model in models.items()
    }
    result = compare(ways, rounds, device)
    sparsifier.state_dict()  # raises if a pruned weight did not stay at zero
    layers = sparsifier.report().values()
    return {
        "case": f"{recipe.task['network']}, {pixels} px, batch {batch_size}",
        "weights": sum(layer["weights"] for layer in layers),  # of the pruned layers
        "kept": sum(layer["kept"] for layer in layers),
        "steps_per_turn": steps,
        "target": target,
        "limit": 1.0,
        **result,
    }


def train(
    model: nn.Module, optimizer: AnyOptimizer, images: Tensor, labels: Tensor, steps: int
) -> None:
    """Takes training steps on one batch."""
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()


def main() -> None:
    chosen = options(__doc__, "steps", rounds=30)
    cases = (case(*setting, rounds=chosen.rounds, device=chosen.device) for setting in CASES)
    write("steps", cases, chosen.device, chosen.out)


if __name__ == "__main__":
    main()
