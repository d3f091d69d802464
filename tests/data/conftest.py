"""The miniature corpora, written once per test session; tests that change one copy it."""

from pathlib import Path

import pytest

from data.mini import cifar10, flickr8k, imagenet, imagenette


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini")
    imagenet.write(folder / "imagenet")
    imagenette.write(folder / "imagenette")
    cifar10.write(folder / "cifar10")
    flickr8k.write(folder / "flickr8k")
    return folder
