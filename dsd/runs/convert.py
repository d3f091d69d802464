"""`dsd convert`: converts runs of version 0.1.0 to the present format, without training anything.

This is the only file that knows format 1, and can be removed once no such runs are left.
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import Tensor

from dsd.errors import UserError
from dsd.runs import checkpoint
from dsd.runs.files import lock, write_atomically
from dsd.runs.record import PhaseRecord
from dsd.runs.settings import Settings, digest
from dsd.runs.tree import FORMAT, PhaseFile
from dsd.suite.folder import Suite
from dsd.suite.recipe import validate


def convert(suite: Suite, runs: Path) -> Iterator[str]:
    """Converts every phase below a folder of runs; yields a line for each that it changed.

    Run again after a stop, it converts the rest. Raises UserError when a file is damaged or its
    folder is in use.
    """
    folders = {path.parent for path in runs.glob(f"**/{checkpoint.POINTER}")}
    for folder in sorted(folders, key=lambda path: -len(path.parts)):  # renamed from the leaves up
        with lock(folder):
            changed = _convert(suite, folder)
        if changed:
            yield f"{folder}: {changed}"


def _convert(suite: Suite, folder: Path) -> str:
    """Converts one phase; each part is done only if a stop before it left it undone."""
    state = checkpoint.load(folder)
    assert state is not None
    layers = _pruned(state["model"], state["settings"]["exclude"])
    settings = _settings(state["settings"], layers, folder)
    changed = _convert_phase_file(folder / "phase.json", layers)
    if state.get("format", 1) == 1:
        content = {"half_widths": {}, **state}  # only written at the end of a phase
        content |= {"format": FORMAT, "settings": settings.model_dump(mode="json")}
        checkpoint.save(folder, content)
        changed = True
    new = _rename(suite, folder, settings)
    if new:
        return f"converted, now {new}"
    return "converted" if changed else ""


def _convert_phase_file(path: Path, layers: tuple[str, ...]) -> bool:
    """Converts a finished phase's file; returns whether there was anything to do."""
    if not path.exists():
        return False
    try:
        old = dict(json.loads(path.read_text()))
        if old.get("format", 1) != 1:
            return False
        parameters, raw = old.pop("parameters"), old.pop("settings")
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{path}: damaged; remove it to train the phase again") from None
    settings = _settings(raw, layers, path.parent)
    record = validate(PhaseRecord, old, str(path))
    file = PhaseFile(format=FORMAT, settings=settings, parameters=parameters, record=record)
    text = json.dumps(file.model_dump(mode="json"), allow_nan=False)
    write_atomically(path, text.encode())
    return True


def _pruned(model: dict[str, Tensor], exclude: list[str]) -> tuple[str, ...]:
    """Returns the names that format 1 pruned: two or more dimensions, no bias, not excluded."""

    def excluded(name: str) -> bool:
        parts = name.split(".")
        path = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        return any(fnmatchcase(module, entry) for module in path for entry in exclude)

    return tuple(
        name
        for name, weight in model.items()
        if weight.dim() >= 2
        and not name.rpartition(".")[2].startswith("bias")
        and not excluded(name)
    )


def _settings(raw: dict[str, Any], layers: tuple[str, ...], folder: Path) -> Settings:
    return validate(Settings, {**raw, "layers": layers}, f"{folder}: settings")


def _rename(suite: Suite, folder: Path, settings: Settings) -> str:
    """Gives the folder of changed settings its present name; returns it, "" when it has it."""
    name = settings.path[-1].folder
    if folder.name == name:
        return ""
    corpus = folder.parents[len(settings.path)].name.partition("-")[0]
    new = folder.with_name(f"{name}-{digest(settings, suite.task_module(corpus).Settings)}")
    if folder == new:
        return ""
    folder.rename(new)
    return new.name
