"""A suite of one's own, outside this repository: two classes of points, a small network."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from dsd.suite.task import Batch, Loss, Shard

LAYOUT = "points.txt"
SOURCE = "drawn, not downloaded"
BATCH = 16
SIZES = {"train": 128, "heldout": 64, "test": 64}


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int
    dropout: float = 0.2
    explode_at: int | None = None  # a step whose loss is NaN


def miniature(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def verify(folder: Path) -> list[str]:
    return [f"{SIZES['train']} points"]


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> "Points":
    return Points(settings, seed)


class Points:
    metric = "error_pct"
    lower_is_better = True
    choose_by = "error_pct"
    unit = "points"
    heldout = "heldout"
    tests = ("test",)
    steps_per_epoch = SIZES["train"] // BATCH

    def __init__(self, settings: Settings, seed: int) -> None:
        self._settings, self._seed = settings, seed
        self.skipped: list[str] = []
        self.assets = {"classes": ["apart", "together"]}
        self.corpus = {"name": "points", "fingerprint": "1", "notes": ["drawn points"]}
        self._points = {}
        for number, (split, size) in enumerate(SIZES.items()):
            x = torch.randn(size, 4, generator=torch.Generator().manual_seed(number))
            self._points[split] = x, (x[:, 0] * x[:, 1] > 0).long()

    def model(self, weights: str | None = None) -> nn.Module:
        width, dropout = self._settings.width, self._settings.dropout
        hidden = [nn.Linear(4, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width)]
        return nn.Sequential(*hidden, nn.ReLU(), nn.Linear(width, 2))

    def batches(self, epoch: int, first_step: int, shard: Shard) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(1000 * self._seed + epoch)
        order = torch.randperm(SIZES["train"], generator=generator)
        for step in range(first_step, self.steps_per_epoch):
            index = shard.part(order[step * BATCH : (step + 1) * BATCH])
            explode = epoch * self.steps_per_epoch + step + 1 == self._settings.explode_at
            yield {**self._take("train", index), "explode": explode}

    def batch_sizes(self, epoch: int) -> list[int]:
        return [BATCH] * self.steps_per_epoch

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        outputs = model(batch["x"])
        mean = F.cross_entropy(outputs, batch["y"]) * (float("nan") if batch["explode"] else 1)
        wrong = (outputs.argmax(1) != batch["y"]).sum()
        return Loss(mean, len(batch["y"]), {"error_pct": 100 * wrong})

    def eval_batches(self, split: str, shard: Shard) -> Iterator[Batch]:
        yield self._take(split, shard.part(torch.arange(SIZES[split])))

    def predict(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        wrong = model(batch["x"]).argmax(1) != batch["y"]
        return {"index": batch["index"], "wrong": wrong}

    def metrics(self, split: str, results: Mapping[str, Any]) -> dict[str, float]:
        return {"error_pct": 100 * float(np.mean(results["wrong"]))}

    def _take(self, split: str, index: Tensor) -> dict[str, Any]:
        x, y = self._points[split]
        return {"x": x[index], "y": y[index], "index": index}
