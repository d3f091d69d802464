"""Rendered images of ten classes, and how a miniature corpus is written to disk.

A class is a shape with a texture and a favourite hue. Place, size, turn, colours and noise vary, so
that a network learns the classes within some epochs, but not at once.
"""

import colorsys
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from data.images import MINIATURE
from dsd.errors import UserError

VERSION = "1"  # of the drawings: raise it when they change
SIDES = (72, 97)  # pixels, from and below
NOISE = 30.0  # standard deviation, of 255

Plane = np.ndarray  # (H, W): coordinates that are -1..1 within the shape
SHAPES: tuple[Callable[[Plane, Plane], np.ndarray], ...] = (
    lambda x, y: x**2 + y**2 < 1,  # disc
    lambda x, y: abs(x**2 + y**2 - 0.7) < 0.3,  # ring
    lambda x, y: np.maximum(abs(x), abs(y)) < 0.85,  # square
    lambda x, y: (y < 0.8) & (abs(x) < (y + 1) / 1.8),  # triangle
    lambda x, y: (np.minimum(abs(x), abs(y)) < 0.3) & (np.maximum(abs(x), abs(y)) < 1),  # cross
    lambda x, y: (x**2 + y**2 < 1) & (np.sin(9 * y) > 0),  # level stripes
    lambda x, y: (x**2 + y**2 < 1) & (np.sin(9 * x) > 0),  # upright stripes
    lambda x, y: (np.maximum(abs(x), abs(y)) < 0.9) & (np.sin(7 * x) * np.sin(7 * y) > 0),  # checks
    lambda x, y: (np.maximum(abs(x), abs(y)) < 1) & (np.cos(8 * x) + np.cos(8 * y) > 0.9),  # dots
    lambda x, y: (abs(x) + abs(y) < 1) & (abs(x) + abs(y) > 0.5),  # hollow diamond
)


def render(label: int, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Draws one image of a class, (height, width, 3) uint8."""
    row, column = np.mgrid[:height, :width]
    radius = rng.uniform(0.28, 0.5) * min(width, height)
    x = (column - width * rng.uniform(0.35, 0.65)) / radius
    y = (row - height * rng.uniform(0.35, 0.65)) / radius
    turn = rng.normal(0, 0.15)  # radians
    shape = SHAPES[label](x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn))
    ink = _colour(label / len(SHAPES) + rng.normal(0, 0.05), rng.uniform(0.6, 1), rng)
    paper = _colour(rng.uniform(0, 1), rng.uniform(0, 0.3), rng)
    pixels = np.where(shape[:, :, None], ink, paper) + rng.normal(0, NOISE, (height, width, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def _colour(hue: float, saturation: float, rng: np.random.Generator) -> np.ndarray:
    """Returns RGB of 0..255 for a hue and saturation of 0..1."""
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1, saturation, rng.uniform(0.4, 1)))


def write_tree(root: Path, labels: Mapping[str, int], seed: int) -> None:
    """Writes a JPEG for each file name (relative to root), whole or not at all."""
    with new_folder(root) as folder:
        for i, (file, label) in enumerate(labels.items()):
            rng = np.random.default_rng([seed, i])
            width, height = rng.integers(*SIDES, size=2)
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(render(label, width, height, rng)).save(
                folder / file, "JPEG", quality=90
            )


def is_written(root: Path) -> bool:
    """Returns whether the miniature is there. Raises UserError when something else is."""
    marker = root / MINIATURE
    if marker.is_file() and marker.read_text() == VERSION:
        return True
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root}: holds something else than this miniature; remove or rename it")
    return False


@contextmanager
def new_folder(root: Path) -> Iterator[Path]:
    """Gives a temporary folder that becomes `root` when all is written.

    Nothing remains of it after an error, or if another process was faster.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        yield folder
        (folder / MINIATURE).write_text(VERSION)
        folder.chmod(0o755)  # mkdtemp's is private
        try:
            os.rename(folder, root)
        except OSError:
            if not is_written(root):
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
