"""Checkpoints: a crash at any instant leaves a whole one, and each is checked on reading."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from dsd.errors import UserError
from dsd.pruning.sparsifier import masks_of
from dsd.runs.files import sha256, write_atomically

POINTER = "checkpoint.json"
SLOTS = ("checkpoint-a.pt", "checkpoint-b.pt")


def save(folder: Path, state: dict[str, Any]) -> None:
    """Writes `state` to `folder` as its one checkpoint.

    Two files alternate; the pointer, replaced last, names the newer one and its SHA-256, so it
    never names half a checkpoint.
    """
    pointer_path = folder / POINTER
    taken = json.loads(pointer_path.read_text())["file"] if pointer_path.exists() else ""
    name = next(slot for slot in SLOTS if slot != taken)
    with (folder / name).open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    pointer = {"file": name, "sha256": sha256(folder / name)}
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
    if sha256(path) != expected:
        raise UserError(f"{path}: damaged (its SHA-256 is not the one written); {remedy}")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be read ({why}); {remedy}") from None
    if "sparsifier" in state:  # held and saved as bits
        state["sparsifier"]["masks"] = masks_of(state["sparsifier"])
    return state


def load_named(folder: Path) -> dict[str, Any]:
    """Returns the checkpoint of a phase's folder that the user named.

    Raises UserError when there is none, with a folder below that has one.
    """
    state = load(folder)
    if state is None:
        phases = sorted(path.parent for path in folder.glob(f"**/{POINTER}"))
        hint = f"; name a phase's folder in it, such as {phases[-1]}" if phases else ""
        raise UserError(f"{folder}: holds no checkpoint{hint or '; train one with dsd run'}")
    return state
