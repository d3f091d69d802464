"""CIFAR-10: 32 x 32 pixels, ten classes, 50 000 training and 10 000 test images."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from data.images import (
    MINIATURE_NOTE,
    ImageSet,
    class_folders,
    count_note,
    is_miniature,
    labels_of,
    read_image,
    report,
)
from data.npz import load_npz
from data.pickles import load_pickle
from dsd.errors import UserError
from dsd.runs.files import whole_file
from dsd.suite.download import Download

LAYOUT = """\
<folder>/cifar-10-batches-py/{data_batch_1..5, test_batch}    the official Python batches, or
<folder>/{train,test}/<class>/*.{png,jpg}                     airplane automobile bird ... truck"""
SOURCE = "https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky 2009)"
DOWNLOADS = (
    Download(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        bytes=170_498_071,
        folder="cifar-10-batches-py",
    ),
)
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
COUNTS = {"train": 50_000, "test": 10_000}
BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
SIDE = 32  # pixels


def load(root: Path, split: str) -> ImageSet:
    """Reads a split ("train" or "test") into memory.

    `root` is the folder of the batches, its parent, or the parent of the class folders.
    Raises UserError naming the file that is missing, corrupt or of another size.
    """
    for folder in (root, root / "cifar-10-batches-py"):
        if (folder / "test_batch").is_file():
            parts = [read_batch(folder / name) for name in BATCHES[split]]
            pixels = np.concatenate([part for part, _ in parts])
            labels = np.concatenate([part for _, part in parts])
            notes: tuple[str, ...] = ()
            break
    else:
        pixels, labels, notes = _read_folders(root, split)
    notes = (*count_note(len(labels), COUNTS[split], f"{split} images"), *notes)
    if is_miniature(root):
        notes = MINIATURE_NOTE
    return ImageSet(f"cifar10/{split}", CLASSES, labels, pixels=pixels, notes=notes)


def verify(root: Path) -> list[str]:
    """Reads both splits; returns a line on each. Raises UserError when something is missing."""
    return [report(load(root, split)) for split in COUNTS]


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads one official batch: pixels (N, 32, 32, 3) uint8 and labels (N,) int64.

    Raises UserError when the file is missing, holds anything but arrays, or is damaged.
    """
    try:
        batch = {k if isinstance(k, bytes) else k.encode(): v for k, v in load_pickle(path).items()}
        rows, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"], dtype=np.int64)
        pixels = rows.reshape(len(labels), 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        if rows.dtype != np.uint8 or labels.min() < 0 or labels.max() >= len(CLASSES):
            raise ValueError("wrong kind of data")
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: is missing; unpack the archive again") from None
    except Exception as error:  # a damaged pickle raises many kinds
        raise UserError(
            f"{path}: is no batch of CIFAR-10 ({error}); unpack the archive again"
        ) from None
    return np.ascontiguousarray(pixels), labels


def _read_folders(root: Path, split: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    if not (root / split).is_dir():
        raise UserError(
            f"{root}: holds neither cifar-10-batches-py nor {split}/<class>/*.png or *.jpg; "
            "point at the folder that does"
        )
    classes, files = class_folders(root, split, (".png", ".jpg", ".jpeg"))
    if tuple(classes) != CLASSES:
        raise UserError(
            f"{root / split}: its folders are {' '.join(classes)}, expected {' '.join(CLASSES)}; "
            "rename them"
        )

    def read(file: str) -> np.ndarray:
        image = read_image(root / file)
        if image.size != (SIDE, SIDE):
            raise UserError(
                f"{root / file}: is {image.width} x {image.height} pixels, "
                f"expected {SIDE} x {SIDE}; restore the file"
            )
        return np.asarray(image)

    pixels = _kept(root, split, files, lambda: np.stack([read(file) for file in files]))
    jpegs = [file for file in files if not file.lower().endswith(".png")]
    notes = (f"CIFAR-10, JPEG{_quality(root / jpegs[0])}",) if jpegs else ()
    return pixels, labels_of(files, CLASSES), notes


def _kept(
    root: Path, split: str, files: Sequence[str], decode: Callable[[], np.ndarray]
) -> np.ndarray:
    """Returns the decoded pixels, kept in a hidden file beside the folder: decoding takes 10 s.

    The file counts while no image has changed its name, size or date. Where it cannot be written,
    the next start decodes again.
    """
    path = root / f".{split}.pixels.npz"
    stats = [(root / file).stat() for file in files]
    seen = [(file, s.st_size, s.st_mtime_ns) for file, s in zip(files, stats, strict=True)]
    key = sha256(repr(seen).encode()).hexdigest()
    with suppress(Exception):  # not there, damaged, or of other images
        kept = load_npz(path)
        if str(kept["key"]) == key and kept["pixels"].dtype == np.uint8:
            return kept["pixels"].reshape(len(files), SIDE, SIDE, 3)
    pixels = decode()
    with suppress(OSError, UserError), whole_file(path) as file:
        np.savez(file, key=np.array(key), pixels=pixels)
    return pixels


def _quality(file: Path) -> str:
    """Returns " q75" for libjpeg's quality 75; knows 50 to 100, by the largest quantiser."""
    with Image.open(file) as image:
        tables: dict[int, list[int]] = getattr(image, "quantization", {})
    largest = max(tables.get(0, [122]))  # 121 at quality 50, falling linearly to 0
    return f" q{round(100 - 50 * largest / 121)}" if largest <= 121 else ""
