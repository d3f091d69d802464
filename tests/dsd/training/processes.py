"""Runs that several processes share: a task in float64."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import BaseModel
from rich.console import Console
from torch import Tensor, nn

from dsd.runs.provenance import provenance
from dsd.suite.recipe import Recipe
from dsd.suite.task import Loss, Shard
from dsd.training.device import Options, make_accelerator
from dsd.training.progress import Reporter
from dsd.training.run import Run
from dsd.training.stop import Stop

SIZES = {"train": 26, "heldout": 5, "test": 3}  # 7, 7, 7, 5; fewer in a split than processes
PHASES = {
    "dense": {"epochs": 2, "lr": 0.1},
    "sparse": {"epochs": 2, "lr": 0.1, "sparsity": 0.5},
    "redense": {"epochs": 1, "lr": 0.01},
}
ARMS = {"dsd": {"source": "ours", "phases": ["dense", "sparse", "redense"]}}


class Settings(BaseModel):
    """The pictures have none."""


class Pictures:
    """Small images in float64, and a network without dropout."""

    metric, lower_is_better, choose_by, unit = "loss", True, "loss", "images"
    heldout, tests, batch = "heldout", ("test",), 7
    skipped: tuple[str, ...] = ()
    assets: dict[str, str] = {}  # noqa: RUF012
    corpus = {"name": "pictures", "fingerprint": "1"}  # noqa: RUF012
    steps_per_epoch = -(-SIZES["train"] // batch)

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        self._build = build
        draws = torch.Generator().manual_seed(0)
        self._sets = {
            split: (
                torch.randn(size, 3, 6, 6, generator=draws, dtype=torch.float64),
                torch.randint(4, (size,), generator=draws),
            )
            for split, size in SIZES.items()
        }

    def model(self, weights: str | None = None) -> nn.Module:
        return self._build().double()

    def _batches(self, epoch: int) -> list[Tensor]:
        draws = torch.Generator().manual_seed(epoch)
        return list(torch.randperm(SIZES["train"], generator=draws).split(self.batch))

    def batches(self, epoch: int, first_step: int, shard: Shard) -> Any:
        for index in self._batches(epoch)[first_step:]:
            yield self._take("train", shard.part(index))

    def batch_sizes(self, epoch: int) -> list[int]:
        return [len(index) for index in self._batches(epoch)]

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Loss:
        logits = model(batch["x"])
        total, count = F.cross_entropy(logits, batch["y"], reduction="sum"), len(batch["y"])
        wrong = (logits.argmax(1) != batch["y"]).sum()
        return Loss(total / max(count, 1), count, {"error_pct": 100 * wrong})

    def eval_batches(self, split: str, shard: Shard) -> Any:
        for index in torch.arange(SIZES[split]).split(4):
            yield self._take(split, shard.part(index))

    def predict(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        losses = F.cross_entropy(model(batch["x"]), batch["y"], reduction="none")
        return {"index": batch["index"], "loss": losses}

    def metrics(self, split: str, results: Mapping[str, Any]) -> dict[str, float]:
        return {"loss": float(results["loss"].astype("float64").mean())}

    def _take(self, split: str, index: Tensor) -> dict[str, Tensor]:
        x, y = self._sets[split]
        return {"x": x[index], "y": y[index], "index": index}


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 9), nn.ReLU(), nn.Linear(9, 4)
    )


def with_batch_norm() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.ReLU()),
        *(nn.Conv2d(5, 6, 3, bias=False), nn.BatchNorm2d(6, momentum=None), nn.Flatten()),
        *(nn.Linear(24, 9), nn.BatchNorm1d(9, affine=False), nn.ReLU(), nn.Linear(9, 4)),
    )


NETWORKS = {"plain": plain, "with_batch_norm": with_batch_norm}


def pictures_run(network: str, folder: Path, stop: Stop | None = None, **options: Any) -> Run:
    """Returns a run of the pictures in this process, one of several or alone."""
    optimizer = {"name": "sgd", "momentum": 0.9, "weight_decay": 1e-3}
    recipe = Recipe.model_validate(
        {"name": network, "title": network, "corpus": "pictures", "optimizer": optimizer}
        | {"task": {}, "phases": PHASES, "arms": ARMS, "clip_norm": 3.0}
        | {"carry_over": "best_heldout" if network == "with_batch_norm" else "last"}
    )
    accelerator = make_accelerator("cpu")
    return Run(
        recipe=recipe,
        usual=recipe,
        overrides=(),
        seed=0,
        task=Pictures(NETWORKS[network]),
        task_settings=Settings,
        accelerator=accelerator,
        options=Options(**options),
        runs=folder,
        records=folder,
        checkpoint_every_s=float("inf"),
        provenance={
            **provenance(torch.device("cpu"), folder),
            "processes": accelerator.num_processes,
        },
        stop=stop or Stop(),
        reporter=Reporter(Console(quiet=True)),
    )
