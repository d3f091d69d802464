"""The sign of life of a phase in training: heartbeat.json in its folder, for `dsd status`.

It tells any machine that sees the folder what a process there does; nothing is trained by it.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from dsd.errors import UserError, printable
from dsd.runs.files import whole_file

FILE = "heartbeat.json"
EVERY_S = 10.0
SILENT_S = 90.0  # a process that says nothing for so long is gone

State = Literal["running", "stopped", "failed", "lost"]


class Beat(BaseModel):
    """What a phase's folder says of the process that trains it."""

    state: State
    words: str  # why it is stopped, or failed
    host: str
    process: int
    time: float  # seconds since 1970
    steps_done: int
    steps: int  # of the optimizer in the whole phase; 0: not known yet


@contextmanager
def beating(
    folder: Path, progress: Callable[[], tuple[int, int]], stopped: type[Exception]
) -> Iterator[None]:
    """Writes the folder's heartbeat every ten seconds until the phase ends.

    progress: returns the optimizer steps done, and all. stopped: what is raised when the phase is
    to go on later. A finished phase has no heartbeat; after an error the last one holds its line.
    """
    ended = threading.Event()

    def keep() -> None:
        write(folder, "running", "", progress())
        while not ended.wait(EVERY_S):
            write(folder, "running", "", progress())

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    except BaseException as error:
        _end(ended, thread)
        asked = isinstance(error, stopped) or not isinstance(error, Exception)
        words = (str(error).strip() or type(error).__name__).splitlines()[0]
        write(folder, "stopped" if asked else "failed", printable(words), progress())
        raise
    _end(ended, thread)
    with suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)


def write(folder: Path, state: State, words: str = "", steps: tuple[int, int] = (0, 0)) -> None:
    """Writes a phase's state; a full disk or a folder that is gone stop nothing.

    steps: of the optimizer, done and all.
    """
    beat = Beat(
        state=state,
        words=words,
        host=socket.gethostname(),
        process=os.getpid(),
        time=time.time(),
        steps_done=steps[0],
        steps=steps[1],
    )
    with suppress(OSError, UserError), whole_file(folder / FILE, sync=False) as file:
        file.write(beat.model_dump_json().encode())


def read(folder: Path) -> Beat | None:
    """Returns the last heartbeat; its state is `lost` when another should have come since."""
    try:
        beat = Beat.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return None
    lost = beat.state == "running" and time.time() - beat.time > SILENT_S
    return beat.model_copy(update={"state": "lost"}) if lost else beat


def _end(ended: threading.Event, thread: threading.Thread) -> None:
    ended.set()
    thread.join()
