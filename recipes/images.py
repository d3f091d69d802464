"""Image classification: what ImageNet, Imagenette and CIFAR-10 share."""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from data.images import ImageSet, hold_out
from data.loader import Loader
from data.transforms import preprocessing
from dsd.errors import UserError
from dsd.suite.task import Batch, Loss, Plain, Shard
from models import build
from models.weights import TORCHVISION, load_weights, resolve, trained_with

Count = Annotated[int, Field(ge=0)]
CIFAR_SIDE = 32  # pixels; its preprocessing keeps the size
START_TERMS = {  # of weights to start from, by how their names begin
    "torchvision:": "may have terms of their own, derived from the data they were trained on, "
    "here ImageNet (torchvision's README, Pre-trained Model License)",
    "squeezenet_v1.": "from github.com/forresti/SqueezeNet, whose LICENSE is a BSD licence of two "
    "clauses; trained on ImageNet",
}


class Settings(BaseModel):
    """The `task:` section of an image recipe. Sizes are in pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str
    preprocessing: str  # a name of data/transforms.py
    resize: Annotated[int, Field(gt=0)] | None = None
    crop: Annotated[int, Field(gt=0)] | None = None
    batch_size: Annotated[int, Field(gt=0)]
    heldout: Count = 0  # training images held out for curves and tuning, the same for every seed
    weights: Annotated[str, Field(min_length=1)] | None = (
        None  # to start from: torchvision:NAME, or a file in the folder WEIGHTS
    )
    aux_weight: float = 0.3  # of each auxiliary head's loss (GoogLeNet)
    skip_corrupt: bool = False  # leave unreadable images out, count and record them


class ImageTask:
    """Cross-entropy training, top-1 and top-5 error in percent on a single centre crop."""

    metric = "top1_error_pct"
    lower_is_better = True
    choose_by = "top1_error_pct"
    unit = "images"
    tests: tuple[str, ...] = ("test",)

    def __init__(
        self,
        settings: Settings,
        train: ImageSet | None,
        test: ImageSet,
        seed: int,
        workers: int,
        heldout: ImageSet | None = None,
    ) -> None:
        """Takes the test set alone (train: None) to score weights.

        heldout: the corpus's own, where the settings hold no training images out.
        """
        self._settings = settings
        self._classes = len(test.classes)
        sets = {"train": train, "test": test} if train else {"test": test}
        if train and settings.heldout:
            sets["train"], sets["heldout"] = hold_out(train, settings.heldout)
        elif heldout:
            sets["heldout"] = heldout
        prepare = preprocessing(settings.preprocessing, settings.crop, settings.resize)
        self._colours = prepare.colours
        squashed = os.environ.get("SQUASHED")
        self._loaders = {
            split: Loader(
                images,
                prepare,
                batch_size=settings.batch_size,
                seed=seed,
                train=split == "train",
                workers=workers,
                skip_corrupt=settings.skip_corrupt,
                squashed=Path(squashed) if squashed else None,
            )
            for split, images in sets.items()
        }
        self.heldout = "heldout" if "heldout" in sets else None
        self.assets = {"classes": list(test.classes)}
        self.steps_per_epoch = self._loaders["train"].steps if train else 0
        self.corpus: dict[str, Any] = {
            "name": test.name.partition("/")[0],
            "fingerprint": {split: images.fingerprint() for split, images in sets.items()},
            "images": {split: len(images) for split, images in sets.items()},
            "classes": self._classes,
            "notes": list(dict.fromkeys(note for each in sets.values() for note in each.notes)),
        }
        if settings.weights:
            self.corpus["weights"] = resolve(_located(settings.weights))

    @property
    def skipped(self) -> list[str]:
        """Returns the names of the unreadable images found so far."""
        return sorted({name for loader in self._loaders.values() for name in loader.skipped})

    def model(self, weights: str | None = None) -> nn.Module:
        """Returns the network, initialised, with the recipe's weights, or with these instead."""
        network = self._settings.network
        net = build(network, num_classes=self._classes)
        source = weights or (self._settings.weights and _located(self._settings.weights))
        if source:
            self._check_preprocessing(source)
            load_weights(net, source, network=network, fresh_head=not weights)
        return net

    def _check_preprocessing(self, source: str) -> None:
        """Raises UserError where Caffe's pixels (BGR, 0..255) would meet others' weights."""
        given, expected = self._settings.preprocessing, trained_with(source)
        if expected and given != expected and "caffe" in (given, expected):
            raise UserError(
                f"{source}: trained with preprocessing {expected}, the recipe has {given}; "
                f"add task.preprocessing={expected}"
            )

    def batches(self, epoch: int, first_step: int, shard: Shard) -> Iterator[Batch]:
        """Yields one epoch's augmented training batches from `first_step` on.

        Raises UserError when a process would have no image of a full batch, for a batch of one
        where the network needs two, and for a size that the network cannot take.
        """
        shard.check(self._settings.batch_size, self.unit)
        self._check_sizes()
        return self._loaders["train"].batches(epoch, first_step, shard)

    def batch_sizes(self, epoch: int) -> list[int]:
        """Returns how many images each training batch has, all processes together."""
        return self._loaders["train"].sizes(epoch)

    def _check_sizes(self) -> None:
        """Raises UserError for pixels or batches that the network cannot be trained on.

        BatchNorm cannot normalise one value: maps of 1 x 1 pixels of one image.
        """
        network, batch_size = self._settings.network, self._settings.batch_size
        if fault := self._fault(2):
            raise UserError(f"task.crop: {network} cannot be trained at this size ({fault})")
        images = len(self._loaders["train"].images)
        smallest = min(images, images % batch_size or batch_size)
        if smallest < 2 and self._fault(1):
            raise UserError(
                f"task.batch_size: {batch_size} images and {images} in all leave a batch of one "
                f"image, and {network} needs two at this size (BatchNorm); change "
                "task.batch_size, task.crop or task.heldout"
            )

    @cache  # noqa: B019, a task lives as long as its process
    def _fault(self, images: int) -> str:
        """Returns what is wrong with a training pass over so many images; "" for nothing.

        The pass has shapes alone, and changes no draw of the training.
        """
        side = getattr(self._loaders["train"].preprocessing, "crop", CIFAR_SIDE)
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            net = build(self._settings.network, num_classes=self._classes).train()
            try:
                net(torch.empty(images, 3, side, side))
            except (ValueError, RuntimeError) as error:
                return str(error).partition("\n")[0]
        return ""

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Returns the batch's cross-entropy and its wrong answers; heads' losses are added in."""
        labels = batch["labels"]
        outputs = model(self._floats(batch))
        logits, *heads = outputs if isinstance(outputs, tuple) else (outputs,)
        total = F.cross_entropy(logits, labels, reduction="sum")
        for head in heads:
            total = total + self._settings.aux_weight * F.cross_entropy(
                head, labels, reduction="sum"
            )
        mean = total / max(len(labels), 1)  # a process may have no part in a short last batch
        wrong = (logits.detach().argmax(1) != labels).sum()
        return Loss(mean, len(labels), {"top1_error_pct": 100 * wrong})

    def eval_batches(self, split: str, shard: Shard) -> Iterator[Batch]:
        """Yields the split's images, centre-cropped, in order."""
        return self._loaders[split].batches(0, 0, shard)

    def predict(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Returns for each image: index, label, prediction, the label's rank (0 = top), loss."""
        labels = batch["labels"]
        logits = model(self._floats(batch)).float()
        own = logits.gather(1, labels[:, None])
        earlier = torch.arange(logits.shape[1], device=labels.device) < labels[:, None]
        ahead = (logits > own) | ((logits == own) & earlier)  # ties as argmax decides them
        return {
            "index": batch["index"],
            "label": labels,
            "prediction": logits.argmax(1),
            "rank": ahead.sum(1),
            "loss": F.cross_entropy(logits, labels, reduction="none"),
        }

    def _floats(self, batch: Batch) -> Tensor:
        """Returns the network's input, made where the batch is."""
        return self._colours(batch["images"], batch.get("drawn"))

    def metrics(self, split: str, results: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Returns the mean loss and the errors in percent; top-5 with more than ten classes."""
        found = {
            "loss": float(np.mean(results["loss"])),
            "top1_error_pct": 100 * float(np.mean(results["prediction"] != results["label"])),
        }
        if self._classes > 10:
            found["top5_error_pct"] = 100 * float(np.mean(results["rank"] >= 5))
        return found


def plain(settings: Settings, assets: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Plain:
    """Returns a checkpoint's network; torchvision's are built by torchvision alone."""
    name, classes = settings.network, len(assets["classes"])
    prepare = preprocessing(settings.preprocessing, settings.crop, settings.resize)
    side = getattr(prepare, "crop", CIFAR_SIDE)
    load = f"from models import build\n\nnet = build({name!r}, num_classes={classes})"
    if name in TORCHVISION:
        call = f"torchvision.models.{TORCHVISION[name]}(num_classes={classes})"
        load = f"import torchvision\n\nnet = {call}"
    return Plain(
        build(name, num_classes=classes),
        (torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)),),
        load,
        f"`net(images)`: images (B, 3, {side}, {side}), prepared as `{settings.preprocessing}` of "
        f"`data/transforms.py` does for evaluation, give logits (B, {classes}); `config.json` has "
        "the classes in their order.",
        {
            "library_name": "torchvision" if name in TORCHVISION else "pytorch",
            "pipeline_tag": "image-classification",
            "metrics": ["accuracy"],
        },
        _start_terms(settings.weights),
    )


def _start_terms(weights: str | None) -> tuple[str, ...]:
    """Returns what is known of the licence of a recipe's starting weights."""
    if not weights:
        return ()
    known = (terms for name, terms in START_TERMS.items() if weights.startswith(name))
    return (f"Starting weights, {weights}: {next(known, 'unknown')}.",)


def _located(weights: str) -> str:
    """Returns where a recipe's weights are: a file name is looked up in the folder WEIGHTS."""
    if weights.startswith("torchvision:"):
        return weights
    return str(Path(os.environ.get("WEIGHTS", "")) / weights)
