"""`dsd convert`: converts runs and records of earlier versions, without training anything.

This is the only file that knows formats 1 and 2 of a phase and version 1 of a record; it can be
removed once there are none left.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor

from dsd.errors import UserError
from dsd.runs import checkpoint, phase_file, record, sealed
from dsd.runs.files import lock, sha256
from dsd.runs.phase_file import PhaseFile, PhaseRecord
from dsd.runs.settings import Settings, digest
from dsd.runs.tree import address
from dsd.suite.folder import Suite
from dsd.suite.recipe import validate

RENAMED = {  # of a phase's record
    "handed_on_epoch": "carried_over_epoch",
    "returned": "reborn",
    "made": "provenance",
}
OF_VERSION_1 = (  # of a record
    *("schema_name", "version", "settings", "parameters", "phases", "final", "examples", "made"),
)


def convert(suite: Suite, runs: Path) -> Iterator[str]:
    """Converts every phase and record below a folder; yields a line for each that it changed.

    Run again after a stop, it converts the rest. Raises UserError when a file is damaged or its
    folder is in use.
    """
    folders = {path.parent for path in runs.glob(f"**/{checkpoint.POINTER}")}
    for folder in sorted(folders, key=lambda path: -len(path.parts)):  # renamed from the leaves up
        with lock(folder):
            changed = _convert(suite, folder)
        if changed:
            yield f"{folder}: {changed}"
    for path in sorted(runs.glob("**/*.seed*.json")):
        if convert_record(path):
            yield f"{path}: converted"


def _convert(suite: Suite, folder: Path) -> str:
    """Converts one phase; each part is done only if a stop before it left it undone."""
    state = checkpoint.load(folder)
    assert state is not None
    layers = _pruned(state["model"], state["settings"]["exclude"])
    settings = _settings(state["settings"], layers, folder)
    changed = _convert_phase_file(folder / "phase.json", layers)
    if state.get("format", 1) == 1:
        content = {"half_widths": {}, **state}  # only written at the end of a phase
        content |= {"format": checkpoint.CONTENT, "settings": settings.model_dump(mode="json")}
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
    examples = path.with_name("examples.npz")  # of formats 1 and 2
    raw = sealed.read(path, phase_file.REMEDY)
    if raw.get("format", 1) in (1, 2):
        try:
            settings = _settings(raw.pop("settings"), layers, path.parent)
            parameters = raw.pop("parameters")
            old = raw.get("record", raw)
            arrays = phase_file.unpack(examples.read_bytes(), examples)
            _write_phase(path, settings, parameters, old, arrays)
        except (OSError, TypeError, KeyError):
            raise UserError(f"{path}: damaged; {phase_file.REMEDY}") from None
    elif not examples.exists():
        return False
    examples.unlink()  # last: it says that a conversion is not finished
    return True


def convert_record(path: Path) -> bool:
    """Converts a record of version 1 in its place; returns whether it was one."""
    raw = sealed.read(path, record.REMEDY)
    beside = path.with_suffix("").with_name(path.name.removesuffix(".json") + ".npz")
    if raw.get("schema_name") != record.SCHEMA or raw.get("version") != 1:
        if raw.get("version") == record.VERSION and beside.exists():
            beside.unlink()  # what a stop left over
        return False
    if not beside.exists() or sha256(beside) != raw["examples"]["sha256"]:
        raise UserError(f"{beside}: missing, or not the file that {path.name} names")
    examples = phase_file.unpack(beside.read_bytes(), beside)
    if raw["final"] != raw["phases"][-1]["test"]:
        raise UserError(f"{path}: its final figures are not its last phase's; {record.REMEDY}")
    label = record.label(raw["recipe"], raw["scale"])
    phases: list[tuple[str, Path]] = []
    with TemporaryDirectory() as folder:
        for depth, phase in enumerate(raw["phases"], start=1):
            settings = _of_path(raw["settings"], depth, tuple(phase["layers"]), path)
            where = f"{address(settings.path)}/"
            mine = {
                key.removeprefix(where): values
                for key, values in examples.items()
                if key.startswith(where) and key.removeprefix(where).count("/") == 1
            }
            source = Path(folder) / f"{depth}.json"
            _write_phase(source, settings, raw["parameters"], phase, mine)
            phases.append((f"{label}/seed{settings.seed}/{where}".rstrip("/"), source))
        record.write(path, {k: v for k, v in raw.items() if k not in OF_VERSION_1}, phases)
    beside.unlink()
    return True


def _write_phase(
    path: Path,
    settings: Settings,
    parameters: int,
    old: dict[str, Any],
    examples: dict[str, np.ndarray],
) -> None:
    """Writes a phase whose part of the record has the keys of version 1."""
    renamed = {RENAMED.get(key, key): value for key, value in old.items()}
    stages = renamed.pop("stages")
    renamed["stages"] = [{"stage": one["stage"], "moment": one["moment"]} for one in stages]
    done = validate(PhaseRecord, renamed, str(path))
    file = PhaseFile(settings=settings, parameters=parameters, record=done, arrays="")
    for one in stages:
        if [*one["layers"]] != [*done.layers]:
            raise UserError(f"{path}: stage {one['stage']} has other layers than its phase")
    weights = phase_file.pack_histograms([one["layers"] for one in stages])
    phase_file.write(path, file, {**examples, **weights})


def _of_path(raw: dict[str, Any], depth: int, layers: tuple[str, ...], path: Path) -> Settings:
    """Returns the settings of an earlier phase of a run, from those of its last."""
    mine = {**raw, "path": raw["path"][:depth]}
    if depth == 1 and raw.get("dense_seed") is not None:
        mine |= {"seed": raw["dense_seed"], "dense_seed": None}
    return _settings(mine, layers, path)


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
