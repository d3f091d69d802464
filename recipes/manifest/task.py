"""Your own speech: manifests with NeMo's keys, without code. Not in the paper."""

from pathlib import Path

from data import manifest
from data.manifest import LAYOUT, SOURCE, verify
from data.mini.manifest import write as miniature
from dsd.errors import UserError
from recipes.speech import Corpus, Settings, SpeechTask, plain

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

TERMS = "Your own speech: its terms are known to you alone; add them here before you publish."


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> SpeechTask:
    """Returns the task on a prepared folder; dev, where there is one, is watched."""
    sets = {split: manifest.load(corpus, split) for split in manifest.splits(corpus)}
    if "dev" in sets and settings.heldout_speakers:
        raise UserError("task.heldout_speakers: dev.jsonl is held out already; leave it at 0")
    heldout = ("dev", sets["dev"]) if "dev" in sets else None
    parts = Corpus(sets["train"], heldout, {"test": sets["test"]}, public=True)
    made = SpeechTask(settings, parts, seed, workers)
    made.corpus["own"] = True  # the user's data: no record of them is published
    return made


def tests_alone(settings: Settings, corpus: Path, workers: int) -> SpeechTask:
    """Returns the task on the test set alone, to score weights."""
    tests = {"test": manifest.load(corpus, "test")}
    return SpeechTask(settings, Corpus(None, None, tests, public=True), 0, workers)
