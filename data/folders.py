"""Your own images: any tree with a folder for each class, split by folders or by a seed.

Classes are sorted by name; a picture taken with the camera turned is turned upright.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from data.images import (
    MINIATURE_NOTE,
    CorruptImage,
    ImageSet,
    class_folders,
    is_miniature,
    is_stray,
    labels_of,
    report,
)
from dsd.errors import UserError

LAYOUT = """\
<folder>/train/<class>/<images>   any names, any number of classes, and
<folder>/test/<class>/<images>    the same classes (or val/; with both, val/ is watched), or
<folder>/<class>/<images>         split by a seed: a fifth of every class is the test set"""
SOURCE = "your own pictures; docs/your-images.md says more"
SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"),
    *(".tif", ".tiff", ".ppm", ".pgm"),
)
TEST, WATCHED = ("test",), ("val", "valid", "validation")


class Splits(NamedTuple):
    """The sets of a folder; heldout: of a folder that has train/, val/ and test/."""

    train: ImageSet
    heldout: ImageSet | None
    test: ImageSet


def load(root: Path, test_share: float = 0.2, split_seed: int = 0) -> Splits:
    """Lists a folder's sets.

    test_share: of every class, where there is one tree alone; split_seed: which images these are.
    Raises UserError naming the folder for a tree with fewer than two classes, an empty class, one
    image where a split needs two, folders inside a class folder, or other classes in test/.
    """
    names = _split_folders(root)
    if not names:
        return _by_seed(root, test_share, split_seed)
    train = _scan(root, "train")
    found = {name: _like(_scan(root, name, train.classes), train.classes) for name in names}
    watched, test = (
        (found[names[0]], found[names[1]]) if len(names) > 1 else (None, found[names[0]])
    )
    return Splits(train, watched, test)


def load_test(root: Path, test_share: float = 0.2, split_seed: int = 0) -> ImageSet:
    """Lists the test set; where it has a folder of its own, train/ may be missing.

    The classes are those of train/ where it is there.
    """
    if (root / "train").is_dir() or not (names := _split_folders(root)):
        return load(root, test_share, split_seed).test
    return _scan(root, names[-1])


def verify(root: Path) -> list[str]:
    """Decodes every image; returns a line on each set. Raises UserError naming a corrupt one."""
    found = [each for each in load(root) if each is not None]
    corrupt = []
    for images in found:
        for place in track(range(len(images)), images.name, console=Console(stderr=True)):
            try:
                images.read(place)
            except CorruptImage as error:
                corrupt.append(str(error))
    if corrupt:
        more = f"; so are {len(corrupt) - 1} more" if len(corrupt) > 1 else ""
        raise UserError(f"{corrupt[0]}{more}, or leave them out with task.skip_corrupt=true")
    return [report(images) for images in found]


def _split_folders(root: Path) -> list[str]:
    """Returns the folders beside train/, the test set's last; [] for one tree of classes.

    A class may be called "train" or "test": what splits holds folders. Raises UserError for train/
    without a test set.
    """
    splits = [name for name in ("train", *WATCHED, *TEST) if _holds_folders(root / name)]
    found = [next((name for name in names if name in splits), None) for names in (WATCHED, TEST)]
    beside = [name for name in found if name]
    if "train" in splits and not beside:
        raise UserError(
            f"{root}: holds train/ but no test/ or val/; add one, or split train/ by a seed: "
            f"FOLDER={root / 'train'}"
        )
    return beside


def _holds_folders(path: Path) -> bool:
    return path.is_dir() and bool(_entries(path, folders=True))


def _by_seed(root: Path, test_share: float, split_seed: int) -> Splits:
    """Draws the test set, of every class the share and one image at least, never all."""
    images = _scan(root, "")
    draws = np.random.default_rng(split_seed)
    chosen = []
    for label, name in enumerate(images.classes):
        members = draws.permutation(np.flatnonzero(images.labels == label))
        if len(members) < 2:
            raise UserError(
                f"{root / name}: holds one image, training and test need one each; add some, or "
                "move the folder away"
            )
        chosen.append(members[: min(max(1, round(test_share * len(members))), len(members) - 1)])
    test = np.sort(np.concatenate(chosen))
    rest = np.setdiff1d(np.arange(len(images)), test)
    if not is_miniature(root):
        note = f"test: {100 * test_share:g} % of every class, drawn with seed {split_seed}"
        images = replace(images, notes=(*images.notes, note))
    name = images.name.partition("/")[0]
    return Splits(images.subset(rest, f"{name}/train"), None, images.subset(test, f"{name}/test"))


def _scan(root: Path, split: str, known: Sequence[str] = ()) -> ImageSet:
    """Lists root/split (root itself for ""). Raises UserError for what would train on nothing.

    known: the classes of train/, of which others may lack images.
    """
    folder = root / split
    for name in _entries(folder, folders=True) if folder.is_dir() else ():
        if inner := _entries(folder / name, folders=True):
            raise UserError(
                f"{folder / name}: holds the folder {inner[0]}; images lie directly in class "
                "folders: move them up, or point FOLDER at the folder of the classes"
            )
    classes, files = class_folders(root, split, SUFFIXES)
    for name in (*classes, *files):
        if "\n" in name or _is_no_utf8(name):
            raise UserError(f"{folder}: {name!r} is no name in UTF-8 of one line; rename it")
    counts = Counter(classes[label] for label in labels_of(files, classes))
    for name in classes:
        if not counts[name] and name not in known:
            raise UserError(
                f"{folder / name}: holds no image ({', '.join(SUFFIXES)}); add some, or remove "
                "the folder"
            )
    if len(classes) < 2 and not known:
        raise UserError(
            f"{folder}: holds one class alone, {classes[0]}; a network needs two to tell apart"
        )
    notes = _left_out(folder, classes)
    missing = [name for name in known if not counts[name]]
    if missing:
        notes += (f"{split}: no image of {len(missing)} classes, such as {missing[0]}",)
    if is_miniature(root):
        notes = MINIATURE_NOTE
    name = f"{root.resolve().name or 'root'}/{split}"
    labels = labels_of(files, classes)
    return ImageSet(name, tuple(classes), labels, root, tuple(files), notes=notes, upright=True)


def _like(images: ImageSet, classes: tuple[str, ...]) -> ImageSet:
    """Returns a set whose labels count training's classes. Raises UserError for another class."""
    folder = images.root / images.name.partition("/")[2]
    for name in images.classes:
        if name not in classes:
            raise UserError(
                f"{folder / name}: train/ has no such class; rename it, or add images of it there"
            )
    return replace(images, classes=classes, labels=labels_of(images.files, classes))


def _left_out(folder: Path, classes: Sequence[str]) -> tuple[str, ...]:
    """Returns notes on images beside the class folders, and on files that are no images in them."""
    notes = []
    if loose := _images(folder):
        notes.append(f"{len(loose)} images in no class folder left out, such as {loose[0]}")
    others = Counter(
        Path(name).suffix.lower() or "no suffix"
        for each in classes
        for name in _entries(folder / each, folders=False)
        if not name.lower().endswith(SUFFIXES)
    )
    if others:
        kinds = ", ".join(sorted(others))
        notes.append(f"{sum(others.values())} files that are no images left out ({kinds})")
    return tuple(notes)


def _is_no_utf8(name: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in name)  # what Python makes of other bytes


def _entries(folder: Path, folders: bool) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() == folders and not is_stray(e.name))


def _images(folder: Path) -> list[str]:
    return [e for e in _entries(folder, folders=False) if e.lower().endswith(SUFFIXES)]
