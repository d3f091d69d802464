"""A miniature of one's own captions: the scenes of the miniature Flickr-8K, with a CSV file."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from data.mini.flickr8k import describe, draw, invent
from data.mini.images import is_written, new_folder

IMAGES = 200
CAPTIONS = 3  # of an image, at most


def write(root: Path, complete: Callable[[Path], object] = lambda folder: None) -> None:
    """Writes the corpus into `root` unless it is there. Raises UserError if something else is.

    `complete`: as in data/mini/flickr8k.py.
    """
    if is_written(root):
        return
    with new_folder(root) as folder:
        lines = [("image", "caption")]
        for i in range(IMAGES):
            rng = np.random.default_rng([9, i])
            scene = invent(rng)
            name = f"my pictures/scene {i:03}.png"
            (folder / name).parent.mkdir(exist_ok=True)
            Image.fromarray(draw(scene, rng)).save(folder / name)
            lines += [(name, text) for text in describe(scene, rng)[: 1 + i % CAPTIONS]]
        with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(lines)
        complete(folder)
