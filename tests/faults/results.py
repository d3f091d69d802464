"""What a run left, in a form that is equal for equal results."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dsd.errors import UserError
from dsd.runs import phase_file, record

CHANGING = {"provenance", "arrays", "sha256"}  # differ between equal runs


def results(runs: Path) -> dict[str, Any]:
    """Returns records, phases with their arrays, and weights below a folder of runs."""
    found = records(runs / "records")
    for path in sorted(runs.rglob("phase.json")):
        file = phase_file.read(path)
        where = str(path.parent.relative_to(runs))
        found[f"{where}: phase"] = _stable(file.model_dump(mode="json"))
        found[f"{where}: arrays"] = _bytes(phase_file.read_arrays(path, file))
    for path in sorted(runs.rglob("checkpoint.json")):
        newest = path.with_name(json.loads(path.read_text())["file"])
        state = torch.load(newest, map_location="cpu", weights_only=True)
        found[str(path.parent.relative_to(runs))] = {
            name: tensor.numpy().tobytes() for name, tensor in state["model"].items()
        }
    return found


def records(folder: Path) -> dict[str, Any]:
    """Returns the records of a folder, with their arrays."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.json")):
        found[path.name] = _stable(record.read(path).model_dump(mode="json", exclude={"links"}))
        found[f"{path.name}: examples"] = _bytes(record.read_examples(path))
        found[f"{path.name}: stages"] = str(record.read_stages(path))
    return found


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(each) for key, each in value.items() if key not in CHANGING}
    return [_stable(each) for each in value] if isinstance(value, list) else value


def _bytes(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in arrays.items()}


BROKEN = (UserError, ValueError, KeyError, OSError, EOFError, RuntimeError)


def same_as(expected: dict[str, Any], runs: Path) -> bool:
    """Returns whether a folder of runs holds these results."""
    try:
        return results(runs) == expected
    except BROKEN:
        return False
