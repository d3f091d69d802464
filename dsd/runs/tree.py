"""The tree of phases on disk, e.g. `runs/cifar10-resnet20/seed0/dense/sparse/redense`.

Arms that begin with the same phases share folders, so the dense phase is trained once for a seed.
Phases that changed settings do not affect are shared too; one that they affect has its own
folder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dsd.errors import UserError
from dsd.runs import checkpoint, phase_file
from dsd.runs.settings import Settings, difference, digest
from dsd.suite.recipe import Node, Recipe

FINISHED = "phase.json"  # in a folder, marks its phase finished


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
        if not self.file.exists():
            return False
        self.check(phase_file.read(self.file).settings)
        return True

    def check(self, settings: Settings) -> None:
        """Raises UserError when a file's settings differ from this phase's, naming the first."""
        if fault := difference(settings, self.settings, self.task):
            raise UserError(
                f"{self.folder}: trained with other settings ({fault}); move the folder away to "
                "train again, or give --runs another folder"
            )

    @property
    def file(self) -> Path:
        """Returns the file that marks the phase finished."""
        return self.folder / FINISHED

    def checkpoint(self) -> dict[str, Any]:
        """Reads the checkpoint of a finished phase."""
        state = checkpoint.load(self.folder)
        if state is None:
            raise UserError(
                f"{self.folder}: the phase is marked finished but its checkpoint is gone; "
                f"remove {self.file} to train it again"
            )
        return state


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
