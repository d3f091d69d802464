"""Your own images with captions: NeuralTalk, without code. Not in the paper."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from data import captioned
from data.captioned import LAYOUT, SOURCE, image_files, verify
from data.mini import captioned as mini
from dsd.errors import UserError
from recipes import captioning
from recipes.captioning import CaptionTask, plain
from recipes.image_features import extract

__all__ = [
    "LAYOUT",
    "SOURCE",
    "TERMS",
    "Settings",
    "image_files",
    "miniature",
    "plain",
    "task",
    "tests_alone",
    "verify",
]

TERMS = (
    "Your own images and captions: their terms are known to you alone; add them before you publish."
)


class Settings(captioning.Settings):
    """`split_seed`: of a corpus without splits of its own, see data/captioned.py."""

    split_seed: Annotated[int, Field(ge=0)] = 0


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> CaptionTask:
    """Returns the task on a folder with captions and features.

    Raises UserError where no word is frequent enough for the vocabulary.
    """
    sets = captioned.load(corpus, settings.split_seed)
    images = [image for split in sets.values() for image in split.images]
    features = captioned.load_features(corpus, settings.features, images)
    made = CaptionTask(settings, sets, features, seed)
    if made.corpus["vocabulary"] < 2:
        raise UserError(
            f"task.threshold: no word is in {settings.threshold} training captions; lower it"
        )
    made.corpus["own"] = True  # the user's data: no record of them is published
    return made


def tests_alone(settings: Settings, corpus: Path, workers: int) -> CaptionTask:
    """Returns the task on the test images alone, to score weights; the words are of training."""
    sets = captioned.load(corpus, settings.split_seed)
    test = sets["test"]
    features = captioned.load_features(corpus, settings.features, test.images)
    return CaptionTask(settings, {"test": test}, features, 0, words_of=sets["train"])


def miniature(folder: Path) -> None:
    """Writes the miniature corpus and its images' features, if they are not there yet."""
    mini.write(folder, complete=lambda root: extract(root, image_files(root), "efficientnet_lite0"))
