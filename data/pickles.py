"""Old programs' pickles, read without running any code of theirs."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from dsd.errors import UserError


def load_pickle(path: Path) -> Any:
    """Returns plain values and NumPy arrays; what was `str` in Python 2 comes as bytes.

    Texts that Python 3 wrote come as `str`.

    Raises UserError for a pickle that asks for anything else, and what a damaged one raises.
    """
    with path.open("rb") as file:
        return _Arrays(file, path).load()


class _Arrays(pickle.Unpickler):
    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file, encoding="bytes")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        place = f"{module.replace('numpy.core', 'numpy._core')}.{name}"
        if place in KNOWN:
            return KNOWN[place]
        if module.partition(".")[0] in USUAL:
            raise UserError(
                f"{self._path}: holds {module}.{name}, which is not read here; save arrays, lists "
                "and texts alone"
            )
        raise UserError(
            f"{self._path}: asks to run {module}.{name}, where only arrays and plain values "
            "should be; do not use it, download it again"
        )


def latin1(text: str, encoding: str) -> bytes:
    """Encodes bytes as Python 3 writes them in protocols 0 to 2, and nothing else."""
    if encoding.lower().replace("-", "") != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding}")
    return text.encode("latin1")


# Packages whose objects people save along with arrays; they are no attack, but are not read either.
USUAL = ("argparse", "collections", "copyreg", "datetime", "numpy", "pandas", "pathlib", "scipy")
# What arrays and bytes are made of, in all protocols of Python 2 and 3 and all versions of NumPy.
KNOWN: dict[str, Any] = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "numpy._core.multiarray._reconstruct": np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    "numpy._core.multiarray.scalar": np._core.multiarray.scalar,  # type: ignore[attr-defined]
    "numpy._core.numeric._frombuffer": np._core.numeric._frombuffer,  # type: ignore[attr-defined]
    "_codecs.encode": latin1,
    "__builtin__.bytearray": bytearray,
    "builtins.bytearray": bytearray,
    "builtins.bytes": bytes,
    "collections.OrderedDict": OrderedDict,
}
