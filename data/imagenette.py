"""Imagenette2: ten easy classes of ImageNet (fast.ai), 9469 and 3925 images, at any size.

96 % of its val folder are training images of ImageNet, which networks trained on it have seen.
The 500 files of both folders named ILSVRC2012_val_* are validation images of ImageNet: with
`unseen=True` they are the test set, and training leaves them out.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from data import wnids
from data.images import MINIATURE_NOTE, ImageSet, count_note, is_miniature, labels_of, report
from dsd.errors import UserError
from dsd.suite.download import Download

LAYOUT = """\
<folder>/train/<wnid>/*.JPEG    9469 images in ten folders, n01440764 ... n03888257
<folder>/val/<wnid>/*.JPEG      3925 images in the same folders"""
SOURCE = "https://github.com/fastai/imagenette (imagenette2, any size; for research)"
DOWNLOADS = (
    Download(
        url="https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
        md5="3df6f0d01a2c9592104656642f5e78a3",
        bytes=341_663_724,
        folder="imagenette2-320",
    ),
    Download(
        url="https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
        md5="e793b78cc4c9e9a4ccc0c1155377a412",
        bytes=99_003_388,
        folder="imagenette2-160",
    ),
)
CLASSES = (
    "n01440764",  # tench
    "n02102040",  # English springer
    "n02979186",  # cassette player
    "n03000684",  # chain saw
    "n03028079",  # church
    "n03394916",  # French horn
    "n03417042",  # garbage truck
    "n03425413",  # gas pump
    "n03445777",  # golf ball
    "n03888257",  # parachute
)
COUNTS = {"train": 9469, "test": 3925}
UNSEEN_COUNTS = {"train": 9103, "test": 500}


def load(root: Path, split: str, unseen: bool = False) -> ImageSet:
    """Lists a split ("train", or "test": the val folder); `unseen`: as at the top of this file.

    Raises UserError when the layout is another one, or no file is named ILSVRC2012_val_*.
    """
    folder = wnids.FOLDERS[split]
    _, files = _scan(root, folder)
    name, counts, notes = f"imagenette/{folder}", COUNTS, _resolution(root, files)
    if unseen:
        counts = UNSEEN_COUNTS
        name = "imagenette/train less unseen" if split == "train" else "imagenette/unseen"
        files = _unseen(root, files, split)
        if split == "test":
            notes += ("test: ImageNet validation images of both folders, never seen in training",)
    elif split == "test":
        notes += ("test: mostly ImageNet training images",)
    notes = (*count_note(len(files), counts[split], f"{split} images"), *notes)
    if is_miniature(root):
        notes = MINIATURE_NOTE
    return ImageSet(name, CLASSES, labels_of(files, CLASSES), root, files, notes=notes)


def verify(root: Path) -> list[str]:
    """Checks layout, classes and counts; returns a line on each split, or raises UserError."""
    return [report(load(root, split)) for split in COUNTS]


def _scan(root: Path, folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    classes, files = wnids.scan(root, folder)
    if classes != CLASSES:
        raise UserError(
            f"{root / folder}: its folders are not Imagenette's ten ({CLASSES[0]} ... "
            f"{CLASSES[-1]}); point at an unpacked imagenette2 folder"
        )
    return classes, files


def _unseen(root: Path, files: tuple[str, ...], split: str) -> tuple[str, ...]:
    """Takes ImageNet's validation images out of the training files, or gathers them as a test."""
    if split == "train":
        return tuple(file for file in files if not _validation(file))
    both = (*_scan(root, "train")[1], *files)
    chosen = [file for file in both if _validation(file)]
    if not chosen:
        raise UserError(
            f"{root}: no file is named ILSVRC2012_val_*, so no image is known to be unseen; "
            "unpack imagenette2 with its original file names"
        )
    return tuple(sorted(chosen, key=lambda file: (file.split("/")[1], file)))


def _validation(file: str) -> bool:
    return file.rpartition("/")[2].startswith("ILSVRC2012_val_")


def _resolution(root: Path, files: Sequence[str]) -> tuple[str, ...]:
    """Names the images' size, judged by eight of them."""
    some = [files[i] for i in np.linspace(0, len(files) - 1, 8).astype(int)]
    sides = set()
    for file in some:
        try:
            with Image.open(root / file) as image:  # reads the header alone
                sides.add(min(image.size))
        except OSError:
            continue  # reported when it is read
    return (f"Imagenette2 at {sides.pop()} px" if len(sides) == 1 else "Imagenette2 at full size",)
