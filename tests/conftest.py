"""What the tests share: a suite of one's own in a temporary folder, and the command."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def own_suite(tmp_path: Path) -> Path:
    """A copy of tests/own_suite, a folder with recipes/ that is no checkout of this repository."""
    return Path(shutil.copytree(ROOT / "tests" / "own_suite", tmp_path / "suite"))


@pytest.fixture
def dsd() -> Command:
    """Runs `dsd WORDS...` as a user types it, in a folder, and returns what it did."""

    def run(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dsd", *words],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
        )

    return run
