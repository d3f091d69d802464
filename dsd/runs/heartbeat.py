"""The sign of life of a phase in training: heartbeat.json in its folder, for `dsd status`.

It tells any machine that sees the folder what a process there does; nothing is trained by it.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dsd.errors import UserError, printable
from dsd.runs.files import whole_file

FILE = "heartbeat.json"
EVERY_S = 10.0
SILENT_S = 90.0  # a process that says nothing for so long is gone


@contextmanager
def beating(
    folder: Path, progress: Callable[[], tuple[int, int]], stopped: type[Exception]
) -> Iterator[None]:
    """Writes the folder's heartbeat every ten seconds until the phase ends.

    progress: returns the optimizer steps done, and all. stopped: what is raised when the phase is
    to go on later. A finished phase has no heartbeat; after an error the last one holds its line.
    """
    ended, began = threading.Event(), time.time()

    def beat(state: str, words: str = "") -> None:
        done, steps = progress()
        write(folder, state, words, steps_done=done, steps=steps, began=began)

    def keep() -> None:
        beat("running")
        while not ended.wait(EVERY_S):
            beat("running")

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    except BaseException as error:
        _end(ended, thread)
        asked = isinstance(error, stopped) or not isinstance(error, Exception)
        words = (str(error).strip() or type(error).__name__).splitlines()[0]
        beat("stopped" if asked else "failed", printable(words))
        raise
    _end(ended, thread)
    with suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)


def write(folder: Path, state: str, words: str = "", **more: Any) -> None:
    """Writes a phase's state; a full disk or a folder that is gone stop nothing."""
    content = {
        "state": state,
        "words": words,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "time": time.time(),
        **more,
    }
    with suppress(OSError, UserError), whole_file(folder / FILE, sync=False) as file:
        file.write(json.dumps(content).encode())


def read(folder: Path) -> dict[str, Any] | None:
    """Returns the last heartbeat; its state is `lost` when it should have come and did not."""
    try:
        beat: dict[str, Any] = dict(json.loads((folder / FILE).read_text()))
        silent = time.time() - float(beat["time"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if beat.get("state") == "running" and silent > SILENT_S:
        beat["state"] = "lost"
    return beat


def _end(ended: threading.Event, thread: threading.Thread) -> None:
    ended.set()
    thread.join()
