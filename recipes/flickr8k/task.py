"""Flickr-8K: NeuralTalk captions photographs, the experiment of the paper's table 5."""

from pathlib import Path

from data import flickr8k
from data.flickr8k import LAYOUT, SOURCE, image_files, verify
from data.mini import flickr8k as mini
from recipes.captioning import CaptionTask, Settings, plain
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
    "Flickr-8K: handed out on request, for research (https://forms.illinois.edu/sec/1713398); the "
    "photographs belong to their authors on Flickr. What else applies: unknown."
)


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> CaptionTask:
    """Returns the task on a Flickr-8K folder with features."""
    sets = {split: flickr8k.load(corpus, split) for split in ("train", "val", "test")}
    images = [image for split in sets.values() for image in split.images]
    features = flickr8k.load_features(corpus, settings.features, images)
    return CaptionTask(settings, sets, features, seed)


def tests_alone(settings: Settings, corpus: Path, workers: int) -> CaptionTask:
    """Returns the task on the test images alone, to score weights; the words are of training."""
    test, train = (flickr8k.load(corpus, split) for split in ("test", "train"))
    features = flickr8k.load_features(corpus, settings.features, test.images)
    return CaptionTask(settings, {"test": test}, features, 0, words_of=train)


def miniature(folder: Path) -> None:
    """Writes the miniature corpus and its images' features, if they are not there yet."""
    mini.write(folder, complete=lambda root: extract(root, image_files(root), "efficientnet_lite0"))
