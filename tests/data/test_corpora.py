import os
import pickle
import re
import shutil
import struct

import numpy as np
import pytest
from PIL import Image

from data import cifar10, imagenet, imagenette
from data.images import MINIATURE
from dsd.errors import UserError


@pytest.fixture
def unmarked(mini, tmp_path):
    """The miniatures without the mark: what somebody's incomplete copy looks like."""
    for name in ("imagenet", "imagenette", "cifar10"):
        shutil.copytree(mini / name, tmp_path / name)
        (tmp_path / name / MINIATURE).unlink()
    return tmp_path


@pytest.mark.parametrize("module", [imagenet, imagenette, cifar10])
def test_miniatures_load_and_are_named(module, mini):
    root = mini / module.__name__.rpartition(".")[2]
    for split in ("train", "test"):
        images = module.load(root, split)
        assert images.notes == ("miniature: rendered images",)
        assert np.bincount(images.labels).tolist() == [len(images) // 10] * 10
        assert images.read(0).shape[2] == 3
    lines = module.verify(root)
    assert len(lines) == 2
    assert all("miniature" in line for line in lines)


def test_partial_sets_are_named_with_their_numbers(unmarked):
    root = unmarked / "imagenet"
    assert imagenet.load(root, "train").notes == (
        "partial: 320 of 1281167 train images",
        "partial: 10 of 1000 classes",
    )
    assert imagenet.load(root, "test").notes[0] == "partial: 160 of 50000 test images"
    assert cifar10.load(unmarked / "cifar10", "train").notes == (
        "partial: 1000 of 50000 train images",
    )
    assert (
        "partial: 160 of 3925 test images" in imagenette.load(unmarked / "imagenette", "test").notes
    )
    for module in (imagenet, imagenette, cifar10):
        with pytest.raises(UserError, match=r"partial: \d+ of"):
            module.verify(unmarked / module.__name__.rpartition(".")[2])


def test_complete_set_needs_no_note(unmarked, monkeypatch):
    monkeypatch.setattr(imagenet, "COUNTS", {"train": 320, "test": 160})
    monkeypatch.setattr(imagenet, "CLASSES", 10)
    assert imagenet.load(unmarked / "imagenet", "train").notes == ()
    assert imagenet.verify(unmarked / "imagenet") == [
        "imagenet/train: 320 images, 10 classes",
        "imagenet/val: 160 images, 10 classes",
    ]


def test_classes_are_the_sorted_wnids(unmarked):
    root = unmarked / "imagenet"
    os.rename(root / "train/n03888257", root / "train/n00000001")
    os.rename(root / "val/n03888257", root / "val/n00000001")
    images = imagenet.load(root, "test")
    assert images.classes[:2] == ("n00000001", "n01440764")
    assert list(images.classes) == sorted(images.classes)
    assert all(
        file.split("/")[1] == images.classes[label]
        for file, label in zip(images.files, images.labels, strict=True)
    )


def test_flat_validation_folder_is_refused_with_the_remedy(unmarked):
    root = unmarked / "imagenet"
    for file in list((root / "val").glob("*/*")):
        file.rename(root / "val" / file.name)
    for folder in list((root / "val").iterdir()):
        if folder.is_dir():
            folder.rmdir()
    with pytest.raises(UserError, match=r"move each into val/<wnid>/") as caught:
        imagenet.load(root, "test")
    assert str(root / "val") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_trees_are_refused(unmarked, tmp_path):
    root = unmarked / "imagenet"
    with pytest.raises(UserError, match=r"nowhere/train: no such folder"):
        imagenet.load(tmp_path / "nowhere", "train")
    os.rename(root / "train/n01440764", root / "train/n01440765")
    with pytest.raises(UserError, match="n01440764 is in one alone"):
        imagenet.load(root, "test")
    os.rename(root / "train/n01440765", root / "train/tench")
    with pytest.raises(UserError, match=r"tench: is named like no WordNet id"):
        imagenet.load(root, "train")
    for folder in ("train", "val"):
        os.rename(unmarked / "imagenette" / folder / "n01440764", tmp_path / folder)
    with pytest.raises(UserError, match="not Imagenette's ten"):
        imagenette.load(unmarked / "imagenette", "train")


def test_unseen_images_are_taken_out_of_training_and_gathered(mini):
    root = mini / "imagenette"
    train = imagenette.load(root, "train", unseen=True)
    test = imagenette.load(root, "test", unseen=True)
    everything = {str(path.relative_to(root)) for path in root.glob("*/*/*.JPEG")}
    unseen = {file for file in everything if "ILSVRC2012_val_" in file}
    assert set(test.files) == unseen
    assert len(unseen) == 120
    assert {file.split("/")[0] for file in unseen} == {"train", "val"}
    assert set(train.files) == {file for file in everything - unseen if file.startswith("train/")}
    for images in (train, test):
        assert all(
            images.classes[label] in file
            for file, label in zip(images.files, images.labels, strict=True)
        )
    assert (np.diff(test.labels) >= 0).all()


def test_imagenette_names_its_size_and_what_was_seen(unmarked):
    root = unmarked / "imagenette"
    assert "Imagenette2 at full size" in imagenette.load(root, "train").notes
    for file in root.glob("*/*/*.JPEG"):
        Image.new("RGB", (170, 128)).save(file, "JPEG")
    assert "Imagenette2 at 128 px" in imagenette.load(root, "train").notes
    assert any("mostly ImageNet training" in n for n in imagenette.load(root, "test").notes)
    unseen = imagenette.load(root, "test", unseen=True).notes
    assert any("never seen" in note for note in unseen)
    for file in root.glob("*/*/ILSVRC2012_val_*"):
        file.unlink()
    with pytest.raises(UserError, match="original file names"):
        imagenette.load(root, "test", unseen=True)


def test_batches_are_found_in_their_folder_or_its_parent(unmarked):
    root = unmarked / "cifar10"
    inside = cifar10.load(root / "cifar-10-batches-py", "train")
    assert inside.fingerprint() == cifar10.load(root, "train").fingerprint()
    assert inside.pixels.shape == (1000, 32, 32, 3)
    assert inside.pixels.dtype == np.uint8
    (root / "cifar-10-batches-py/data_batch_3").unlink()
    with pytest.raises(UserError, match="data_batch_3: is missing"):
        cifar10.load(root, "train")


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_class_folders_hold_the_same_images(mini, tmp_path, ending):
    batches = cifar10.load(mini / "cifar10", "test")
    some = batches.subset(np.arange(60), "some")
    for i, label in enumerate(some.labels):
        folder = tmp_path / "test" / cifar10.CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(some.read(i)).save(folder / f"{i:04d}.{ending}", quality=85)
    images = cifar10.load(tmp_path, "test")
    assert ("CIFAR-10, JPEG q85" in images.notes) is (ending == "jpg")
    assert "partial: 60 of 10000 test images" in images.notes
    order = np.argsort(some.labels, kind="stable")
    assert images.labels.tolist() == some.labels[order].tolist()
    if ending == "png":
        assert np.array_equal(images.pixels, some.pixels[order])
    else:
        assert np.abs(images.pixels.astype(int) - some.pixels[order]).mean() < 40
    Image.new("RGB", (32, 31)).save(folder / f"0.{ending}")
    with pytest.raises(UserError, match=rf"0.{ending}: is 32 x 31 pixels"):
        cifar10.load(tmp_path, "test")
    (folder / f"0.{ending}").write_bytes(b"?")
    with pytest.raises(UserError, match=rf"0.{ending}: corrupt image"):
        cifar10.load(tmp_path, "test")
    folder.rename(tmp_path / "test" / "zebra")
    with pytest.raises(UserError, match="zebra"):
        cifar10.load(tmp_path, "test")


def test_folder_with_neither_layout_says_what_is_expected(tmp_path):
    with pytest.raises(UserError, match=r"neither cifar-10-batches-py nor train/<class>"):
        cifar10.load(tmp_path, "train")


def python2_batch(rows: np.ndarray, labels: list[int]) -> bytes:
    """Pickles {"data": rows, "labels": labels} as Python 2 did for the original files."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b")
    shape = b"".join(b"M" + struct.pack("<H", side) for side in rows.shape) + b"\x86"
    data = b"T" + struct.pack("<I", rows.size) + rows.tobytes()
    array += b"\x87R(K\x01" + shape + dtype + b"\x89" + data + b"tb"
    items = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + items + b"u."


def test_batch_written_by_python_2_is_read(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)
    (tmp_path / "test_batch").write_bytes(python2_batch(rows, [3, 8, 8, 0]))
    images = cifar10.load(tmp_path, "test")
    assert images.labels.tolist() == [3, 8, 8, 0]
    # A row holds 1024 red values, line by line, then the green and the blue ones.
    assert images.pixels[2, 5, 7].tolist() == [rows[2, 1024 * c + 5 * 32 + 7] for c in range(3)]


class Code:
    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("payload", [Code(), {b"data": Code(), b"labels": [1]}, os.path.join])
def test_pickle_that_holds_code_is_refused_and_not_run(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps(payload, protocol=2))
    with pytest.raises(UserError, match=rf"{re.escape(str(path))}: asks to run"):
        cifar10.load(tmp_path, "test")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "labels", "rows"])
def test_damaged_batch_is_named(mini, tmp_path, damage):
    batch = pickle.loads((mini / "cifar10/cifar-10-batches-py/test_batch").read_bytes())
    if damage == "labels":
        batch[b"labels"][3] = 10
    if damage == "rows":
        batch[b"data"] = batch[b"data"][:-1]
    content = pickle.dumps(batch)
    content = {"cut": content[:5000], "empty": b"", "text": b"hello"}.get(damage, content)
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(UserError, match="test_batch: is no batch of CIFAR-10"):
        cifar10.load(tmp_path, "test")


@pytest.mark.parametrize("module", [imagenet, imagenette, cifar10])
def test_help_texts_are_there(module):
    assert "<folder>/" in module.LAYOUT
    assert module.SOURCE.startswith("https://")
    assert "\n" not in module.SOURCE
    for item in getattr(module, "DOWNLOADS", ()):
        assert re.fullmatch(r"[0-9a-f]{32}", item.md5)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("keys", [bytes, str])
def test_batches_pickled_by_any_protocol_are_read(mini, tmp_path, protocol, keys):
    batch = pickle.loads((mini / "cifar10/cifar-10-batches-py/test_batch").read_bytes())
    named = {key if keys is bytes else key.decode(): value for key, value in batch.items()}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(named, protocol))
    images = cifar10.load(tmp_path, "test")
    assert np.array_equal(images.pixels, cifar10.load(mini / "cifar10", "test").pixels)


def test_a_harmless_object_is_refused_calmly(tmp_path):
    import datetime

    content = pickle.dumps({b"data": datetime.date(2020, 1, 1), b"labels": [1]}, 2)
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(UserError, match=r"holds datetime\.date, which is not read here"):
        cifar10.load(tmp_path, "test")
