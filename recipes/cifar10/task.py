"""CIFAR-10: the experiment of the paper's appendix."""

from pathlib import Path

from data import cifar10
from data.cifar10 import DOWNLOADS, LAYOUT, SOURCE, verify
from data.mini.cifar10 import write as miniature
from recipes.images import ImageTask, Settings

__all__ = ["DOWNLOADS", "LAYOUT", "SOURCE", "Settings", "miniature", "task", "verify"]


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> ImageTask:
    """Returns the task on CIFAR-10, official batches or class folders."""
    train, test = (cifar10.load(corpus, split) for split in ("train", "test"))
    return ImageTask(settings, train, test, seed, workers)
