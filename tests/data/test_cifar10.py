"""CIFAR-10's decoded pixels are kept beside the folder, and never those of other images."""

import numpy as np
import pytest
from PIL import Image

from data import cifar10
from data.cifar10 import CLASSES


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "test" / name).mkdir(parents=True)
        for i in range(2):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "test" / name / f"{i}.png")
    return tmp_path


@pytest.fixture
def decoded(monkeypatch):
    """The files that are decoded."""
    files = []
    original = cifar10.read_image
    monkeypatch.setattr(cifar10, "read_image", lambda path: files.append(path) or original(path))
    return files


def test_images_are_decoded_once(folder, decoded):
    first, second = cifar10.load(folder, "test"), cifar10.load(folder, "test")
    assert len(decoded) == 20
    assert np.array_equal(first.pixels, second.pixels)
    assert first.fingerprint() == second.fingerprint()


@pytest.mark.parametrize("change", ["another", "one more", "one less", "damage", "no archive"])
def test_what_changed_is_decoded_again(folder, decoded, change):
    before = cifar10.load(folder, "test")
    image, kept = folder / "test" / "cat" / "0.png", folder / ".test.pixels.npz"
    if change == "another":
        Image.new("RGB", (32, 32)).save(image)
    elif change == "one more":
        Image.new("RGB", (32, 32)).save(image.with_name("9.png"))
    elif change == "one less":
        image.unlink()
    elif change == "damage":
        data = bytearray(kept.read_bytes())
        data[len(data) // 2] ^= 1
        kept.write_bytes(data)
    else:
        kept.write_bytes(b"no archive")
    after = cifar10.load(folder, "test")
    assert len(decoded) == 20 + len(after)
    same = change in ("damage", "no archive")
    assert (after.fingerprint() == before.fingerprint()) is same


def test_a_folder_that_cannot_be_written_is_read_all_the_same(folder, decoded, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cifar10, "whole_file", full)
    cifar10.load(folder, "test")
    cifar10.load(folder, "test")
    assert len(decoded) == 40
