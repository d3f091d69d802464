"""LibriSpeech: read books, 960 hours that anyone may use. Not in the paper."""

from pathlib import Path

from data import librispeech
from data.librispeech import LAYOUT, SOURCE, verify
from data.mini.librispeech import write as miniature
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

TERMS = "LibriSpeech: CC BY 4.0 (https://www.openslr.org/12)."


def task(settings: Settings, corpus: Path, seed: int, workers: int) -> SpeechTask:
    """Returns the task on a prepared LibriSpeech: dev_clean is watched, both tests are scored."""
    sets = Corpus(
        librispeech.load(corpus, "train"),
        heldout=("dev_clean", librispeech.load(corpus, "dev_clean")),
        tests=_tests(corpus),
        public=True,
    )
    return SpeechTask(settings, sets, seed, workers)


def tests_alone(settings: Settings, corpus: Path, workers: int) -> SpeechTask:
    """Returns the task on both test sets alone, to score weights."""
    return SpeechTask(settings, Corpus(None, None, _tests(corpus), public=True), 0, workers)


def _tests(corpus: Path) -> dict[str, SpeechSet]:
    return {split: librispeech.load(corpus, split) for split in ("test_clean", "test_other")}
