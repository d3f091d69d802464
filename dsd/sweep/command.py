"""What `dsd sweep` does: plan, then print the plan, run it here, or submit it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dsd.errors import UserError
from dsd.sweep import local, slurm, status
from dsd.sweep.plan import Job, Wanted, plan
from dsd.sweep.slurm_options import KEYS, parameters
from dsd.training.stop import EXIT_CODE, Stop, Stopped


def parted(
    words: Sequence[str], cluster: Sequence[str] | None
) -> tuple[list[str], list[str], dict[str, Any] | None]:
    """Returns the recipes, the settings, and what --slurm asks for (None: run here).

    Slurm's keys may follow its first one without another --slurm. Raises UserError.
    """
    given = None
    if cluster is not None:
        more = [word for word in words if word.partition("=")[0] in KEYS]
        words = [word for word in words if word not in more]
        given = parameters([*" ".join(cluster).split(), *more])
    recipes = [word for word in words if "=" not in word]
    if not recipes:
        raise UserError("name a recipe (see: dsd list)")
    return recipes, [word for word in words if "=" in word], given


def as_words(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns options as words of `dsd run`; None and False are left out."""
    words: list[str] = []
    for name, value in options.items():
        if value is not None and value is not False:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return tuple(words)


def sweep(
    wanted: Wanted,
    slots: int | None,
    minutes: float | None,
    cluster: dict[str, Any] | None,
    dry_run: bool,
) -> int:
    """Prints the plan and carries it out; returns the exit code, 1 when a job failed.

    slots: jobs at a time. minutes: then stop. Raises UserError for what cannot be planned or
    submitted.
    """
    stop, console, jobs = Stop(minutes), Console(), plan(wanted)
    left = [job for job in jobs if not job.finished]

    def say(line: str) -> None:
        words = f"{datetime.now():%H:%M:%S} {line}"
        console.print(words, markup=False, highlight=False, soft_wrap=True)

    if dry_run:
        console.print(_table(jobs))
    console.print(f"{len(jobs)} jobs, {len(jobs) - len(left)} finished; {_hours(left)}")
    if dry_run:
        return 0
    status.remember(wanted.runs, jobs)
    if cluster is not None:
        count = slurm.submit(jobs, wanted.suite.root, wanted.runs / "slurm", cluster, say)
        say(f"{count} jobs submitted; they show in dsd status and squeue --me")
        return 0
    gpus = [] if "cpu" in wanted.words else local.visible_gpus()
    try:
        failures = local.run(jobs, slots or max(1, len(gpus)), wanted.suite.root, gpus, say, stop)
    except Stopped as stopped:
        say(f"stopped: {stopped}; the same command goes on from here")
        return EXIT_CODE
    if not failures:
        say("all jobs are finished")
        return 0
    waiting = _behind(jobs, failures)
    say(f"{len(failures)} jobs failed, {waiting} wait for them; fix it and give the command again")
    return 1


def _table(jobs: Sequence[Job]) -> Table:
    """Returns the tree of phases, a row for each phase of a recipe with all its seeds."""
    rows: dict[tuple[str, str], list[tuple[int, Job]]] = {}
    for job in jobs:
        label, seed, address = job.name.split("/", 2)
        number = int(seed.removeprefix("seed"))
        rows.setdefault((label, address), []).append((number, job))
    table = Table("recipe", "phases", "seeds finished", "seeds to train", "hours each, estimated")
    last = ""
    for (label, address), row in rows.items():
        finished = status.ranges(sorted(seed for seed, job in row if job.finished))
        left = status.ranges(sorted(seed for seed, job in row if not job.finished))
        known = [job.hours for _, job in row if not job.finished and job.hours is not None]
        hours = f"{max(known):.2f}" if known else "unknown" if left else ""
        phase = "  " * address.count("/") + address.rpartition("/")[2]
        table.add_row(escape(label if label != last else ""), escape(phase), finished, left, hours)
        last = label
    return table


def _hours(left: Sequence[Job]) -> str:
    """Returns the hours of the jobs that are left, in words."""
    known = [job.hours for job in left if job.hours is not None]
    unknown = len(left) - len(known)
    words = f"about {sum(known):.2f} hours one after the other, on machines as before"
    if unknown:
        words = f"hours unknown for {unknown}" + (f", {words} for the rest" if any(known) else "")
    return words if left else "nothing to do"


def _behind(jobs: Sequence[Job], failures: Mapping[str, int]) -> int:
    """Returns how many jobs wait for one that failed."""
    blocked = set(failures)
    for job in jobs:  # each after the one that it waits for
        if job.parent in blocked:
            blocked.add(job.name)
    return len(blocked) - len(failures)
