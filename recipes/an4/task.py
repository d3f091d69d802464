"""AN4: spelled names, numbers and commands. Not in the paper; a corpus that anyone may use."""

from pathlib import Path

from data import an4
from data.an4 import LAYOUT, SOURCE, verify
from data.mini.an4 import write as miniature
from data.speech import SpeechSet
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

TERMS = (
    "AN4: licence unknown. Carnegie Mellon offers it to all, and its README names no licence "
    "(http://www.speech.cs.cmu.edu/databases/an4/README.html)."
)


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> SpeechTask:
    """Returns the task on a prepared AN4. It has no development set: hold training speakers out."""
    sets = Corpus(an4.load(corpus, "train"), None, _tests(corpus), public=True)
    return SpeechTask(settings, sets, seed, workers)


def tests_alone(settings: Settings, corpus: Path, workers: int) -> SpeechTask:
    """Returns the task on the test set alone, to score weights."""
    return SpeechTask(settings, Corpus(None, None, _tests(corpus), public=True), 0, workers)


def _tests(corpus: Path) -> dict[str, SpeechSet]:
    return {"test": an4.load(corpus, "test")}
