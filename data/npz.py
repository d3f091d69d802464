"""NumPy's .npz files of others: no code is run, and none unpacks to more than it may."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np

MOST = 200  # times the file's size; the emptiest features and weights stay far below
SMALL = 1 << 24  # bytes that any file may unpack to


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays by name; the archive's checksums are compared.

    Raises what a damaged file raises, and ValueError for one that unpacks to far more than it is.
    """
    with ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > max(SMALL, MOST * path.stat().st_size):
        raise ValueError(f"unpacks to {size} bytes, which is far too many")
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)
