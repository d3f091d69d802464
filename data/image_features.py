"""Files of image features, features_<network>.npz: what a captioner reads in place of images."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data.npz import load_npz
from dsd.errors import UserError


def features_file(root: Path, network: str) -> Path:
    """Returns where a corpus has the features that a network computes of its images."""
    return root / f"features_{network}.npz"


def read_npz(path: Path) -> tuple[np.ndarray, list[str]]:
    """Returns features (N, D) and the names of their N images. Raises what a damaged file raises.

    The file holds `feats` (N, D) and `names` (N,).
    """
    file = load_npz(path)
    feats, names = file["feats"], file["names"]
    if names.ndim != 1 or len(names) != len(feats):
        raise ValueError(f"{names.shape} names for feats {feats.shape}")
    return checked(feats), names.astype(str).tolist()


def checked(feats: np.ndarray) -> np.ndarray:
    """Returns the array. Raises ValueError unless it is a matrix of floats."""
    if feats.ndim != 2 or not np.issubdtype(feats.dtype, np.floating):
        raise ValueError(f"feats is {feats.dtype} {feats.shape}, expected floats of two axes")
    return feats


def load_features(
    path: Path,
    images: Sequence[str],
    remedy: str,
    read: Callable[[Path], tuple[np.ndarray, list[str]]] = read_npz,
) -> np.ndarray:
    """Returns the features of these images, in this order: (len(images), D) float32.

    remedy: what writes the file, for messages. Raises UserError when the file is missing or
    damaged, or an image has no features, has them twice, or has one that is not finite.
    """
    if not path.is_file():
        raise UserError(f"{path}: is missing; {remedy}")
    remedy = f"move it away and {remedy}"
    try:
        feats, names = read(path)
    except UserError:
        raise
    except Exception as error:  # damaged archives raise many kinds
        raise UserError(f"{path}: is no file of features ({error}); {remedy}") from None
    rows = {name: row for row, name in enumerate(names)}
    if len(rows) < len(names):
        twice = next(name for row, name in enumerate(names) if rows[name] != row)
        raise UserError(f"{path}: has {twice} twice; {remedy}")
    missing = [image for image in images if image not in rows]
    if missing:
        raise UserError(
            f"{path}: has no features of {missing[0]} ({len(missing)} of {len(images)} images "
            f"are missing); {remedy}"
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
        chosen = feats[np.array([rows[image] for image in images], np.int64)].astype(np.float32)
    sound = np.isfinite(chosen).all(1)
    if not sound.all():
        raise UserError(f"{path}: not finite for {images[int(sound.argmin())]}; {remedy}")
    return chosen
