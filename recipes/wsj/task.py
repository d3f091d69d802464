"""The Wall Street Journal: the experiments of the paper's tables 7 and 9."""

from pathlib import Path

from data import wsj
from data.images import is_miniature
from data.mini.wsj import write as miniature
from data.speech import SpeechSet
from data.wsj import LAYOUT, SOURCE, verify
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
    "WSJ: sold by the LDC under its licence (https://catalog.ldc.upenn.edu/LDC93S6A). Whether that "
    "lets you pass on weights trained on it: unknown; read your agreement first."
)


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> SpeechTask:
    """Returns the task on a prepared WSJ: dev93 is watched, eval92 and eval93 are the tests."""
    sets = Corpus(
        wsj.load(corpus, "train_si284"),
        heldout=("dev93", wsj.load(corpus, "dev93")),
        tests=_tests(corpus),
        public=is_miniature(corpus),
    )
    return SpeechTask(settings, sets, seed, workers)


def tests_alone(settings: Settings, corpus: Path, workers: int) -> SpeechTask:
    """Returns the task on both test sets alone, to score weights."""
    sets = Corpus(None, None, _tests(corpus), public=is_miniature(corpus))
    return SpeechTask(settings, sets, 0, workers)


def _tests(corpus: Path) -> dict[str, SpeechSet]:
    return {split: wsj.load(corpus, split) for split in ("eval92", "eval93")}
