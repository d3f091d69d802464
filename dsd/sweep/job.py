"""A job as a process: `dsd run` with its output in train.log, in the phase's folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dsd.runs import heartbeat
from dsd.runs.tree import FINISHED
from dsd.sweep.queue import from_outside

LOG = "train.log"
# Linux ends the job (SIGTERM: with a checkpoint) when what started it is gone, even killed.
TIED = """
import ctypes, os, sys
if sys.platform == "linux": ctypes.CDLL(None).prctl(1, 15)
os.execv(sys.argv[1], sys.argv[1:])
"""


def start(
    words: Sequence[str], folder: Path, root: Path, environment: Mapping[str, str], gpus: int = 0
) -> subprocess.Popen[bytes]:
    """Starts `dsd run WORDS` in the suite `root`; with several GPUs one process for each."""
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}", "-m"]
    python = [sys.executable, "-m", *(launcher if gpus > 1 else []), "dsd", "run", *words]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / FINISHED).exists():
        heartbeat.write(folder, "running")
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", TIED, *python],
            cwd=root,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is the sweep's to hand on, once
        )


def why(folder: Path, code: int) -> str:
    """Returns why a job ended with an exit code, and leaves it in the folder for `dsd status`."""
    words = f"killed by {signal.Signals(-code).name}" if code < 0 else last_line(folder / LOG)
    if not (folder / FINISHED).exists():
        heartbeat.write(folder, "stopped" if from_outside(code) else "failed", words)
    return words


def last_line(log: Path) -> str:
    """Returns the last line of a log file that says something."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "no word in its log"
