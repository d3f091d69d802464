"""The miniature corpora, each written once per test session, when a test first asks for it."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for <corpus>; each corpus's `miniature` writes it there unless it is there."""
    return tmp_path_factory.mktemp("miniatures")


@pytest.fixture
def runs(tmp_path: Path, miniatures: Path) -> Path:
    """A folder for `dsd run ... --runs`, which finds the miniatures that are there already."""
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "miniature").symlink_to(miniatures)
    return folder
