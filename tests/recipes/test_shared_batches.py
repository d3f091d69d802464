"""A batch shared by processes has the whole batch's gradient, in every network, in float64."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from dsd.pruning.sharded import whole
from dsd.suite.folder import Suite
from dsd.suite.recipe import validate
from dsd.suite.task import ALONE, Shard, Task
from dsd.training.batch_norm import synchronise
from dsd.training.sharding import shard as divide
from tests.dsd.spawning import spawn

SUITE = Suite(Path(__file__).parents[2])
SMALL = ("cifar10-resnet20", "an4-deepspeech", "librispeech-deepspeech2")


LARGE = ("imagenet-alexnet", "imagenet-vgg16")  # two processes need too much memory in float64
NEVER_SHORT = ("flickr8k-neuraltalk",)  # draws its batches, so no part of one is ever empty


class Nothing(Shard):
    """A part of no example, of a batch of any size."""

    def part(self, batch: Any) -> Any:
        return batch[:0]


def double(task: Task) -> nn.Module:
    """The network without dropout, as it begins."""
    torch.manual_seed(0)
    net = task.model().double().train()
    for module in net.modules():
        for name in ("p", "dropout", "_dropout"):
            if isinstance(vars(module).get(name), float):
                setattr(module, name, 0.0)
    net.register_forward_pre_hook(_widened)
    return net


def _widened(net: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Gives the network float64."""
    floats = [isinstance(one, Tensor) and one.is_floating_point() for one in given]
    return tuple(one.double() if wide else one for one, wide in zip(given, floats, strict=True))


def gradient(task: Task, net: nn.Module, shard: Shard, last: int) -> tuple[list[Tensor], int]:
    """The gradient of a process's part of the second epoch's last batch, weighted."""
    batch = next(iter(task.batches(1, last, shard)))
    loss = task.loss(net, batch)
    (loss.mean * loss.examples / task.batch_sizes(1)[last]).backward()
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters()]
    return found, loss.examples


def recipes(folder: Path, names: tuple[str, ...], miniatures: Path) -> None:
    for name in names:
        recipe = SUITE.recipe(name, "mini")
        module = SUITE.task_module(recipe.corpus)
        settings: Any = validate(module.Settings, recipe.task, name)
        task = module.task(settings, miniatures / recipe.corpus, seed=0, workers=0)
        last, rank = task.steps_per_epoch - 1, distributed.get_rank()
        size = task.batch_sizes(1)[last]
        expected, _ = gradient(task, double(task), ALONE, last)
        for way, shard in {
            "shared": Shard(rank, 2),
            "all and nothing": (ALONE, Nothing(0, 1))[rank],
            "sharded": Shard(rank, 2),
        }.items():
            if way == "all and nothing" and name in NEVER_SHORT:
                continue
            net = double(task)
            synchronise(net)
            if way == "sharded":
                divide(net, torch.device("cpu"))
            ours, examples = gradient(task, net, shard, last)
            assert examples == len(shard.part(range(size))), name
            for (layer, _), one, other in zip(net.named_parameters(), ours, expected, strict=True):
                if way == "sharded":
                    one = 2 * whole(one)  # the mean of both
                else:
                    distributed.all_reduce(one)
                worst = (one - other).abs().max() / other.abs().max().clamp_min(1e-300)
                assert worst < 1e-9, f"{name}, {way}: {layer} differs by {worst:.1e} of its largest"


def check(names: tuple[str, ...], tmp_path: Path, miniatures: Path) -> None:
    for corpus in {SUITE.recipe(name, "mini").corpus for name in names}:
        SUITE.task_module(corpus).miniature(miniatures / corpus)
    spawn(2, recipes, tmp_path, names, miniatures)


def test_small_networks(tmp_path, miniatures):
    check(SMALL, tmp_path, miniatures)


@pytest.mark.slow
def test_the_other_networks(tmp_path, miniatures):
    check(tuple(name for name in SUITE.recipes if name not in SMALL + LARGE), tmp_path, miniatures)
