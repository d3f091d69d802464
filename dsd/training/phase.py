"""One phase: for every epoch, for every batch, one optimizer step.

The mask is applied after each step by the optimizer's hook (dsd/pruning/sparsifier.py).
"""

import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from dsd.errors import UserError
from dsd.pruning.selection import NoOrder
from dsd.runs.tree import Place
from dsd.training import distributed
from dsd.training.evaluate import evaluate
from dsd.training.prefetch import on_device
from dsd.training.run import Run
from dsd.training.sharding import copied
from dsd.training.state import TrainState, add_sums, save
from dsd.training.stop import Stopped

CHECK_EVERY = 20  # steps between checks of loss and clock where a check costs a device sync


class NotFinite(Exception):
    """The training loss is infinite or NaN at a step, counted from the phase's start."""

    def __init__(self, step: int) -> None:
        super().__init__(f"the loss is not finite at step {step}")
        self.step = step


def train(run: Run, place: Place, state: TrainState) -> None:
    """Trains a phase from its state to its end.

    Raises Stopped, after a checkpoint, when a stop is asked for; NotFinite for an infinite or NaN
    loss.
    """
    progress, per_epoch = state.progress, run.task.steps_per_epoch
    total = round(place.node.phase.epochs * per_epoch)
    if progress.sessions[-1:] != [run.provenance]:
        progress.sessions.append(run.provenance)
    run.reporter.phase(place, total, progress.steps, run.task.unit, per_epoch)
    while True:
        between_epochs = progress.steps == total or progress.steps % per_epoch == 0
        if between_epochs and len(progress.epochs) < math.ceil(progress.steps / per_epoch):
            finish_epoch(run, place, state)
        if progress.steps == total:
            return
        train_epoch(run, place, state, total)


def train_epoch(run: Run, place: Place, state: TrainState, total: int) -> None:
    """Trains to the end of the epoch, or of the phase, which has `total` optimizer steps.

    Raises Stopped and NotFinite, as `train` does, and UserError for a task with too few batches.
    """
    progress, task, optimizer = state.progress, run.task, state.optimizer
    phase, device = place.node.phase, run.accelerator.device
    before = sum(math.ceil(node.phase.epochs) for node in place.path[:-1])  # other shuffles
    epoch, first_step = divmod(progress.steps, task.steps_per_epoch)
    shard, sizes = distributed.shard(run.accelerator), task.batch_sizes(before + epoch)
    check_always = device.type == "cpu" and run.accelerator.num_processes == 1
    state.model.train()
    started = time.monotonic()
    recent: list[Tensor] = []  # losses not yet checked
    batches = task.batches(before + epoch, first_step, shard)
    for batch in on_device(batches, device, run.options.channels_last):
        rate = phase.lr * phase.decay.scale(progress.steps / task.steps_per_epoch, phase.epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss, examples, sums = task.loss(state.model, batch)
        whole = sizes[progress.steps % task.steps_per_epoch]
        run.accelerator.backward(loss * distributed.loss_weight(run.accelerator, examples, whole))
        clip(run, state.net)
        try:
            optimizer.step()
        except NoOrder:  # a gradual schedule sees such weights before the check
            raise NotFinite(progress.steps + 1) from None

        progress.steps += 1
        add_sums(progress, examples, {"loss": loss.detach() * examples, **sums})
        recent.append(loss.detach())
        run.reporter.step(progress.steps, examples)
        last = progress.steps == total or progress.steps % task.steps_per_epoch == 0
        if check_always or last or progress.steps % CHECK_EVERY == 0:
            progress.seconds += time.monotonic() - started
            started = time.monotonic()
            check(run, place, state, recent)
        if last:
            break
    else:
        raise UserError(
            f"{run.recipe.name}: the task's batches of an epoch ended after "
            f"{progress.steps % task.steps_per_epoch}, steps_per_epoch is {task.steps_per_epoch}; "
            "let the two agree"
        )
    progress.seconds += time.monotonic() - started


def check(run: Run, place: Place, state: TrainState, recent: list[Tensor]) -> None:
    """Checks and empties the recent losses; saves a checkpoint when it is time.

    Raises NotFinite for a loss, Stopped when a stop is asked for, after a checkpoint.
    """
    are_finite = torch.isfinite(torch.stack(recent)).tolist()
    recent.clear()
    due = time.monotonic() - state.saved_at >= run.checkpoint_every_s
    failed, stopping, saving = distributed.any_process(
        run.accelerator, not all(are_finite), run.stop.asked(), due
    )
    if failed:
        first = are_finite.index(False) if False in are_finite else len(are_finite) - 1
        raise NotFinite(state.progress.steps - len(are_finite) + first + 1)
    if stopping or saving:
        save(run, place, state)
    if stopping:
        raise Stopped(run.stop.reason)


def clip(run: Run, net: nn.Module) -> None:
    """Clips the gradient's entries or its L2 norm, as the recipe says."""
    if run.recipe.clip_value is not None:
        nn.utils.clip_grad_value_(net.parameters(), run.recipe.clip_value)
    if run.recipe.clip_norm is not None:
        nn.utils.clip_grad_norm_(net.parameters(), run.recipe.clip_norm)


def finish_epoch(run: Run, place: Place, state: TrainState) -> None:
    """Adds the epoch's row to the log: means over the training examples, held-out metrics.

    Raises Stopped, after a checkpoint, and UserError for scores that are not finite.
    """
    started = time.monotonic()
    progress, heldout = state.progress, run.task.heldout
    names = sorted(progress.sums)
    values = torch.stack([progress.sums[name] for name in names])
    counted = torch.cat([values, values.new_tensor([progress.examples])])
    *sums, examples = distributed.total(run.accelerator, counted)
    row: dict[str, Any] = {
        "epoch": progress.steps / run.task.steps_per_epoch,
        "lr": state.optimizer.param_groups[0]["lr"],
        "train": {name: value / examples for name, value in zip(names, sums, strict=True)},
    }
    if heldout:
        try:
            metrics, _ = evaluate(run, state.net, heldout, run.stop)
        except Stopped:
            save(run, place, state)
            raise
        row["heldout"] = metrics
        growing = state.sparsifier.growing  # masks below their final sparsity are not carried over
        if run.recipe.carry_over == "best_heldout" and not growing:
            _keep_best(state, row, run.task.choose_by)
    progress.epochs.append(row)
    progress.sums, progress.examples = {}, 0
    progress.seconds += time.monotonic() - started
    run.reporter.epoch(row)


def _keep_best(state: TrainState, row: dict[str, Any], choose_by: str) -> None:
    best, value = state.progress.best, row["heldout"][choose_by]
    if best is None or value < best["value"]:
        state.progress.best = {
            "value": value,
            "epoch": row["epoch"],
            "model": copied(state.net.state_dict()),
            "optimizer": copied(state.optimizer.state_dict()),
        }
