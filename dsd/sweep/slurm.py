"""A sweep on Slurm, through submitit: arrays of phases that wait for the phase before."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsd.errors import UserError
from dsd.runs.files import write_atomically
from dsd.suite.recipe import nearest
from dsd.sweep import job as process
from dsd.sweep.plan import Job

GPUS = "gpus_per_node"
KEYS = {  # of --slurm -> submitit's
    "partition": "partition",
    "gpus": GPUS,
    "cpus": "cpus_per_task",
    "mem": "mem",
    "time": "time",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "at_once": "array_parallelism",
}
TIME = re.compile("([0-9]{1,4}-)?[0-9]{1,6}(:[0-9]{1,2}){0,2}")
IDS = "jobs.json"  # beside submitit's files: the Slurm job that was submitted last for each of ours
SHORTEST = 5  # minutes: the warning comes up to 150 s before the end
REQUEUES = 10_000  # when the time is up: a phase goes on until it is finished
WARNING_S = 90  # before the time is up


@dataclass(frozen=True)
class Phase:
    """What a Slurm job runs; submitit calls `checkpoint` before it has the job requeued."""

    words: tuple[str, ...]
    folder: Path
    root: Path
    gpus: int

    def __call__(self) -> None:
        """Trains the phase. Raises an error, which fails the job, when it does not finish."""
        cores = os.environ.get("SLURM_CPUS_PER_TASK")
        threads = (
            {"OMP_NUM_THREADS": cores} if cores and "OMP_NUM_THREADS" not in os.environ else {}
        )
        child = process.start(self.words, self.folder, self.root, threads, self.gpus)
        _children.append(child)
        if code := child.wait():
            raise RuntimeError(f"exit code {code}: {process.why(self.folder, code)}")

    def checkpoint(self) -> Any:
        """Has `dsd run` save its checkpoint and end; returns what to do when requeued."""
        from submitit.helpers import DelayedSubmission

        for child in _children:
            child.send_signal(signal.SIGTERM)
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # wait() is taken, further up
        return DelayedSubmission(self)


_children: list[subprocess.Popen[bytes]] = []  # of this job


def parameters(words: Sequence[str]) -> dict[str, Any]:
    """Returns submitit's parameters for `partition=main gpus=1 time=4:00:00` and the like.

    time: minutes, or what Slurm takes. Raises UserError for other keys and values.
    """
    found: dict[str, Any] = {"time": 60}
    for word in words:
        key, _, value = word.partition("=")
        if key not in KEYS or not value:
            raise UserError(f"--slurm {word}: not known{nearest(key, KEYS)}, each as key=value")
        number = key in ("gpus", "cpus", "at_once")
        if number and not re.fullmatch("[1-9][0-9]{0,5}", value):
            raise UserError(f"--slurm {word}: give a whole number, 1 or above")
        found[KEYS[key]] = int(value) if number else _minutes(value) if key == "time" else value
    return found


def submit(
    jobs: Sequence[Job], root: Path, logs: Path, given: dict[str, Any], say: Callable[[str], None]
) -> int:
    """Submits the jobs that are neither finished nor queued already; returns how many.

    logs: a folder that all nodes see, for submitit's files. Raises UserError where Slurm refuses.
    """
    executor = _executor(logs, given)
    before = json.loads((logs / IDS).read_text()) if (logs / IDS).exists() else {}
    queued = _queued()
    ids = {name: number for name, number in before.items() if number in queued}
    waiting = dict[str | None, list[Job]]()
    for job in jobs:
        if not job.finished and job.name not in ids:
            waiting.setdefault(job.parent, []).append(job)
    for parent, siblings in waiting.items():  # parents come before what waits for them
        executor.update_parameters(dependency=f"afterok:{ids[parent]}" if parent in ids else None)
        try:
            with executor.batch():  # one array
                submitted = [
                    executor.submit(Phase(job.words, job.folder, root, given.get(GPUS, 0)))
                    for job in siblings
                ]
        except Exception as error:  # submitit has many kinds
            raise UserError(f"Slurm refuses: {str(error).strip().splitlines()[-1]}") from None
        for job, one in zip(siblings, submitted, strict=True):
            ids[job.name] = one.job_id
            say(f"job {one.job_id}: {job.name}")
        write_atomically(logs / IDS, json.dumps(before | ids, indent=0).encode())
    return sum(map(len, waiting.values()))


def _executor(logs: Path, given: dict[str, Any]) -> Any:
    try:
        import submitit
    except ModuleNotFoundError:
        raise UserError("--slurm: submitit is missing; pip install 'dsd-training[cli]'") from None
    if shutil.which("sbatch") is None:
        raise UserError("--slurm: no sbatch here; log in to a machine that submits to the cluster")
    executor = submitit.SlurmExecutor(logs, max_num_timeout=REQUEUES)
    executor.update_parameters(
        **given,
        job_name="dsd",
        signal_delay_s=WARNING_S,
        additional_parameters={"requeue": True, "kill-on-invalid-dep": "yes"},
    )
    return executor


def _queued() -> set[str]:
    """Returns the ids of this user's jobs that wait or run."""
    words = ["squeue", "--me", "--noheader", "--array", "--format=%i"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"squeue fails: {done.stderr.strip()}; is Slurm up?")
    return set(done.stdout.split())


def _minutes(text: str) -> int:
    """Returns the minutes of Slurm's M, H:MM:SS, MM:SS or D-HH:MM:SS. Raises UserError."""
    if not TIME.fullmatch(text):
        raise UserError(f"--slurm time={text}: give minutes, H:MM:SS or D-HH:MM:SS")
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if len(parts) < 3 and not dash:
        parts.insert(0, 0)  # minutes first; with days, hours
    hours, minutes, seconds = (*parts, 0, 0)[:3]
    total = int(days or 0) * 1440 + hours * 60 + minutes + -(-seconds // 60)
    if total < SHORTEST:
        raise UserError(f"--slurm time={text}: give {SHORTEST} minutes at least")
    return total
