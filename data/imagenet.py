"""ImageNet (ILSVRC 2012): 1000 classes, 1 281 167 training and 50 000 validation images."""

from pathlib import Path

from data import wnids
from data.images import MINIATURE_NOTE, ImageSet, count_note, is_miniature, labels_of, report

LAYOUT = """\
<folder>/train/<wnid>/*.JPEG    1 281 167 images in 1000 folders named n01440764 ... n15075141
<folder>/val/<wnid>/*.JPEG      50 000 images in the same folders: the test set"""
SOURCE = (
    "https://image-net.org/download-images (ILSVRC 2012, tasks 1 and 2; after registration, "
    "for research alone)"
)
COUNTS = {"train": 1_281_167, "test": 50_000}
CLASSES = 1000


def load(root: Path, split: str) -> ImageSet:
    """Lists a split ("train", or "test": the val folder). A class's index is its wnid's place.

    Raises UserError when the layout is another one.
    """
    folder = wnids.FOLDERS[split]
    classes, files = wnids.scan(root, folder)
    notes = count_note(len(files), COUNTS[split], f"{split} images")
    notes += count_note(len(classes), CLASSES, "classes")
    if is_miniature(root):
        notes = MINIATURE_NOTE
    return ImageSet(
        f"imagenet/{folder}",
        classes,
        labels_of(files, classes),
        root,
        files,
        notes=notes,
    )


def verify(root: Path) -> list[str]:
    """Checks layout, classes and counts; returns a line on each split, or raises UserError."""
    return [report(load(root, split)) for split in COUNTS]
