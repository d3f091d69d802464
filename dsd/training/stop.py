"""Stopping cleanly: on SIGTERM, on Ctrl-C, and when the time is up."""

import os
import signal
import time
from types import FrameType

EXIT_CODE = 75  # EX_TEMPFAIL: not finished, run the same command again


class Stopped(Exception):
    """Training stopped with a checkpoint before it was finished."""


class Stop:
    """Remembers that a stop was asked for, so that the loop can end between two optimizer steps."""

    def __init__(self, limit_minutes: float | None = None) -> None:
        self.reason = ""
        self._caught_at = 0.0
        self._deadline = None if limit_minutes is None else time.monotonic() + 60 * limit_minutes

    def listen(self) -> None:
        """Catches signals to stop; one that comes two seconds later ends the process at once.

        Launchers send the same signal twice in a row: from the scheduler and from its agent.
        SIGUSR2 is Slurm's, before the time is up (sbatch --signal=USR2@90).
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(number, self._handle)

    def asked(self) -> bool:
        """Returns whether to stop now."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.reason = self.reason or "the time limit is reached"
        return bool(self.reason)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._caught_at and time.monotonic() - self._caught_at > 2:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._caught_at = self._caught_at or time.monotonic()
        self.reason = f"{signal.Signals(number).name} received"
