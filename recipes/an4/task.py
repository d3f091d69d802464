"""AN4: spelled names, numbers and commands. Not in the paper; a corpus that anyone may use."""

from pathlib import Path

from data import an4
from data.an4 import LAYOUT, SOURCE, verify
from data.mini.an4 import write as miniature
from recipes.speech import Corpus, Settings, SpeechTask, plain

__all__ = ["LAYOUT", "SOURCE", "TERMS", "Settings", "miniature", "plain", "task", "verify"]

TERMS = (
    "AN4: licence unknown. Carnegie Mellon offers it to all, and its README names no licence "
    "(http://www.speech.cs.cmu.edu/databases/an4/README.html)."
)


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> SpeechTask:
    """Returns the task on a prepared AN4. It has no development set: hold training speakers out."""
    train, test = (an4.load(corpus, split) for split in ("train", "test"))
    sets = Corpus(train, heldout=None, tests={"test": test}, public=True)
    return SpeechTask(settings, sets, seed, workers)
