"""Your own images: any tree of class folders, without code. Not in the paper."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from data import folders
from data.folders import LAYOUT, SOURCE, verify
from data.mini.folders import write as miniature
from dsd.errors import UserError
from recipes import images
from recipes.images import ImageTask, plain

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

TERMS = "Your own images: their terms are known to you alone; add them here before you publish."


class Settings(images.Settings):
    """`test_share`, `split_seed`: of a tree without test folder, see data/folders.py."""

    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: Annotated[int, Field(ge=0)] = 0


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> ImageTask:
    """Returns the task on a folder; val/ is watched where there is test/ too."""
    train, heldout, test = folders.load(corpus, settings.test_share, settings.split_seed)
    if heldout and settings.heldout:
        raise UserError(
            f"task.heldout: {heldout.name} is held out already; leave it at 0, or move the folder"
        )
    made = ImageTask(settings, train, test, seed, workers, heldout)
    made.corpus["own"] = True  # the user's data: no record of them is published
    return made


def tests_alone(settings: Settings, corpus: Path, workers: int) -> ImageTask:
    """Returns the task on the test set alone, to score weights."""
    test = folders.load_test(corpus, settings.test_share, settings.split_seed)
    return ImageTask(settings, None, test, 0, workers)
