"""A miniature CIFAR-10: rendered images in the official Python batches."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from data.cifar10 import BATCHES, CLASSES, SIDE
from data.mini.images import is_written, new_folder, render

IMAGES = {"train": 200, "test": 500}  # per batch


def write(root: Path) -> None:
    """Writes the corpus into `root` unless it is there. Raises UserError if something else is."""
    if is_written(root):
        return
    with new_folder(root) as folder:
        batches = folder / "cifar-10-batches-py"
        batches.mkdir()
        seed = 0
        for split, names in BATCHES.items():
            for name in names:
                seed += 1
                _dump(_batch(IMAGES[split], np.random.default_rng([3, seed])), batches / name)
        meta = {b"label_names": [name.encode() for name in CLASSES], b"num_vis": 3 * SIDE**2}
        _dump(meta, batches / "batches.meta")


def _batch(images: int, rng: np.random.Generator) -> dict[bytes, Any]:
    labels = rng.permutation(images) % len(CLASSES)
    pixels = np.stack([render(label, SIDE, SIDE, rng) for label in labels])
    rows = pixels.transpose(0, 3, 1, 2).reshape(images, -1)
    return {b"data": rows, b"labels": labels.tolist()}


def _dump(value: dict[bytes, Any], path: Path) -> None:
    path.write_bytes(pickle.dumps(value, protocol=4))
