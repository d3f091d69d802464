"""Squashed pictures that are kept: the same bits as without, whatever became of the file."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from data import imagenet
from data.images import ImageSet
from data.loader import Loader
from data.squashed import Squashed
from data.transforms import Caffe, preprocessing
from dsd.errors import UserError


@pytest.fixture
def images(mini):
    return imagenet.load(mini / "imagenet", "train").subset(np.arange(0, 320, 16), "imagenet/some")


@pytest.fixture
def decoded(monkeypatch):
    """The pictures that are decoded."""
    places: list[int] = []
    read = ImageSet.read
    monkeypatch.setattr(ImageSet, "read", lambda self, i: places.append(i) or read(self, i))
    return places


def loader(images, squashed=None, **options):
    caffe = preprocessing("caffe", crop=48, resize=64)
    options = {"batch_size": 8, "seed": 1, "train": True, "squashed": squashed, **options}
    return Loader(images, caffe, **options)


def same(some, others):
    for one, other in zip(some, others, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in other)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("train", [True, False])
def test_batches_are_those_of_the_files(images, tmp_path, train, workers):
    kept = loader(images, tmp_path, train=train, workers=workers)
    for epoch in (0, 1):
        same(kept.batches(epoch), loader(images, train=train).batches(epoch))


def test_each_picture_is_decoded_once(images, tmp_path, decoded):
    list(loader(images, tmp_path).batches(0))
    list(loader(images, tmp_path).batches(1))
    assert sorted(decoded) == list(range(20))


@pytest.mark.parametrize("damage", ["pixels", "sums", "cut off"])
def test_what_is_damaged_is_decoded_again(images, tmp_path, decoded, damage):
    first = Squashed(images, Caffe(resize=64), tmp_path)
    pictures = [first.read(i) for i in range(20)]
    (pixels,), (sums,) = tmp_path.glob("*.pixels"), tmp_path.glob("*.crc32")
    file = sums if damage == "sums" else pixels
    data = bytearray(file.read_bytes())
    if damage == "cut off":
        del data[len(data) // 2 :]
    else:
        data[3] ^= 1
    file.write_bytes(data)
    decoded.clear()
    again = Squashed(images, Caffe(resize=64), tmp_path)
    assert all(np.array_equal(again.read(i), pictures[i]) for i in range(20))
    assert decoded == (list(range(10, 20)) if damage == "cut off" else [0])


def test_another_picture_of_the_name_has_a_file_of_its_own(images, tmp_path, mini):
    root = tmp_path / "copy"
    shutil.copytree(images.root, root)
    moved = replace(images, root=root)
    Squashed(moved, Caffe(resize=64), tmp_path / "kept").read(0)
    os.utime(root / moved.files[0], ns=(1, 1))
    Squashed(moved, Caffe(resize=64), tmp_path / "kept").read(0)
    assert len(list((tmp_path / "kept").glob("*.pixels"))) == 2


def test_a_folder_that_cannot_be_is_one_line(images, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="point SQUASHED elsewhere"):
        Squashed(images, Caffe(resize=64), tmp_path / "file")
