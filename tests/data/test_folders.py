"""Your own images: what a folder may look like, and the line for each that cannot be used."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import folders
from data.images import read_image, read_pixels
from dsd.errors import UserError

CLASSES = ("Äpfel", "two words", "b.c", "十字")


def write(root: Path, names: Iterable[str]) -> Path:
    """Writes a small picture for each name that ends like one, else a file of text."""
    for place, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in folders.SUFFIXES:
            Image.fromarray(np.full((9, 12, 3), place % 256, np.uint8)).save(path)
        else:
            path.write_text("words")
    return root


def tree(root: Path, *splits: str, images: int = 5) -> Path:
    return write(
        root,
        [
            f"{split}/{name}/{i}.png".lstrip("/")
            for split in splits or ("",)
            for name in CLASSES
            for i in range(images)
        ],
    )


@pytest.mark.parametrize(
    ("beside", "test", "watched"),
    [
        (["test"], "test", None),
        (["val"], "val", None),
        (["validation"], "validation", None),
        (["val", "test"], "test", "val"),
        (["valid", "test"], "test", "valid"),
    ],
)
def test_folders_are_the_splits_where_there_are_some(tmp_path, beside, test, watched):
    found = folders.load(tree(tmp_path / "my pictures", "train", *beside))
    assert found.train.name == "my pictures/train"
    assert found.test.name == f"my pictures/{test}"
    assert (found.heldout and found.heldout.name) == (watched and f"my pictures/{watched}")
    assert found.train.classes == found.test.classes == tuple(sorted(CLASSES))
    assert found.test.labels.tolist() == [i // 5 for i in range(20)]
    assert not found.test.notes
    shutil.rmtree(tmp_path / "my pictures/train")
    alone = folders.load_test(tmp_path / "my pictures")
    assert alone.fingerprint() == found.test.fingerprint()


@pytest.mark.parametrize(
    ("images", "share", "tests"), [(5, 0.2, 1), (5, 0.9, 4), (20, 0.25, 5), (2, 0.01, 1)]
)
def test_one_tree_is_split_by_the_seed_class_by_class(tmp_path, images, share, tests):
    root = tree(tmp_path, images=images)
    train, heldout, test = folders.load(root, share, 0)
    assert heldout is None
    assert np.bincount(test.labels).tolist() == [tests] * 4
    assert not {*train.files} & {*test.files}
    assert len({*train.files, *test.files}) == 4 * images
    again = folders.load(root, share, 0)
    assert again.test.files == test.files
    assert again.train.fingerprint() == train.fingerprint()
    assert any(folders.load(root, share, seed).test.files != test.files for seed in range(1, 9))
    assert folders.load_test(root, share, 0).files == test.files
    assert any("drawn with seed 0" in note for note in test.notes)


def test_a_class_may_be_called_as_a_split(tmp_path):
    write(tmp_path, [f"{name}/{i}.jpg" for name in ("train", "test", "car") for i in range(3)])
    assert folders.load(tmp_path).train.classes == ("car", "test", "train")


@pytest.mark.parametrize(
    "suffix", [".jpg", ".JPEG", ".png", ".webp", ".bmp", ".gif", ".tif", ".ppm"]
)
def test_all_usual_kinds_of_pictures_are_read(tmp_path, suffix):
    root = write(tmp_path, [f"{name}/a picture {i}{suffix}" for name in "ab" for i in range(2)])
    assert folders.load(root).train.read(0).shape == (9, 12, 3)
    assert len(folders.verify(root)) == 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright_a_corpus_is_not(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 255, (8, 24, 3), np.uint8)
    for name in ("a/0", "a/1", "b/0", "b/1"):
        path = tmp_path / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path, exif=exif)
    found = folders.load(tmp_path).train.read(0)
    np.testing.assert_array_equal(found, np.asarray(read_image(path, upright=True)))
    assert found.shape == ((24, 8, 3) if orientation > 4 else (8, 24, 3))
    assert read_pixels(path).shape == (8, 24, 3)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "holds no .jpg"),
        (["a.jpg", "b.jpg"], "holds no .jpg"),
        (["a/notes.txt"], "holds no .jpg"),
        (["a/0.jpg", "a/1.jpg"], "holds one class alone, a;"),
        (["a/0.jpg", "a/1.jpg", "b/0.jpg"], "b: holds one image"),
        (["a/0.jpg", "a/1.jpg", "b/x.txt"], "b: holds no image"),
        (["a/0.jpg", "a/1.jpg", "b/c/0.jpg", "b/c/1.jpg"], "b: holds the folder c;"),
        (["all/a/0.jpg", "all/b/0.jpg"], "all: holds the folder a;"),
        (["a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg", "b/c/0.jpg"], "b: holds the folder c;"),
        (["train/a/0.jpg", "train/b/0.jpg"], "holds train/ but no test/"),
        (["train/a/0.jpg", "train/b/0.jpg", "test/c/0.jpg"], "test/c: train/ has no such class"),
        (["train/a/0.jpg", "train/b/x.txt", "test/a/0.jpg"], "train/b: holds no image"),
        (["train/a/0.jpg", "test/a/0.jpg"], "train: holds one class alone, a;"),
        (["train/a/0.jpg", "train/b/0.jpg", "test/a/x.txt"], "test: holds no .jpg"),
        (["test/a/0.jpg", "test/b/0.jpg"], "train: no such folder"),
        (["a/0\n.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"], "is no name in UTF-8"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, names, said):
    with pytest.raises(UserError, match=said) as caught:
        folders.load(write(tmp_path, names))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_name_of_other_bytes_is_refused(tmp_path):
    write(tmp_path, ["a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"])
    try:
        os.rename(tmp_path / "b", os.fsencode(tmp_path) + b"/caf\xe9")
    except OSError:
        pytest.skip("the file system takes UTF-8 alone")
    with pytest.raises(UserError, match="is no name in UTF-8"):
        folders.load(tmp_path)


def test_what_is_left_out_is_said(tmp_path):
    root = tree(tmp_path, "train", "test")
    write(root, ["train/loose.jpg", f"train/{CLASSES[0]}/a.heic", f"train/{CLASSES[0]}/list.txt"])
    write(root, [f"train/{CLASSES[1]}/.hidden.jpg", "train/__MACOSX/x.jpg"])
    shutil.rmtree(root / "test" / CLASSES[1])
    train, _, test = folders.load(root)
    assert train.notes == (
        "1 images in no class folder left out, such as loose.jpg",
        "2 files that are no images left out (.heic, .txt)",
    )
    assert test.notes == (f"test: no image of 1 classes, such as {CLASSES[1]}",)
    assert test.classes == train.classes
    assert set(test.labels.tolist()) == {0, 1, 2, 3} - {sorted(CLASSES).index(CLASSES[1])}


def test_verify_names_a_damaged_picture(tmp_path):
    root = tree(tmp_path, "train", "test")
    lines = folders.verify(root)
    assert lines == [f"{tmp_path.name}/{s}: 20 images, 4 classes" for s in ("train", "test")]
    (root / "test" / CLASSES[2] / "3.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"b\.c/3\.png: corrupt image"):
        folders.verify(root)
