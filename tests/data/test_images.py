import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data import cifar10, imagenet
from data.images import CorruptImage, ImageSet, hold_out, read_image, read_pixels
from dsd.errors import UserError


def labelled(labels) -> ImageSet:
    labels = np.asarray(labels, dtype=np.int64)
    files = tuple(f"train/c/{i}.png" for i in range(len(labels)))
    return ImageSet("set/train", ("a", "b", "c"), labels, files=files)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), min_size=40, max_size=120), st.integers(0, 12))
def test_held_out_part_is_disjoint_complete_and_balanced(labels, n):
    images = labelled(labels)
    if min(np.bincount(images.labels, minlength=3)) <= (n + 2) // 3:
        return
    rest, held = hold_out(images, n)
    assert len(held) == n
    assert sorted([*rest.files, *held.files]) == sorted(images.files)
    counts = np.bincount(held.labels, minlength=3)
    assert counts.max() - counts.min() <= 1
    place = {file: i for i, file in enumerate(images.files)}
    for part in (rest, held):
        assert [place[file] for file in part.files] == sorted(place[file] for file in part.files)
        assert part.labels.tolist() == [labels[place[file]] for file in part.files]
    again = hold_out(images, n)
    assert again[1].files == held.files


def test_held_out_part_is_no_mere_prefix():
    _, held = hold_out(labelled([0] * 100 + [1] * 100 + [2] * 100), 30)
    assert held.files[:] != labelled(range(300)).files[:30]
    assert int(held.files[9].split("/")[-1][:-4]) > 30


def test_too_large_a_held_out_part_is_refused():
    with pytest.raises(UserError, match="cannot hold out 9 images, class b has only 3"):
        hold_out(labelled([0] * 50 + [1] * 3 + [2] * 50), 9)


def test_fingerprint_knows_the_content_and_not_the_place(mini, tmp_path):
    shutil.copytree(mini / "imagenet", tmp_path / "elsewhere")
    images = imagenet.load(mini / "imagenet", "test")
    first = images.fingerprint()
    moved = imagenet.load(tmp_path / "elsewhere", "test")
    assert moved.fingerprint() == first
    assert len(first) == 64
    assert images.subset(range(159), "less").fingerprint() != first
    file = tmp_path / "elsewhere" / moved.files[5]
    file.write_bytes(file.read_bytes() + b"\0")
    assert moved.fingerprint() != first
    file.write_bytes(file.read_bytes()[:-1])
    assert moved.fingerprint() == first
    file.rename(file.with_name("other.JPEG"))
    assert imagenet.load(tmp_path / "elsewhere", "test").fingerprint() != first


def test_fingerprint_of_pixels_knows_every_bit_and_label(mini):
    images = cifar10.load(mini / "cifar10", "test")
    first = images.fingerprint()
    assert cifar10.load(mini / "cifar10", "test").fingerprint() == first
    assert cifar10.load(mini / "cifar10", "train").fingerprint() != first
    images.pixels[499, 31, 31, 2] ^= 1
    assert images.fingerprint() != first
    images.pixels[499, 31, 31, 2] ^= 1
    images.labels[7] ^= 1
    assert images.fingerprint() != first


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_every_kind_of_image_is_read_as_rgb(tmp_path, mode):
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    Image.new(mode, (4, 3)).save(path)
    image = read_image(path)
    assert (image.mode, image.size) == ("RGB", (4, 3))
    assert np.array_equal(read_pixels(path), np.asarray(image))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
@pytest.mark.parametrize("cut", [0, 200, 30])
def test_both_decoders_of_jpeg_agree(tmp_path, mode, how, cut):
    """In every bit, and in what they refuse."""
    path = tmp_path / "x.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (37, 51, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((205, 149), Image.Resampling.BICUBIC).convert(mode)
    picture.save(path, **how)
    path.write_bytes(path.read_bytes()[: -cut or None])

    def seen(read) -> object:
        try:
            return np.asarray(read(path)).tolist()
        except CorruptImage as refused:
            return str(refused)

    assert seen(read_pixels) == seen(read_image)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_file_that_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(CorruptImage) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: corrupt image")
    assert "\n" not in str(caught.value)


def test_file_that_cannot_be_read_is_not_called_corrupt(tmp_path):
    with pytest.raises(UserError, match="cannot be read") as caught:
        read_image(tmp_path / "none.png")
    assert not isinstance(caught.value, CorruptImage)


CASES = Path(__file__).parents[1] / "cases"


def test_grey_pictures_of_16_bits_are_as_those_of_8(tmp_path):
    expected = np.asarray(read_image(CASES / "grey8.png"))
    np.testing.assert_array_equal(np.asarray(read_image(CASES / "grey16.png")), expected)
    grey = np.asarray(Image.open(CASES / "grey16.png"))
    Image.fromarray(grey).save(tmp_path / "a.tiff")
    header = f"P5 {grey.shape[1]} {grey.shape[0]} 65535\n".encode()
    (tmp_path / "a.pgm").write_bytes(header + grey.astype(">u2").tobytes())
    for name in ("a.tiff", "a.pgm"):
        np.testing.assert_array_equal(np.asarray(read_image(tmp_path / name)), expected)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_grey_values_whose_white_nobody_knows_are_refused(tmp_path, dtype):
    Image.fromarray(np.arange(12, dtype=dtype).reshape(3, 4)).save(tmp_path / "x.tiff")
    with pytest.raises(CorruptImage, match="save it with 8 or 16 bits"):
        read_image(tmp_path / "x.tiff")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_where_asked(tmp_path, orientation):
    upright = np.asarray(Image.open(CASES / "exif_upright.png").convert("RGB"))
    turns = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(turns[orientation])
    Image.fromarray(stored).save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "x.png", True)), upright)
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "x.png")), stored)  # a corpus's


def test_a_declared_size_that_is_a_bomb_is_refused(tmp_path):
    def chunk(name: bytes, content: bytes) -> bytes:
        size, crc = len(content).to_bytes(4, "big"), zlib.crc32(name + content).to_bytes(4, "big")
        return size + name + content + crc

    header = (60_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with pytest.raises(CorruptImage, match="exceeds limit"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize(
    "name",
    [
        "._x.jpg",
        ".DS_Store",
        "__MACOSX",
        "Thumbs.db",
        ".ipynb_checkpoints",
        "desktop.ini",
        "@eaDir",
    ],
)
def test_what_systems_leave_behind_is_no_part_of_a_corpus(name, mini, tmp_path):
    root = Path(shutil.copytree(mini / "imagenet", tmp_path / "imagenet"))
    before = imagenet.load(root, "train"), imagenet.load(root, "test")
    for folder in ("train", "val", "train/n01440764"):
        (root / folder / name).mkdir()
        (root / folder / f"{name}.JPEG" if name.startswith(".") else root / folder / "x").touch()
    after = imagenet.load(root, "train"), imagenet.load(root, "test")
    for old, new in zip(before, after, strict=True):
        assert (old.files, old.classes) == (new.files, new.classes)


def test_wrong_trees_get_the_right_remedy(mini, tmp_path):
    for folder in ("train/n01440764", "val/.ipynb_checkpoints"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG").touch()
    with pytest.raises(UserError, match="move each into val/<wnid>/"):
        imagenet.load(tmp_path, "test")
    (tmp_path / "train" / "n01440764").rmdir()
    for name in ("n01440764.tar", "n01443537.tar"):
        (tmp_path / "train" / name).touch()
    with pytest.raises(UserError, match=r"2 archives such as n01440764\.tar; unpack each into"):
        imagenet.load(tmp_path, "train")
