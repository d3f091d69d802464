"""Which job is next: the one rule of local sweeps and of their simulation."""

import heapq
import signal
from collections.abc import Callable, Sequence

from dsd.sweep.plan import Job
from dsd.training.stop import EXIT_CODE

TRIES = 5  # of a job that is stopped or killed from outside
UNKNOWN_HOURS = 1.0


def work(
    jobs: Sequence[Job],
    slots: int,
    start: Callable[[Job, int], None],
    ended: Callable[[], tuple[Job, int, int]],
) -> dict[str, int]:
    """Runs the jobs that are not finished on `slots` slots; returns {name: exit code} of failures.

    A job starts when its parent is finished and a slot is free; of several, the one first that the
    longest chain of jobs waits for. start: starts a job on a slot. ended: waits for the next job to
    end and returns it with its slot and exit code. What waits for a failed job is left out.
    """
    following: dict[str | None, list[Job]] = {}
    for job in jobs:
        following.setdefault(job.parent, []).append(job)
    chains = _chains(jobs, following)
    place = {job.name: number for number, job in enumerate(jobs)}
    ready: list[tuple[float, int, Job]] = []

    def release(parent: str | None) -> None:
        for job in following.get(parent, ()):
            if job.finished:
                release(job.name)
            else:
                heapq.heappush(ready, (-chains[job.name], place[job.name], job))

    release(None)
    free, running, tries = list(range(slots)), 0, dict[str, int]()
    failures: dict[str, int] = {}
    while ready or running:
        while ready and free:
            job = heapq.heappop(ready)[2]
            start(job, heapq.heappop(free))
            running += 1
        job, slot, code = ended()
        running -= 1
        heapq.heappush(free, slot)
        tries[job.name] = tries.get(job.name, 0) + 1
        if code == 0:
            release(job.name)
        elif from_outside(code) and tries[job.name] < TRIES:
            heapq.heappush(ready, (-chains[job.name], place[job.name], job))
        else:
            failures[job.name] = code
    return failures


def from_outside(code: int) -> bool:
    """Returns whether a job was stopped or killed, so that it goes on when started again."""
    return code == EXIT_CODE or (code < 0 and -code in set(signal.Signals))


def _chains(jobs: Sequence[Job], following: dict[str | None, list[Job]]) -> dict[str, float]:
    """Returns the hours of the longest chain that begins with each job."""
    chains: dict[str, float] = {}
    for job in reversed(jobs):  # a job comes after its parent
        after = (chains[child.name] for child in following.get(job.name, ()))
        own = UNKNOWN_HOURS if job.hours is None else job.hours
        chains[job.name] = own + max(after, default=0.0)
    return chains
