"""How much of a training step is its products: the limit that no code around them can pass.

    python -m benchmarks.limits [--rounds 10] [--device cpu] [--threads 1] [--out FILE]

A step is taken once with its matrix products and convolutions written down, forward and backward.
A turn is the step, or those products alone on the same operands. Their ratio is the share of the
step's time that the products need: 1 is the limit.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.captions import CAPTIONS, SIZES, invented, loss, padded
from benchmarks.pairs import ROOT, compare, options, write
from dsd.suite.recipe import load_recipe
from dsd.training.optimizers import make_optimizer
from models import build
from models.ctc import costs
from models.deepspeech import BINS

PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "baddbmm_", "convolution", "convolution_backward"}
IMAGES, UTTERANCES, FRAMES, SYMBOLS = 128, 16, (120, 520), (10, 60)  # as CIFAR-10's and AN4's


class Products(TorchDispatchMode):
    """Writes down the products computed while it is active, with their operands."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket.__name__ in PRODUCTS:
            self.calls.append((func, args, kwargs))
        return func(*args, **kwargs)

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs in self.calls:
            func(*args, **kwargs)


def resnet20(device: torch.device) -> tuple[str, Callable[[], object]]:
    """Returns a step of the CIFAR-10 recipe in bf16, channels-last."""
    net = build("resnet20").to(device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(IMAGES, 3, 32, 32, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (IMAGES,), device=device)

    def forward() -> torch.Tensor:
        return F.cross_entropy(net(images).float(), labels)

    return "ResNet-20 on CIFAR-10, channels-last", step("cifar10/resnet20", net, forward, device)


def neuraltalk(device: torch.device) -> tuple[str, Callable[[], object]]:
    """Returns a step of the Flickr-8K recipe in bf16."""
    net = build("neuraltalk", **SIZES, dropout=0.5).to(device)
    features, sentences = invented(CAPTIONS, SIZES)
    batch = torch.from_numpy(features).to(device), *padded(sentences, device)

    def forward() -> torch.Tensor:
        return loss(net, *batch, bf16=True)

    return "NeuralTalk on Flickr-8K", step("flickr8k/neuraltalk", net, forward, device)


def deepspeech(device: torch.device) -> tuple[str, Callable[[], object]]:
    """Returns a step of the AN4 recipe in bf16, with utterances as long as AN4's."""
    net = build("deepspeech", dropout=0.1).to(device)
    lengths = torch.randint(*FRAMES, (UTTERANCES,)).tolist()
    features = torch.randn(UTTERANCES, max(lengths), BINS, device=device)
    sizes = torch.randint(*SYMBOLS, (UTTERANCES,))
    symbols = torch.randint(1, 29, (int(sizes.sum()),), device=device)

    def forward() -> torch.Tensor:
        activations, frames = net(features, lengths)
        return costs(activations, symbols, frames, sizes.tolist()).mean()

    return "DeepSpeech on AN4", step("an4/deepspeech", net, forward, device)


def step(
    recipe: str, net: torch.nn.Module, forward: Callable[[], torch.Tensor], device: torch.device
) -> Callable[[], object]:
    """Returns a function that takes one training step with a recipe's optimizer."""
    given = load_recipe(ROOT / "recipes" / f"{recipe}.yaml")
    optimizer = make_optimizer(given.optimizer, net.parameters(), 1e-4)

    def take() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            value = forward()
        value.backward()
        optimizer.step()

    return take


STEPS = (resnet20, neuraltalk, deepspeech)


def case(
    make: Callable[[torch.device], tuple[str, Callable[[], object]]],
    rounds: int,
    device: torch.device,
) -> dict[str, Any]:
    """Compares one step with its products alone."""
    torch.manual_seed(0)
    name, take = make(device)
    take()  # the optimizer makes its state
    with Products() as products:
        take()
    ways = {"step": take, "products": products.replay, "step again": take}
    result = compare(ways, rounds, device)
    return {"case": f"{name}, bf16", "products": len(products.calls), "limit": 1.0, **result}


def main() -> None:
    chosen = options(__doc__ or "", "limits", rounds=10)
    write(
        "limits",
        (case(make, chosen.rounds, chosen.device) for make in STEPS),
        chosen.device,
        chosen.out,
    )


if __name__ == "__main__":
    main()
