"""The tree of phases on disk, e.g. `runs/cifar10-resnet20/seed0/dense/sparse/redense`.

Arms that begin with the same phases share folders, so the dense phase is trained once for a seed.
Phases that changed settings do not affect are shared too; one that they affect has its own
folder.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from dsd.errors import UserError
from dsd.runs import checkpoint
from dsd.runs.files import write_atomically
from dsd.runs.record import PhaseRecord
from dsd.runs.settings import Settings, difference, digest
from dsd.suite.recipe import Node, Recipe, validate

FORMAT = 2  # of phase.json


class PhaseFile(BaseModel):
    """phase.json: marks a phase finished, and holds its part of its arms' records."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    settings: Settings
    parameters: int  # of the network
    record: PhaseRecord


@dataclass(frozen=True)
class Place:
    """A phase in the tree: its folder, and the settings that decide its result."""

    folder: Path
    settings: Settings
    parent: "Place | None" = None
    task: type[BaseModel] | None = None  # the model of the task's settings

    @property
    def path(self) -> tuple[Node, ...]:
        """Returns the phases from the dense one to this one, as planned."""
        return self.settings.path

    @property
    def node(self) -> Node:
        """Returns this phase as planned."""
        return self.path[-1]

    @property
    def address(self) -> str:
        """Returns the folders of its path, e.g. dense/sparse/redense."""
        return address(self.path)

    @property
    def finished(self) -> bool:
        """Returns whether the phase is trained. Raises UserError if it was with other settings."""
        if not (self.folder / "phase.json").exists():
            return False
        self.check(self.file().settings)
        return True

    def check(self, settings: Settings) -> None:
        """Raises UserError when a file's settings differ from this phase's, naming the first."""
        if fault := difference(settings, self.settings, self.task):
            raise UserError(
                f"{self.folder}: trained with other settings ({fault}); move the folder away to "
                "train again, or give --runs another folder"
            )

    def file(self) -> PhaseFile:
        """Reads phase.json of a finished phase."""
        return read_phase(self.folder)

    def checkpoint(self) -> dict[str, Any]:
        """Reads the checkpoint of a finished phase."""
        state = checkpoint.load(self.folder)
        if state is None:
            raise UserError(
                f"{self.folder}: the phase is marked finished but its checkpoint is gone; "
                f"remove {self.folder / 'phase.json'} to train it again"
            )
        return state

    def examples(self) -> dict[str, np.ndarray]:
        """Returns the finished phase's per-example results, by <split>/<name>."""
        with np.load(self.folder / "examples.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    def finish(self, file: PhaseFile, examples: dict[str, np.ndarray]) -> None:
        """Writes per-example results and, last, the file that marks the phase finished."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **examples)
        write_atomically(self.folder / "examples.npz", buffer.getvalue())
        text = json.dumps(file.model_dump(mode="json"), allow_nan=False)
        write_atomically(self.folder / "phase.json", text.encode())


def read_phase(folder: Path) -> PhaseFile:
    """Reads a folder's phase.json. Raises UserError when it is damaged or of another format."""
    path = folder / "phase.json"
    try:
        raw = json.loads(path.read_text())
    except ValueError:
        raise UserError(f"{path}: damaged; remove it to train the phase again") from None
    check_format(raw, path)
    return validate(PhaseFile, raw, str(path))


def check_format(raw: Any, where: Path) -> None:
    """Raises UserError when a run's file has another format than this version's."""
    found = raw.get("format", 1) if isinstance(raw, dict) else None
    if found != FORMAT:
        remedy = "convert the folder with dsd convert" if found == 1 else "update this program"
        raise UserError(f"{where}: has format {found}, this program reads {FORMAT}; {remedy}")


def address(path: Sequence[Node]) -> str:
    """Returns the folders of a path of phases, e.g. dense/sparse-unmasked/redense."""
    return "/".join(node.folder for node in path)


def places(
    root: Path,
    path: Sequence[Node],
    recipe: Recipe,
    usual: Recipe,
    settings: Callable[[Recipe, Sequence[Node]], Settings],
    task: type[BaseModel] | None = None,
    dense: Place | None = None,
) -> list[Place]:
    """Returns the places of a path's phases below `root`, the folder of a seed.

    usual: the recipe without changed settings. settings: returns those of the last phase of a path.
    dense: the first phase, where it is another seed's.
    """
    folder, found = root, list[Place]()
    for depth, node in enumerate(path, start=1):
        if depth == 1 and dense:
            folder /= dense.folder.name
            found.append(dense)
            continue
        here = settings(recipe, path[:depth])
        changed = _changed(usual, path[:depth], settings, here, task)
        folder /= node.folder + (f"-{digest(here, task)}" if changed else "")
        found.append(Place(folder, here, found[-1] if found else None, task))
    return found


def _changed(
    usual: Recipe,
    path: Sequence[Node],
    settings: Callable[[Recipe, Sequence[Node]], Settings],
    here: Settings,
    task: type[BaseModel] | None,
) -> bool:
    """Returns whether the recipe without changed settings differs for a path's last phase."""
    if any(node.name not in usual.phases for node in path):
        return True
    as_usual = [node.model_copy(update={"phase": usual.phases[node.name]}) for node in path]
    return bool(difference(settings(usual, as_usual), here, task))
