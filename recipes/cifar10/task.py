"""CIFAR-10: the experiment of the paper's appendix."""

from pathlib import Path

from data import cifar10
from data.cifar10 import DOWNLOADS, LAYOUT, SOURCE, verify
from data.mini.cifar10 import write as miniature
from recipes.images import ImageTask, Settings, plain

__all__ = [
    "DOWNLOADS",
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
    "CIFAR-10: licence unknown. Its page names none and asks for a citation of Krizhevsky 2009 "
    "(https://www.cs.toronto.edu/~kriz/cifar.html)."
)


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> ImageTask:
    """Returns the task on CIFAR-10, official batches or class folders."""
    train, test = (cifar10.load(corpus, split) for split in ("train", "test"))
    return ImageTask(settings, train, test, seed, workers)


def tests_alone(settings: Settings, corpus: Path, workers: int) -> ImageTask:
    """Returns the task on the test set alone, to score weights."""
    return ImageTask(settings, None, cifar10.load(corpus, "test"), 0, workers)
