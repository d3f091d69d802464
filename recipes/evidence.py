"""The evidence: what recipes/evidence.yaml asks for and no record holds yet, shown or trained.

`python -m recipes.evidence` shows it; with --run it trains it through `dsd run`, and goes on after
any stop. Several copies may run at once, one a core.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from dsd.errors import UserError, explain
from dsd.runs import record
from dsd.runs.files import lock
from dsd.suite.arguments import refuse_empty
from dsd.suite.folder import corpus_folder, find_suite
from dsd.training.stop import EXIT_CODE
from recipes.protocol import Evidence, Item, Job, read_protocol, show

FAULT = 2  # the exit code when something could not be trained


def train(evidence: Evidence, words: list[str], minutes: float | None = None) -> int:
    """Trains what is missing, a job at a time; returns the exit code.

    `words`: further options of `dsd run`. 75: stopped by a signal or by the time limit. 2: some
    job could not be trained; the others were.
    """
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    child = Child()
    faulty = _faulty_items(evidence)
    code = FAULT if faulty else 0
    left = [job for job in evidence.jobs() if job.item not in faulty]
    while jobs := [job for job in left if evidence.missing(job)]:
        remaining = None if deadline is None else (deadline - time.monotonic()) / 60
        if child.stopped or (remaining is not None and remaining <= 0):
            return EXIT_CODE
        with ExitStack() as held:
            job = _claim(jobs, evidence.runs, held)
            if job is None:
                _say(f"{len(jobs)} left, all claimed by other copies")
                break
            left.remove(job)
            arms = evidence.missing(job)
            if not arms:  # another copy has just finished it
                continue
            _say(f"{job.item} seed {job.seed}: {' '.join(arms)}")
            try:
                share_dense(evidence, job)
            except UserError as error:
                _say(str(error))
                code = FAULT
                continue
            records = ["--records", os.path.relpath(evidence.folder(job.item))]
            ended = child.run(_command(job, arms, words + records, remaining))
        if child.stopped or ended == EXIT_CODE:
            return EXIT_CODE
        if ended or evidence.missing(job):
            _say(f"{job.item} seed {job.seed}: not finished, exit code {ended}; on to the next")
            code = FAULT
    return code


def _faulty_items(evidence: Evidence) -> set[Item]:
    """Returns the items that lack records and whose recipe or data is not there; says why."""
    faulty = set()
    for item in evidence.protocol.items:
        if any(evidence.missing(Job(item, seed)) for seed in item.seeds):
            try:
                corpus_folder(evidence.suite, evidence.recipe(item), evidence.runs)
            except UserError as error:
                _say(f"{item}: {error}")
                faulty.add(item)
    return faulty


def _claim(jobs: list[Job], runs: Path, held: ExitStack) -> Job | None:
    """Claims the first job whose recipe and seed no other copy is at: it may share phases."""
    for job in jobs:
        try:
            held.enter_context(lock(runs / "evidence" / f"{job.item.recipe}.seed{job.seed}"))
        except UserError:
            continue
        return job
    return None


def share_dense(evidence: Evidence, job: Job) -> None:
    """Copies the finished dense phase of a scale that shares it, unless there is one here.

    Raises UserError when another process is training it here.
    """
    item = job.item
    others = [item.shares_dense_with] if item.shares_dense_with else []
    for other in evidence.protocol.items:
        if (other.recipe, other.shares_dense_with) == (item.recipe, item.scale):
            others.append(other.scale)
    here, *there = (
        evidence.runs / record.label(item.recipe, scale) / f"seed{job.seed}" / "dense"
        for scale in [item.scale, *others]
    )
    finished = [folder for folder in there if (folder / "phase.json").exists()]
    if (here / "phase.json").exists() or not finished:
        return
    part = here.with_name("dense.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for file in finished[0].iterdir():
        if file.is_file() and not file.name.startswith("."):  # not the phases beneath it
            shutil.copy2(file, part)
    with lock(here):
        shutil.rmtree(here)
    part.rename(here)


def _command(job: Job, arms: list[str], words: list[str], minutes: float | None) -> list[str]:
    item = job.item
    command = [sys.executable, "-m", "dsd", "run", item.recipe, *item.settings]
    command += ["--scale", item.scale, *(word for arm in arms for word in ("--arm", arm))]
    command += ["--seed", str(job.seed), "--precision", item.options.precision]
    command += ["--channels-last"] if item.options.channels_last else []
    return command + words + ([] if minutes is None else ["--time-limit", f"{minutes:.2f}"])


class Child:
    """Runs one command at a time; passes on the signals that ask to stop."""

    def __init__(self) -> None:
        self.stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)

    def run(self, command: list[str]) -> int:
        """Returns the command's exit code; it computes on one core unless the user said more."""
        self._process = subprocess.Popen(command, env={"OMP_NUM_THREADS": "1", **os.environ})
        if self.stopped:  # by a signal that came while it started
            self._process.terminate()
        return self._process.wait()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
        if self._process is not None:
            self._process.send_signal(number)


def _say(line: str) -> None:
    print(f"evidence: {line}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser("python -m recipes.evidence", description=__doc__)
    parser.add_argument("--run", action="store_true", help="train what is missing")
    parser.add_argument("--time-limit", type=float, metavar="MINUTES", help="then exit code 75")
    parser.add_argument("--protocol", type=Path, help="default: recipes/evidence.yaml")
    parser.add_argument("--runs", type=Path, help="where checkpoints live")
    parser.add_argument("--records", type=Path, help="where records go")
    given = parser.parse_args()
    try:
        refuse_empty(sys.argv[1:])
        suite = find_suite()
        if suite is None:
            raise UserError(f"no recipes/<corpus>/<network>.yaml in {Path.cwd()} or above")
        protocol = read_protocol(given.protocol or suite.root / "recipes" / "evidence.yaml")
        evidence = Evidence(suite, protocol, given.runs or suite.root / "runs", given.records)
        if not given.run:
            show(evidence)
            return 0
        words = ["--runs", str(given.runs)] if given.runs else []
        return train(evidence, words, given.time_limit)
    except Exception as error:
        line, code = explain(error)
        _say(line)
        return code


if __name__ == "__main__":
    sys.exit(main())
