"""The benchmarks that time other processes, so short that their times mean nothing."""

import pytest
import torch

from benchmarks import pairs, startup, threads

CPU = torch.device("cpu")


def test_a_command_is_compared_with_its_libraries() -> None:
    case = startup.case("--version", 1.8, 1, libraries="pass")
    assert case["case"] == "dsd --version"
    assert all(seconds > 0 for seconds in case["median_seconds"]["cpu"].values())


def test_a_command_that_fails_is_not_timed() -> None:
    with pytest.raises(Exception, match="exit status 1"):
        startup.case("--version", 1.8, 1, libraries="raise SystemExit(1)")


def test_cpu_time_counts_processes_that_ended() -> None:
    work = "sum(i * i for i in range(1_000_000))"
    assert pairs.timed(lambda: startup.python("-c", work), CPU)["cpu"] > 0.01


@pytest.mark.slow
def test_threads_are_compared_idle_and_busy() -> None:
    cases = list(threads.cases(rounds=1, cores=1, steps=1))
    assert [case["clock"] for case in cases] == ["wall"] * 3
    assert [case["target"] for case in cases] == [threads.IDLE, threads.BUSY, None]
    busy = [case["median_seconds"]["wall"]["busy"] for case in cases[1:]]
    assert all(seconds > 0 for seconds in busy)
