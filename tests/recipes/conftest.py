"""The miniature corpora, shared by all test processes: who asks first writes one."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for <corpus>; each corpus's `miniature` writes it there unless it is there."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "miniatures"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def runs(tmp_path: Path, miniatures: Path) -> Path:
    """A folder for `dsd run ... --runs`, which finds the miniatures that are there already."""
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "miniature").symlink_to(miniatures)
    return folder
