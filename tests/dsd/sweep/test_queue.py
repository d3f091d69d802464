"""Which job is next, with a clock of the test's own."""

import signal
from pathlib import Path

import pytest

from dsd.sweep.plan import Job
from dsd.sweep.queue import TRIES, work
from dsd.training.stop import EXIT_CODE


def job(name: str, hours: float | None = 1.0, finished: bool = False) -> Job:
    parent = name.rpartition("/")[0] or None
    return Job(name, Path(name), parent, (), False, finished, hours)


def do(
    jobs: list[Job], slots: int, codes: dict[str, list[int]] | None = None
) -> tuple[list[tuple[float, str]], dict[str, int]]:
    """Works with a clock; returns [(hour, name)] of the starts, and the failures."""
    clock, running, starts = [0.0], [], []

    def start(one: Job, slot: int) -> None:
        assert slot not in [other[1] for other in running]
        starts.append((clock[0], one.name))
        running.append((clock[0] + (one.hours or 1), slot, one))

    def ended():
        running.sort(key=lambda entry: entry[:2])
        clock[0], slot, one = running.pop(0)
        left = (codes or {}).get(one.name)
        return one, slot, left.pop(0) if left else 0

    return starts, work(jobs, slots, start, ended)


def test_children_wait_for_their_parent_and_slots_are_filled():
    starts, failures = do([job("a", 2), job("b"), job("a/c"), job("a/d"), job("b/e")], 2)
    assert starts == [(0, "a"), (0, "b"), (1, "b/e"), (2, "a/c"), (2, "a/d")]
    assert not failures


def test_the_longest_chain_goes_first():
    starts, _ = do([job("short"), job("long"), job("long/rest", 9)], 1)
    assert [name for _, name in starts] == ["long", "long/rest", "short"]


def test_what_is_finished_does_not_start_and_what_follows_does():
    starts, _ = do([job("a", finished=True), job("a/b", finished=True), job("a/b/c")], 1)
    assert starts == [(0, "a/b/c")]


def test_what_waits_for_a_failed_job_is_left_out_the_rest_goes_on():
    starts, failures = do([job("a"), job("a/b"), job("c"), job("c/d")], 1, {"a": [2]})
    assert failures == {"a": 2}
    assert [name for _, name in starts] == ["a", "c", "c/d"]


@pytest.mark.parametrize("code", [EXIT_CODE, -signal.SIGKILL, -signal.SIGTERM])
def test_a_stopped_or_killed_job_is_started_again(code):
    starts, failures = do([job("a"), job("a/b")], 1, {"a": [code, code]})
    assert [name for _, name in starts] == ["a", "a", "a", "a/b"]
    assert not failures
    starts, failures = do([job("a"), job("a/b")], 1, {"a": [code] * TRIES})
    assert [name for _, name in starts] == ["a"] * TRIES
    assert failures == {"a": code}
