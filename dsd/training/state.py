"""The state of a phase in training, and its checkpoint.

A new field of the checkpoint goes into `Progress`, with a default: all of that is saved. If it
differs by process, it goes into `_of_this_process` and `resume`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dsd.errors import UserError
from dsd.pruning.sparsifier import Sparsifier
from dsd.runs import checkpoint
from dsd.runs.phase_file import check_format
from dsd.runs.settings import Settings
from dsd.runs.tree import Place
from dsd.suite.recipe import validate
from dsd.training.distributed import gather
from dsd.training.optimizers import AnyOptimizer, make_optimizer
from dsd.training.random_state import rng_state, set_rng_state
from dsd.training.run import Run


@dataclass
class Progress:
    """How far a phase has come. All of it is in the checkpoint."""

    steps: int = 0  # done in this phase
    sums: dict[str, Tensor] = field(default_factory=dict)  # of the unfinished epoch, float64
    examples: int = 0  # of the unfinished epoch, this process's
    epochs: list[dict[str, Any]] = field(default_factory=list)  # the record's rows
    best: dict[str, Any] | None = None  # with carry_over: best_heldout
    seconds: float = 0.0  # trained so far
    skipped: list[str] = field(default_factory=list)  # examples that could not be used
    sessions: list[dict[str, Any]] = field(default_factory=list)  # provenance of each part of it


@dataclass
class TrainState:
    """All that a phase's next optimizer step depends on."""

    net: nn.Module  # the plain network: names, state, evaluation
    model: nn.Module  # the same, wrapped for training (autocast, DDP, compile)
    optimizer: AnyOptimizer
    sparsifier: Sparsifier
    progress: Progress = field(default_factory=Progress)
    stages: list[dict[str, Any]] = field(default_factory=list)  # histograms at the phase's start
    half_widths: dict[str, float] = field(default_factory=dict)  # of histograms, set at the end
    saved_at: float = field(default_factory=time.monotonic)  # the last checkpoint, in this process


def build(run: Run, place: Place) -> TrainState:
    """Returns the state of a phase before anything is loaded into it."""
    accelerator = run.accelerator
    accelerator.free_memory()  # it would keep every model that it has prepared
    net = run.task.model().to(accelerator.device)
    if run.options.channels_last:
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(run.recipe.optimizer, net.parameters(), place.node.phase.lr)
    sparsifier = run.sparsifier(net, optimizer, place.node.phase)
    return TrainState(net, accelerator.prepare_model(net), optimizer, sparsifier)


def save(run: Run, place: Place, state: TrainState) -> None:
    """Writes the phase's checkpoint; all processes must call it together."""
    progress, accelerator = state.progress, run.accelerator
    skipped = gather(accelerator, run.task.skipped)
    progress.skipped = sorted({*progress.skipped, *(name for names in skipped for name in names)})
    ranks = gather(accelerator, _of_this_process(progress))
    if accelerator.is_main_process:
        content = {
            "format": checkpoint.CONTENT,
            "settings": place.settings.model_dump(mode="json"),
            "model": state.net.state_dict(),
            "assets": run.task.assets,
            "optimizer": state.optimizer.state_dict(),
            "sparsifier": state.sparsifier.state_dict(),
            "ranks": ranks,
            "progress": vars(progress),
            "stages": state.stages,
            "half_widths": state.half_widths,
        }
        checkpoint.save(place.folder, content)
    accelerator.wait_for_everyone()
    state.saved_at = time.monotonic()


def resume(run: Run, place: Place) -> TrainState | None:
    """Returns the phase's state from its checkpoint, None where there is none.

    Raises UserError when the checkpoint is damaged or was trained with other settings.
    """
    saved = checkpoint.load(place.folder)
    if saved is None:
        return None
    check_format(saved, place.folder, checkpoint.CONTENT)
    checkpoint.complete(saved, place.folder)
    place.check(validate(Settings, saved["settings"], f"{place.folder}: checkpoint"))
    state = build(run, place)
    load(state, saved, place.folder)
    with _fitting(place.folder):
        state.stages, state.half_widths = saved["stages"], saved["half_widths"]
        state.progress = Progress(**saved["progress"])
        own = saved["ranks"][run.accelerator.process_index]
        set_rng_state(own["rng"])
        device = run.accelerator.device
        state.progress.sums = {name: value.to(device) for name, value in own["sums"].items()}
        state.progress.examples = own["examples"]
    return state


def load(state: TrainState, saved: dict[str, Any], folder: Path) -> None:
    """Loads the weights, optimizer and masks of a folder's checkpoint into a state.

    Raises UserError when they are another network's.
    """
    with _fitting(folder):
        state.net.load_state_dict(saved["model"])
        state.optimizer.load_state_dict(saved["optimizer"])
        state.sparsifier.load_state_dict(saved["sparsifier"])


@contextmanager
def _fitting(folder: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        why = (str(error) or type(error).__name__).splitlines()[-1].strip()
        raise UserError(
            f"{folder}: its checkpoint does not fit this network and its training ({why}); move "
            "the folder away to train the phase again"
        ) from None


def last_saved(place: Place) -> str:
    """Returns which checkpoint is the last good one of a phase, in words for a message."""
    kept = checkpoint.load(place.folder)
    return f"of step {kept['progress']['steps']}" if kept else "is the phase before's"


def refuse_without_heldout(run: Run) -> None:
    """Raises UserError for carry_over: best_heldout where there is no held-out split."""
    if run.recipe.carry_over == "best_heldout" and not run.task.heldout:
        raise UserError(
            f"{run.recipe.name}: carry_over: best_heldout needs a held-out split; "
            "set task.heldout, or carry_over: last"
        )


def _of_this_process(progress: Progress) -> dict[str, Any]:
    """Returns what differs by process: random generators, and sums over its examples."""
    sums = {name: value.cpu() for name, value in progress.sums.items()}
    return {"rng": rng_state(), "sums": sums, "examples": progress.examples}
