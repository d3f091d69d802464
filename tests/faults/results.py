"""What a run left, in a form that is equal for equal results."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

CHANGING = (
    "made",
    "sha256",
    "checksum",
    "date",
    "sessions",
    "seconds",
)  # differ between equal runs


def results(runs: Path) -> dict[str, Any]:
    """Returns records, per-example results and weights below a folder of runs, by file."""
    found: dict[str, Any] = {}
    for path in sorted(runs.rglob("*.json")):
        if path.name != "checkpoint.json" and "miniature" not in path.parts:
            found[str(path.relative_to(runs))] = _stable(json.loads(path.read_text()))
    for path in sorted(runs.rglob("*.npz")):
        if "miniature" not in path.parts:
            found[str(path.relative_to(runs))] = _arrays(path.read_bytes())
    for path in sorted(runs.rglob("checkpoint.json")):
        file = path.with_name(json.loads(path.read_text())["file"])
        state = torch.load(file, map_location="cpu", weights_only=True)
        found[str(path.parent.relative_to(runs))] = {
            name: tensor.numpy().tobytes() for name, tensor in state["model"].items()
        }
    return found


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(each) for key, each in value.items() if key not in CHANGING}
    return [_stable(each) for each in value] if isinstance(value, list) else value


def _arrays(data: bytes) -> dict[str, bytes]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name].tobytes() for name in arrays}


BROKEN = (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, RuntimeError)


def same_as(expected: dict[str, Any], runs: Path) -> bool:
    """Returns whether a folder of runs holds these results."""
    try:
        return results(runs) == expected
    except BROKEN:
        return False
