"""Folder trees {train,val}/<wnid>/*.JPEG, as ImageNet and Imagenette have them."""

import os
import re
from pathlib import Path

from data.images import class_folders, is_stray
from dsd.errors import UserError

FOLDERS = {"train": "train", "test": "val"}
SUFFIXES = (".jpeg", ".jpg", ".png")


def scan(root: Path, folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lists a folder ("train" or "val"): wnids in index order (sorted) and files below `root`.

    Raises UserError when the folder is missing, flat, has classes that are no wnids, or when the
    other folder has other classes.
    """
    path = root / folder
    if path.is_dir() and not _folders(path):
        archives = sorted(file.name for file in path.glob("*.tar*"))
        if archives:
            raise UserError(
                f"{path}: holds {len(archives)} archives such as {archives[0]}; unpack each into a "
                f"folder of its name: {folder}/{archives[0].partition('.')[0]}/"
            )
        raise UserError(
            f"{path}: its images lie in no class folders; move each into "
            f"{folder}/<wnid>/ (for ImageNet's validation images: valprep.sh)"
        )
    classes, files = class_folders(root, folder, SUFFIXES)
    for name in classes:
        if not re.fullmatch(r"n\d{8}", name):
            raise UserError(
                f"{path / name}: is named like no WordNet id (n01440764); move it elsewhere"
            )
    other = root / ("val" if folder == "train" else "train")
    if other.is_dir():
        there = _folders(other)
        only = set(classes) ^ there
        if there and only:
            raise UserError(
                f"{root}: train and val have different classes, {min(only)} is in one alone; "
                "complete the folders"
            )
    return tuple(classes), tuple(files)


def _folders(path: Path) -> set[str]:
    return {e.name for e in os.scandir(path) if e.is_dir() and not is_stray(e.name)}
