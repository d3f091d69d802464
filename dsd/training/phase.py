"""Algorithm 1: for every phase, for every epoch, for every batch: step, and hold the mask.

The mask itself is held by the Sparsifier, in the optimizer's step hook.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dsd.pruning.selection import NoOrder
from dsd.pruning.sparsifier import Sparsifier
from dsd.runs.record import finite
from dsd.suite.recipe import Phase
from dsd.suite.task import Task, to_device
from dsd.training.evaluate import score
from dsd.training.stop import Stop, Stopped

CHECK_EVERY = 20  # steps between looks at the loss and the clock where a look costs a device sync


class NotFinite(Exception):
    """The training loss became infinite or NaN; `step` counts from the phase's start."""

    def __init__(self, step: int) -> None:
        super().__init__(f"the loss is not finite at step {step}")
        self.step = step


@dataclass
class Progress:
    """Where a phase stands. Everything in it is saved, and a resumed phase goes on from it."""

    steps: int = 0  # done in this phase
    sums: dict[str, Tensor] = field(default_factory=dict)  # of the unfinished epoch, float64
    examples: int = 0
    epochs: list[dict[str, Any]] = field(default_factory=list)  # the record's rows
    best: dict[str, Any] | None = None  # with hand_on: best_heldout
    seconds: float = 0.0  # trained so far
    skipped: list[str] = field(default_factory=list)  # examples that could not be used
    sessions: list[dict[str, Any]] = field(default_factory=list)  # how each part of it was made


@dataclass
class Parts:
    """What one phase trains."""

    accelerator: Accelerator
    net: nn.Module  # the plain network: names, state, evaluation
    model: nn.Module  # the same, wrapped for training (autocast, DDP, compile)
    optimizer: torch.optim.Optimizer
    sparsifier: Sparsifier
    channels_last: bool = False
    clip_value: float | None = None  # every entry of the gradient is kept within ± this
    clip_norm: float | None = None  # a gradient longer than this is scaled down to it (L2)

    @property
    def shard(self) -> tuple[int, int]:
        return self.accelerator.process_index, self.accelerator.num_processes

    def score(
        self, task: Task, split: str, stop: Stop | None = None
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Scores the plain network as it is now; pass no `stop` where stopping saves nothing."""
        if self.accelerator.num_processes > 1:  # BatchNorm's running figures differ by process
            for buffer in self.net.buffers():
                torch.distributed.broadcast(buffer, 0)
        return score(
            task, self.net, self.accelerator, split, channels_last=self.channels_last, stop=stop
        )


@dataclass
class Hooks:
    """What happens around the loop: saving, showing, stopping."""

    save: Callable[[], None]
    due: Callable[[], bool]  # is it time for a checkpoint?
    stop: Stop
    step: Callable[[int, int], None]  # (steps done, examples of this step)
    epoch: Callable[[dict[str, Any]], None]  # a finished epoch's row


def train_phase(
    phase: Phase,
    task: Task,
    parts: Parts,
    progress: Progress,
    hooks: Hooks,
    *,
    first_epoch: int = 0,
    keep_best: bool = False,
) -> None:
    """Trains one phase from where `progress` stands to its end.

    `first_epoch` counts the epochs of the phases before, so that each epoch has its own data order.
    Raises Stopped, after a checkpoint, when a stop is asked for; NotFinite for such a loss.
    """
    per_epoch = task.steps_per_epoch
    total = round(phase.epochs * per_epoch)
    while True:
        epochs_reached = math.ceil(progress.steps / per_epoch)
        at_border = progress.steps == total or progress.steps % per_epoch == 0
        if at_border and len(progress.epochs) < epochs_reached:
            _finish_epoch(phase, task, parts, progress, hooks, keep_best)
        if progress.steps == total:
            return
        epoch, first_step = divmod(progress.steps, per_epoch)
        _train_epoch(phase, task, parts, progress, hooks, first_epoch + epoch, first_step, total)


def _train_epoch(
    phase: Phase,
    task: Task,
    parts: Parts,
    progress: Progress,
    hooks: Hooks,
    epoch: int,
    first_step: int,
    total: int,
) -> None:
    accelerator, optimizer = parts.accelerator, parts.optimizer
    device = accelerator.device
    look_always = device.type == "cpu" and accelerator.num_processes == 1
    parts.model.train()
    started = time.monotonic()
    recent: list[Tensor] = []  # losses not yet looked at
    for batch in task.batches(epoch, first_step, parts.shard):
        rate = phase.lr * phase.decay.scale(progress.steps / task.steps_per_epoch, phase.epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss, examples, sums = task.loss(parts.model, to_device(batch, device, parts.channels_last))
        accelerator.backward(loss * _share(accelerator, examples))
        if parts.clip_value is not None:
            nn.utils.clip_grad_value_(parts.net.parameters(), parts.clip_value)
        if parts.clip_norm is not None:
            nn.utils.clip_grad_norm_(parts.net.parameters(), parts.clip_norm)
        try:
            optimizer.step()
        except NoOrder:  # masks that grow meet such weights before the loss is looked at
            raise NotFinite(progress.steps + 1) from None

        progress.steps += 1
        progress.examples += examples
        recent.append(loss.detach())
        for name, value in {"loss": loss.detach() * examples, **sums}.items():
            value = value.to(torch.float64)
            progress.sums[name] = progress.sums.get(name, torch.zeros_like(value)) + value
        hooks.step(progress.steps, examples)

        last = progress.steps == total or progress.steps % task.steps_per_epoch == 0
        if look_always or last or progress.steps % CHECK_EVERY == 0:
            finite = torch.isfinite(torch.stack(recent)).tolist()
            failed, stopping, saving = _agree(
                accelerator, not all(finite), hooks.stop.asked(), hooks.due()
            )
            if failed:
                first = finite.index(False) if False in finite else len(finite) - 1
                raise NotFinite(progress.steps - len(finite) + first + 1)
            recent.clear()
            if stopping or saving:
                progress.seconds += time.monotonic() - started
                started = time.monotonic()
                hooks.save()
            if stopping:
                raise Stopped(hooks.stop.reason)
        if last:
            break
    progress.seconds += time.monotonic() - started


def _finish_epoch(
    phase: Phase, task: Task, parts: Parts, progress: Progress, hooks: Hooks, keep_best: bool
) -> None:
    """Writes the epoch's row: means over the training examples, figures of the held-out split."""
    started = time.monotonic()
    names = sorted(progress.sums)
    values = torch.stack([progress.sums[name] for name in names])
    counted = torch.cat([values, values.new_tensor([progress.examples])])
    *means, examples = parts.accelerator.reduce(counted, "sum").tolist()
    row: dict[str, Any] = {
        "epoch": progress.steps / task.steps_per_epoch,
        "lr": parts.optimizer.param_groups[0]["lr"],
        "train": {name: mean / examples for name, mean in zip(names, means, strict=True)},
    }
    if task.heldout:
        try:
            figures, _ = parts.score(task, task.heldout, hooks.stop)
        except Stopped:
            hooks.save()
            raise
        row["heldout"] = finite(figures, f"epoch {row['epoch']:g}, {task.heldout}")
        if keep_best and not parts.sparsifier.growing:  # a mask half grown is handed on to nobody
            _keep_best(task, parts, progress, row)
    progress.epochs.append(row)
    progress.sums, progress.examples = {}, 0
    progress.seconds += time.monotonic() - started
    hooks.epoch(row)


def _keep_best(task: Task, parts: Parts, progress: Progress, row: dict[str, Any]) -> None:
    value = row["heldout"][task.choose_by]
    if progress.best is None or value < progress.best["value"]:
        progress.best = {
            "value": value,
            "epoch": row["epoch"],
            "model": copy.deepcopy(parts.net.state_dict()),
            "optimizer": copy.deepcopy(parts.optimizer.state_dict()),
        }


def _share(accelerator: Accelerator, examples: int) -> float:
    """Returns what makes the mean of the processes' gradients the whole batch's, shards uneven."""
    if accelerator.num_processes == 1:
        return 1.0
    count = torch.tensor(float(examples), device=accelerator.device)
    return examples * accelerator.num_processes / accelerator.reduce(count, "sum").item()


def _agree(accelerator: Accelerator, *flags: bool) -> list[bool]:
    """Makes all processes act as one: a flag counts if any process raises it."""
    if accelerator.num_processes == 1:
        return list(flags)
    raised = torch.tensor([float(flag) for flag in flags], device=accelerator.device)
    return [value > 0 for value in accelerator.reduce(raised, "sum").tolist()]
