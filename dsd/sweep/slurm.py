"""A sweep on Slurm, through submitit: arrays of phases that wait for the phase before."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsd.errors import UserError
from dsd.runs.files import write_atomically
from dsd.sweep import job as process
from dsd.sweep.plan import Job
from dsd.sweep.slurm_options import GPUS

IDS = "jobs.json"  # beside submitit's files: the Slurm job that was submitted last for each of ours
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


def submit(
    jobs: Sequence[Job], root: Path, logs: Path, given: dict[str, Any], say: Callable[[str], None]
) -> int:
    """Submits the jobs that are neither finished nor queued already; returns how many.

    logs: a folder that all nodes see, for submitit's files. Raises UserError where Slurm refuses.
    """
    executor = _executor(logs, given)
    before, queued = _submitted(logs / IDS), _queued()
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


def _submitted(file: Path) -> dict[str, str]:
    """Returns {our job: Slurm's id} of all submissions so far."""
    try:
        return dict(json.loads(file.read_text())) if file.exists() else {}
    except (ValueError, TypeError):
        raise UserError(f"{file}: damaged; scancel what is queued, and remove it") from None


def _queued() -> set[str]:
    """Returns the ids of this user's jobs that wait or run."""
    words = ["squeue", "--me", "--noheader", "--array", "--format=%i"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"squeue fails: {done.stderr.strip()}; is Slurm up?")
    return set(done.stdout.split())
