"""Checkpoints: a crash at any instant leaves a whole one, and each is checked on reading."""

import json
from pathlib import Path
from typing import Any

import torch

from dsd.errors import UserError
from dsd.pruning.saved import masks_of
from dsd.runs.files import sha256, whole_file, write_atomically

FORMAT = 2  # of the pointer: 1, without `format`, was the same
CONTENT = 2  # of what a run saves, see dsd/training/state.py
POINTER = "checkpoint.json"
SLOTS = ("checkpoint-a.pt", "checkpoint-b.pt")


def save(folder: Path, state: dict[str, Any]) -> None:
    """Writes `state` to `folder` as its one checkpoint.

    Two files alternate; the pointer, replaced last, names the newer one and its SHA-256, so it
    never names half a checkpoint. Raises UserError when the disk is full; the older one stays.
    """
    pointer_path = folder / POINTER
    taken = _pointer(folder)["file"] if pointer_path.exists() else ""
    name = next(slot for slot in SLOTS if slot != taken)
    with whole_file(folder / name) as file:
        torch.save(state, file)
    pointer = {"format": FORMAT, "file": name, "sha256": sha256(folder / name)}
    write_atomically(pointer_path, json.dumps(pointer).encode())
    if taken:
        (folder / taken).unlink(missing_ok=True)


def load(folder: Path) -> dict[str, Any] | None:
    """Returns the folder's checkpoint on the CPU, or None where there is none.

    Raises UserError when the file is not the one that was written.
    """
    if not (folder / POINTER).exists():
        return None
    pointer = _pointer(folder)
    path, remedy = folder / pointer["file"], _remedy(folder)
    if not path.exists():
        raise UserError(f"{path}: missing; {remedy}")
    if sha256(path) != pointer["sha256"]:
        raise UserError(f"{path}: damaged (its SHA-256 is not the one written); {remedy}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a foreign file raises many kinds
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: cannot be read ({why}); {remedy}") from None
    if not isinstance(state, dict):
        raise UserError(f"{path}: holds no checkpoint of dsd's; {remedy}")
    if "sparsifier" in state:  # held and saved as bits
        try:
            state["sparsifier"]["masks"] = masks_of(state["sparsifier"])
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            raise UserError(f"{path}: its masks cannot be read ({error}); {remedy}") from None
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
    return complete(state, folder)


def complete(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Returns a phase's checkpoint. Raises UserError when it lacks what every phase's has."""
    for part in ("settings", "model"):
        if not isinstance(state.get(part), dict):
            raise UserError(f"{folder}: its checkpoint has no {part}; {_remedy(folder)}")
    return state


def _pointer(folder: Path) -> dict[str, str]:
    """Reads which of the two files is the checkpoint. Raises UserError for anything else."""
    path = folder / POINTER
    try:
        pointer: dict[str, Any] = dict(json.loads(path.read_text()))
        known = pointer.get("format", 1) in (1, FORMAT)
        sound = pointer["file"] in SLOTS and isinstance(pointer["sha256"], str)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: damaged; {_remedy(folder)}") from None
    if not known:
        raise UserError(f"{path}: has format {pointer['format']!r}; update this program")
    if not sound:
        raise UserError(f"{path}: damaged; {_remedy(folder)}")
    return pointer


def _remedy(folder: Path) -> str:
    return f"move {folder} away to train this phase again, or put the file back"
