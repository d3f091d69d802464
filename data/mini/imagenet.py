"""A miniature ImageNet: ten classes of rendered images in the real folder tree."""

from pathlib import Path

from data.imagenette import CLASSES
from data.mini.images import is_written, write_tree

TRAIN, VAL = 32, 16  # images per class


def write(root: Path) -> None:
    """Writes the corpus into `root` unless it is there. Raises UserError if something else is."""
    if is_written(root):
        return
    labels = {
        f"train/{wnid}/{wnid}_{i}.JPEG": label
        for label, wnid in enumerate(CLASSES)
        for i in range(TRAIN)
    }
    for i in range(VAL * len(CLASSES)):
        label = i % len(CLASSES)
        labels[f"val/{CLASSES[label]}/ILSVRC2012_val_{i + 1:08d}.JPEG"] = label
    write_tree(root, labels, seed=1)
