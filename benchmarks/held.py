"""A sparse training step with masks held as bits against one with masks as wide as the weights.

    python -m benchmarks.held [--rounds 20] [--device cpu] [--threads 1] [--out FILE]

Three copies of one network step on one batch, in turn. The usual way is how masks were held before:
integers of the weights' width, one AND for each layer in the optimizer's hook. It takes four bytes
for each float32 weight, bits an eighth of one.
"""

import copy
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.pairs import compare, options, write
from benchmarks.steps import SPARSITY, train
from dsd import Sparsifier
from dsd.pruning.selection import BIT_VIEW
from models import build

TARGET = 1.02


def mlp() -> nn.Module:
    """Returns a network of many weights and little work for each: 8.4 million, batch 16."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 2048), nn.ReLU(), nn.Linear(2048, 1000))


CASES = [  # network, pixels, batch size
    ("resnet18", 128, 16),
    ("resnet20", 32, 128),
    ("mlp", 32, 16),
]


def case(
    name: str, pixels: int, batch_size: int, *, rounds: int, device: torch.device
) -> dict[str, Any]:
    """Compares the steps of one network on images of pixels x pixels."""
    torch.manual_seed(0)
    net = (mlp() if name == "mlp" else build(name)).to(device)
    images = torch.randn(batch_size, 3, pixels, pixels).to(device)
    labels = torch.randint(10, (batch_size,)).to(device)
    models = {way: copy.deepcopy(net) for way in ("integers", "bits", "integers again")}
    optimizers = {
        way: torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        for way, model in models.items()
    }
    sparsifiers = {way: Sparsifier(models[way], optimizers[way], SPARSITY) for way in models}
    for way, sparsifier in sparsifiers.items():
        sparsifier.sparsify()
        if way != "bits":
            masks = sparsifier.masks
            sparsifier.finish()
            hold(models[way], optimizers[way], masks)
    steps = 1 if device.type == "cpu" else 20  # so that a turn is long beside one launch
    ways = {
        way: partial(train, model, optimizers[way], images, labels, steps)
        for way, model in models.items()
    }
    result = compare(ways, rounds, device)
    pairs = zip(models["bits"].parameters(), models["integers"].parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    return {
        "case": f"{name}, {pixels} px, batch {batch_size}",
        "weights": sum(layer["weights"] for layer in sparsifiers["bits"].report().values()),
        "steps_per_turn": steps,
        "target": TARGET,
        **result,
    }


def hold(
    model: nn.Module, optimizer: torch.optim.Optimizer, masks: dict[str, torch.Tensor]
) -> None:
    """Holds masks as integers, as wide as the weights."""
    held = []
    for name, mask in masks.items():
        weight = model.get_parameter(name)
        integers = torch.empty_like(weight, dtype=BIT_VIEW[weight.itemsize]).copy_(mask).neg_()
        held.append((weight, integers))

    @torch.no_grad()
    def apply(*_: object) -> None:
        for weight, integers in held:
            weight.view(integers.dtype).bitwise_and_(integers)

    optimizer.register_step_post_hook(apply)


def main() -> None:
    chosen = options(__doc__, "held", rounds=20)
    cases = (case(*setting, rounds=chosen.rounds, device=chosen.device) for setting in CASES)
    write("held", cases, chosen.device, chosen.out)


if __name__ == "__main__":
    main()
