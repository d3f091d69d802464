"""Old programs' pickles, read without running any code of theirs."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from dsd.errors import UserError


def load_pickle(path: Path) -> Any:
    """Returns plain values and NumPy arrays; what was `str` in Python 2 comes as bytes.

    Raises UserError for a pickle that asks for anything else, and what a damaged one raises.
    """
    with path.open("rb") as file:
        return _Arrays(file, path).load()


class _Arrays(pickle.Unpickler):
    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file, encoding="bytes")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            if name in ("_reconstruct", "scalar"):
                return getattr(np._core.multiarray, name)  # type: ignore[attr-defined]
        elif module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise UserError(
            f"{self._path}: asks to run {module}.{name}, where only arrays and plain values "
            "should be; do not use it, download it again"
        )
