"""Results of slow statistics, kept in a file, so that what has not changed costs nothing.

Each is kept under a digest of all that it rests on: the method with its version, and the numbers or
the checksums of the files that it was computed from.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from pydantic import FiniteFloat, TypeAdapter

from dsd.runs.files import write_atomically

VERSION = 1  # rises when a method's result for the same numbers would be another
FILE = "runs/cache/statistics.json"  # in the suite's folder

P = ParamSpec("P")
Result = TypeVar("Result")
Kept = dict[str, tuple[FiniteFloat, FiniteFloat] | FiniteFloat | None]
_SHAPE: TypeAdapter[Kept] = TypeAdapter(Kept)
_open: ContextVar[Kept | None] = ContextVar("kept results", default=None)


@contextmanager
def kept(root: Path) -> Iterator[None]:
    """Looks results up in a suite's file meanwhile, and adds new ones; without it, none is kept."""
    known = _read(root / FILE)
    before = len(known)
    token = _open.set(known)
    try:
        yield
    finally:
        _open.reset(token)
        if len(known) > before:
            _write(root / FILE, known)


def remember(key: object, compute: Callable[[], Result]) -> Result:
    """Returns the kept result of a key, which JSON can hold; else what `compute` returns."""
    known = _open.get()
    if known is None:
        return compute()
    text = json.dumps([VERSION, key], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    if digest not in known:
        known[digest] = compute()  # type: ignore[assignment]
    return known[digest]  # type: ignore[return-value]


def remembered(function: Callable[P, Result]) -> Callable[P, Result]:
    """Keeps the results of a function of sequences of numbers, and of options by name."""

    @wraps(function)
    def call(*samples: P.args, **options: P.kwargs) -> Result:
        plain = [[float(value) for value in sample] for sample in samples]  # type: ignore[attr-defined]
        key = [function.__name__, plain, options]
        return remember(key, lambda: function(*samples, **options))

    return call


def _read(path: Path) -> Kept:
    """Returns what a file holds, nothing where it is missing or not as it was written."""
    with suppress(OSError, ValueError):  # pydantic's error is a ValueError
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
        if digest == hashlib.sha256(text.encode()).hexdigest():
            return _SHAPE.validate_json(text)
    return {}


def _write(path: Path, results: Kept) -> None:
    text = json.dumps(results, sort_keys=True)
    with suppress(OSError):  # a folder that cannot be written to costs time, nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        write_atomically(path, f"{digest}\n{text}".encode())
