import hashlib
import os

import numpy as np
import pytest

from data import cifar10
from data.mini import cifar10 as mini_cifar10
from data.mini import imagenet as mini_imagenet
from data.mini import images as mini_images
from data.mini.images import render
from dsd.errors import UserError


def digest(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.md5(path.read_bytes()).digest() for path in files}


@pytest.mark.parametrize("corpus", [mini_imagenet, mini_cifar10])
def test_writing_again_gives_the_same_bytes_elsewhere_and_does_nothing_here(corpus, mini, tmp_path):
    name = corpus.__name__.rpartition(".")[2]
    corpus.write(tmp_path / "deep" / name)
    assert digest(tmp_path / "deep" / name) == digest(mini / name)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "deep").rglob("*")}
    corpus.write(tmp_path / "deep" / name)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "deep").rglob("*")}
    assert os.listdir(tmp_path / "deep") == [name]


def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch):
    def stop(self, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(mini_images, "render", stop)
    with pytest.raises(KeyboardInterrupt):
        mini_imagenet.write(tmp_path / "imagenet")
    assert os.listdir(tmp_path) == []


def test_another_folder_is_left_alone(tmp_path):
    (tmp_path / "imagenet").mkdir()
    mini_imagenet.write(tmp_path / "imagenet")  # empty: taken
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("all of it")
    with pytest.raises(UserError, match="mine: holds something else"):
        mini_imagenet.write(tmp_path / "mine")
    assert digest(tmp_path / "mine").keys() == {"thesis.txt"}
    (tmp_path / "imagenet/MINIATURE").write_text("0")
    with pytest.raises(UserError, match="imagenet: holds something else"):
        mini_imagenet.write(tmp_path / "imagenet")


def test_slower_of_two_writers_gives_way(tmp_path):
    root = tmp_path / "x"
    with mini_images.new_folder(root) as slow:
        (slow / "who").write_text("slow")
        with mini_images.new_folder(root) as fast:
            (fast / "who").write_text("fast")
    assert (root / "who").read_text() == "fast"
    assert os.listdir(tmp_path) == ["x"]


def test_train_and_test_images_differ(mini):
    train, test = (cifar10.load(mini / "cifar10", split) for split in ("train", "test"))
    seen = {image.tobytes() for image in train.pixels}
    assert len(seen) == 1000
    assert not seen & {image.tobytes() for image in test.pixels}


def test_classes_can_be_learned_but_not_at_a_glance(mini):
    """The nearest class mean in pixels, the simplest learner, errs less than chance and a lot."""
    train, test = (cifar10.load(mini / "cifar10", split) for split in ("train", "test"))
    flat = train.pixels.reshape(len(train), -1).astype(np.float32)
    means = np.stack([flat[train.labels == label].mean(0) for label in range(10)])
    flat = test.pixels.reshape(len(test), -1).astype(np.float32)
    nearest = ((flat[:, None] - means) ** 2).sum(2).argmin(1)
    error = 100 * (nearest != test.labels).mean()
    assert 30 < error < 80


def test_every_shape_shows(mini):
    for label in range(10):
        image = render(label, 64, 48, np.random.default_rng(label))
        assert image.shape == (48, 64, 3)
        assert image.dtype == np.uint8
        assert image.std() > 20
