"""Algorithm 1 of Han et al., ICLR 2017: train dense, prune and train sparse, train dense again."""

from pathlib import Path
from typing import Any

import torch

from dsd.errors import UserError
from dsd.pruning import statistics
from dsd.pruning.sparsifier import Sparsifier
from dsd.runs.tree import Place
from dsd.training.distributed import agreed
from dsd.training.finish import finish, refuse_another_record, write_record
from dsd.training.optimizers import clear_state
from dsd.training.phase import NotFinite, train
from dsd.training.random_state import seed_all, seed_of
from dsd.training.run import Run
from dsd.training.state import (
    TrainState,
    build,
    last_saved,
    load,
    refuse_without_heldout,
    resume,
)


def train_arm(run: Run, arm: str, phases: int | None = None) -> Path | None:
    """Trains the phases of an arm that are not finished, and writes its record; returns its path.

    phases: train only so many, which leave no record when others follow. Raises UserError for data,
    settings or losses that cannot be used, Stopped when stopped.
    """
    path = run.path(arm)  # dense, sparse, re-dense, ...
    refuse_without_heldout(run)
    todo = [p for p in path[:phases] if not agreed(run.accelerator, p.finished, p.folder)]
    refuse_another_record(run, arm, path)
    for place in todo:
        train_phase(run.owner(place), place)
    return None if phases and phases < len(path) else write_record(run, arm, path)


def train_phase(run: Run, place: Place) -> None:
    """Trains one phase from its checkpoint, from the phase before, or from the start."""
    with run.lock(place), run.reporter.heartbeat(place.folder):
        if run.patient:
            run.accelerator.wait_for_everyone()
            if place.finished:  # by the process that this one has waited for
                return
        seed_all(run.seed, *(node.folder for node in place.path), run.accelerator.process_index)
        state = resume(run, place) or begin(run, place)
        try:
            train(run, place, state)  # after every step the sparsifier holds the mask
        except NotFinite as error:
            name, lr = place.node.name, place.node.phase.lr
            raise UserError(
                f"{place.folder}: the loss is not finite at step {error.step} of phase {name} "
                f"(lr {lr:g}); the last good checkpoint {last_saved(place)}; "
                f"lower phases.{name}.lr or use --precision fp32"
            ) from None
        finish(run, place, state)


def begin(run: Run, place: Place) -> TrainState:
    """Returns the state of a new phase: carried over from the phase before, pruned or re-densed."""
    state = build(run, place)
    if place.parent is None:
        return state
    before = place.parent.checkpoint()
    load(state, before, place.parent.folder)
    if run.recipe.momentum == "reset":  # in every arm, so that controls are treated as dsd is
        clear_state(state.optimizer)
    node, sparsifier = place.node, state.sparsifier
    if node.mask == "kept":
        return state
    if node.mask != "none":
        prune(run, place, sparsifier)
        state.stages = [_stage(state, "pruned", before)]
    elif sparsifier.active:
        sparsifier.densify()  # pruned weights restart from zero
        state.stages = [_stage(state, "zeros restored", before)]
    return state


def prune(run: Run, place: Place, sparsifier: Sparsifier) -> None:
    """Prunes as the phase says, at once or gradually. Raises UserError where it cannot."""
    node = place.node
    try:
        sparsifier.sparsify(
            criterion=node.mask,
            generator=torch.Generator().manual_seed(seed_of("mask", run.seed, len(place.path))),
            gradually=node.phase.gradually(run.task.steps_per_epoch),
        )
    except ValueError as error:
        raise UserError(f"{place.folder}: phases.{node.name}: {error}") from None


def _stage(state: TrainState, name: str, before: dict[str, Any]) -> dict[str, Any]:
    return {
        "stage": name,
        "moment": "start",
        "layers": statistics.stage(state.net, before["half_widths"]),
    }
