"""Imagenette: ten ImageNet classes, small enough for a workstation."""

from pathlib import Path

from data import imagenette
from data.imagenette import DOWNLOADS, LAYOUT, SOURCE, verify
from data.mini.imagenette import write as miniature
from recipes import images
from recipes.images import ImageTask, plain

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
    "Imagenette: its images are ImageNet's, under the same terms "
    "(https://github.com/fastai/imagenette/issues/23): non-commercial research and education "
    "(https://image-net.org/download)."
)


class Settings(images.Settings):
    """`unseen_test`: test on images that no ImageNet network has seen, see data/imagenette.py."""

    unseen_test: bool = False


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> ImageTask:
    """Returns the task on an Imagenette folder of any image size."""
    train, test = (
        imagenette.load(corpus, split, unseen=settings.unseen_test) for split in ("train", "test")
    )
    return ImageTask(settings, train, test, seed, workers)


def tests_alone(settings: Settings, corpus: Path, workers: int) -> ImageTask:
    """Returns the task on the test set alone, to score weights."""
    return ImageTask(
        settings, None, imagenette.load(corpus, "test", unseen=settings.unseen_test), 0, workers
    )
