"""A layer's weights at every stage of a round, read again from the checkpoints of a finished run.

They equal what the run's record holds of them, for where the record is not at hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from dsd.errors import UserError
from dsd.pruning.statistics import histogram
from dsd.runs.checkpoint import load_named

STAGES = ("dense", "pruned", "sparse-trained", "zeros restored", "re-dense")


@dataclass(frozen=True)
class Checkpoints:
    """The phases of a finished run, each with its folder and its node of the plan."""

    folders: Sequence[Path]
    nodes: Sequence[dict[str, Any]]
    task: dict[str, Any]  # the recipe's section
    layers: list[str]  # that are pruned

    @property
    def label(self) -> str:
        """Returns recipe and scale as the folder of the runs has them."""
        return self.folders[0].parent.parent.name

    @property
    def seed(self) -> str:
        """Returns for example "seed0"."""
        return self.folders[0].parent.name

    @property
    def path(self) -> list[str]:
        """Returns the names of the phases' folders."""
        return [folder.name for folder in self.folders]

    @property
    def pruned(self) -> list[int]:
        """Returns the places of the phases under a mask that a phase without one follows."""
        masked = [node["mask"] != "none" for node in self.nodes]
        return [i for i in range(1, len(masked) - 1) if masked[i] and not masked[i + 1]]


def finished(folder: Path) -> Checkpoints:
    """Returns the phases of the run whose last phase has this folder.

    Raises UserError that names the folder: no checkpoint, one that is damaged, not trained to its
    end.
    """
    folder = folder.resolve()
    state = _load(folder)
    nodes = state["settings"]["path"]
    folders = [*reversed(folder.parents[: len(nodes) - 1]), folder]
    return Checkpoints(folders, nodes, state["settings"]["task"], list(state["half_widths"]))


def stages(run: Checkpoints, layer: str, number: int) -> list[tuple[str, dict[str, Any]]]:
    """Returns (name, histogram as in a record) of a layer's five stages in a round, from 1 on."""
    place = run.pruned[number - 1]
    before, sparse, after = (_load(folder) for folder in run.folders[place - 1 : place + 2])
    first = STAGES[0] if place == 1 else "re-dense" if place - 2 in run.pruned else "trained"
    mask: Tensor = sparse["sparsifier"]["masks"][layer]
    start, end = before["model"][layer], sparse["model"][layer]
    weights = (start, start.where(mask, 0), end, end, after["model"][layer])
    width = before["half_widths"][layer]
    return [
        (name, dict(histogram(weight, width)))
        for name, weight in zip((first, *STAGES[1:]), weights, strict=True)
    ]


def _load(folder: Path) -> dict[str, Any]:
    state = load_named(folder)
    if "half_widths" not in state:
        raise UserError(f"{folder}: not trained to its end; give its `dsd run` again, it goes on")
    return state
