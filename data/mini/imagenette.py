"""A miniature Imagenette: rendered images, some named like ImageNet's validation images."""

from pathlib import Path

from data.imagenette import CLASSES
from data.mini.images import is_written, write_tree

IMAGES = {"train": 32, "val": 16}  # per class
UNSEEN = 6  # of them in either folder named ILSVRC2012_val_*


def write(root: Path) -> None:
    """Writes the corpus into `root` unless it is there. Raises UserError if something else is."""
    if is_written(root):
        return
    labels: dict[str, int] = {}
    for folder, images in IMAGES.items():
        for label, wnid in enumerate(CLASSES):
            for i in range(images):
                number = len(labels) + 1
                name = f"ILSVRC2012_val_{number:08d}" if i < UNSEEN else f"{wnid}_{number}"
                labels[f"{folder}/{wnid}/{name}.JPEG"] = label
    write_tree(root, labels, seed=2)
