"""Checkpoints: a crash at any instant leaves a whole one, and each is checked on reading."""

import fcntl
import hashlib
import json
import os
import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dsd.errors import UserError

POINTER = "checkpoint.json"
SLOTS = ("checkpoint-a.pt", "checkpoint-b.pt")


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces `path` by `data`: after a crash the file is either the old one or the new one."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def save(folder: Path, state: dict[str, Any]) -> None:
    """Writes `state` to `folder` as its one checkpoint.

    Two files take turns; the pointer, replaced last, names the newest and its SHA-256, so it never
    leads to half a checkpoint.
    """
    pointer_path = folder / POINTER
    taken = json.loads(pointer_path.read_text())["file"] if pointer_path.exists() else ""
    name = next(slot for slot in SLOTS if slot != taken)
    with (folder / name).open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    pointer = {"file": name, "sha256": _sha256(folder / name)}
    write_atomically(pointer_path, json.dumps(pointer).encode())
    if taken:
        (folder / taken).unlink(missing_ok=True)


def load(folder: Path) -> dict[str, Any] | None:
    """Returns the folder's checkpoint on the CPU, or None where there is none.

    Raises UserError when the file is not the one that was written.
    """
    pointer_path = folder / POINTER
    if not pointer_path.exists():
        return None
    remedy = f"move {folder} away to train this phase again, or put the file back"
    try:
        pointer = json.loads(pointer_path.read_text())
        path, expected = folder / pointer["file"], pointer["sha256"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{pointer_path}: damaged; {remedy}") from None
    if not path.exists():
        raise UserError(f"{path}: missing; {remedy}")
    if _sha256(path) != expected:
        raise UserError(f"{path}: damaged (its SHA-256 is not the one written); {remedy}")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be read ({why}); {remedy}") from None
    return state


def load_named(folder: Path) -> dict[str, Any]:
    """Returns the checkpoint of the phase's folder that a user named.

    Raises UserError, naming a folder beneath that has one, when there is none.
    """
    state = load(folder)
    if state is None:
        phases = sorted(path.parent for path in folder.glob(f"**/{POINTER}"))
        hint = f"; name a phase's folder in it, such as {phases[-1]}" if phases else ""
        raise UserError(f"{folder}: holds no checkpoint{hint or '; train one with dsd run'}")
    return state


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds the run folder for this process; the system lets go when the process dies.

    Raises UserError when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not inherited by data workers
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UserError(
                f"{folder}: in use by process {holder}; wait for it or stop it, then run again"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def rng_state() -> dict[str, Any]:
    """Returns the state of every random generator of this process, readable by `torch.load`."""
    version, internal, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": [version, list(internal), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Sets every random generator to what `rng_state` returned."""
    torch.set_rng_state(state["torch"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def seed_of(*words: object) -> int:
    """Returns a seed below 2^56 that depends on every word."""
    return int.from_bytes(hashlib.sha256(repr(words).encode()).digest()[:7], "big")


def seed_all(*words: object) -> None:
    """Seeds every random generator from the words, so that each phase has its own stream."""
    seed = seed_of(*words)
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
