"""Progress of a run: a bar on a terminal, lines in a log file, scalars for a logger."""

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from dsd.runs import heartbeat
from dsd.runs.tree import Place
from dsd.suite.scores import decimals
from dsd.training.stop import Stopped
from dsd.training.trackers import Trackers


class Reporter:
    """Shows phase, epoch, speed and time left; sends scalars to a logger where asked."""

    def __init__(self, console: Console, trackers: Trackers | None = None) -> None:
        self._console = console
        self._trackers = trackers
        self._tracker: Any = None
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._done = self._steps = 0

    def heartbeat(self, folder: Path) -> AbstractContextManager[None]:
        """Tells other processes, through the phase's folder, how far it has come."""
        self._done = self._steps = 0
        if self._console.quiet:  # another process of the same run does
            return nullcontext()
        return heartbeat.beating(folder, lambda: (self._done, self._steps), Stopped)

    def phase(self, place: Place, steps: int, done: int, unit: str, per_epoch: int) -> None:
        """Shows that a phase begins, or resumes after `done` of `steps` optimizer steps.

        unit: what an example is called. per_epoch: optimizer steps in an epoch.
        """
        self.close()
        node = place.node
        self._unit, self._per_epoch, self._epochs = unit, per_epoch, node.phase.epochs
        self._started, self._examples = time.monotonic(), 0
        self._done, self._steps = done, steps
        phase, sparsity = node.phase, ""
        if phase.sparse:
            by_layer = isinstance(phase.sparsity, dict)
            share = "by layer" if by_layer else f"{phase.sparsity:.0%}"
            sparsity = f", sparsity {share}, mask {node.mask}"
        resumed = f", resumed at step {done} of {steps}" if done else ""
        rate = f"{node.phase.epochs:g} epochs at lr {node.phase.lr:g}"
        self.note(f"{place.address}: {rate}{sparsity}{resumed}")
        if self._trackers:
            self._tracker = self._trackers.start(place, done)
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("[bold]{task.description}"),
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(),
                console=self._console,
                refresh_per_second=2,  # drawing takes milliseconds of the core that trains
            )
            self._bar.start()
            self._task = self._bar.add_task(
                node.name, total=steps, completed=done, epoch=self._epoch_text(done), speed=""
            )

    def step(self, done: int, examples: int) -> None:
        """Shows that `done` optimizer steps are done, the last with so many examples."""
        self._examples += examples
        self._done = done
        if self._bar:
            self._bar.update(
                self._task, completed=done, epoch=self._epoch_text(done), speed=self._speed()
            )

    def epoch(self, row: dict[str, Any]) -> None:
        """Shows that an epoch is done; `row` is its row in the record's log."""
        metrics = {
            f"{split}/{name}": value
            for split in ("train", "heldout")
            for name, value in row.get(split, {}).items()
        }
        line = "  ".join(
            f"{name} {value:.{max(3, decimals(name, [value]))}f}" for name, value in metrics.items()
        )
        self.note(f"  epoch {row['epoch']:g}/{self._epochs:g}  {line}  {self._speed()}")
        if self._tracker:
            self._tracker.log({**metrics, "lr": row["lr"]}, step=self._done)

    def note(self, text: str) -> None:
        """Prints a line above the bar."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Removes the bar and ends the logger's run."""
        if self._bar:
            self._bar.stop()
            self._bar = None
        if self._tracker:
            self._tracker.finish()
            self._tracker = None

    def _epoch_text(self, done: int) -> str:
        return f"{min(done // self._per_epoch + 1, -(-self._epochs // 1)):g}/{self._epochs:g}"

    def _speed(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-9)
        return f"{self._examples / seconds:.0f} {self._unit}/s"
