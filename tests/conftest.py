"""What the tests share: a suite of one's own in a folder, the command, corpora of noise."""

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from data.prepare import Source, prepare
from data.speech import SpeechSet, read_manifest
from tests.forked import READ_AT_IMPORT, Forked

ROOT = Path(__file__).parents[1]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dsd remembers the suites that it has said a word about: not in the tester's home."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["XDG_STATE_HOME"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def freeze_imports() -> None:
    """Accelerate collects garbage at each phase: to search torch takes longer than to train."""
    import torch._dynamo  # noqa: F401  (torch's optimizers import it)

    gc.freeze()


@pytest.fixture
def own_suite(tmp_path: Path, state_home: Path) -> Path:
    """A copy of tests/own_suite, a folder with recipes/ that is no checkout of this repository.

    It is no news to dsd: the line that its code runs was said before.
    """
    _is_known(state_home, tmp_path / "suite")
    return Path(shutil.copytree(ROOT / "tests" / "own_suite", tmp_path / "suite"))


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """Runs commands without importing torch each time."""
    server = Forked()
    yield server
    server.stop()


@pytest.fixture
def dsd(state_home: Path, forked: Forked) -> Command:
    """Runs `dsd WORDS...` as a user types it, in a folder, and returns what it did."""

    def run(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
        _is_known(state_home, cwd)
        whole = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment}
        if not any(name.startswith(READ_AT_IMPORT) for name in environment):
            return forked.run([*words], cwd, whole)
        return subprocess.run(
            [sys.executable, "-m", "dsd", *words],
            cwd=cwd,
            env=whole,
            capture_output=True,
            text=True,
        )

    return run


def _is_known(state_home: Path, suite: Path) -> None:
    known = state_home / "dsd" / "suites"
    known.parent.mkdir(exist_ok=True)
    with known.open("a") as file:
        file.write(f"{suite}\n")


def noise(place: int, samples: int) -> np.ndarray:
    return np.random.default_rng(place).integers(-9000, 9000, samples).astype(np.int16)


@pytest.fixture(scope="session")
def speech_set() -> Callable[..., SpeechSet]:
    """Prepares utterances u0, u1, ... of noise, so many samples long, as AN4's training set."""

    def make(root: Path, samples: Sequence[int], texts: Sequence[str] = ()) -> SpeechSet:
        sources = [
            Source(f"u{i}", f"speaker{i % 4}", text, partial(noise, i, length))
            for i, (length, text) in enumerate(
                zip(samples, texts or ["go on"] * len(samples), strict=True)
            )
        ]
        prepare("an4", {"train": sources}, root)
        return read_manifest(root, "an4", "train")

    return make
