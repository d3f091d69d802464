"""ImageNet (ILSVRC 2012): the paper's tables 2 to 4 and its model zoo."""

from pathlib import Path

from data import imagenet
from data.imagenet import LAYOUT, SOURCE, verify
from data.mini.imagenet import write as miniature
from recipes.images import ImageTask, Settings, plain

__all__ = [
    "LAYOUT",
    "SOURCE",
    "TERMS",
    "Settings",
    "miniature",
    "plain",
    "task",
    "tests_alone",
    "verify",
]

TERMS = (
    "ImageNet: for non-commercial research and education, by its terms of access "
    "(https://image-net.org/download). Each image belongs to its author."
)


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> ImageTask:
    """Returns the task on an ImageNet folder tree; its test set is the validation set, as usual."""
    train, test = (imagenet.load(corpus, split) for split in ("train", "test"))
    return ImageTask(settings, train, test, seed, workers)


def tests_alone(settings: Settings, corpus: Path, workers: int) -> ImageTask:
    """Returns the task on the test set alone, to score weights."""
    return ImageTask(settings, None, imagenet.load(corpus, "test"), 0, workers)
