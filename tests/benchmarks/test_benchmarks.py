"""The benchmarks, in settings so small that their times mean nothing."""

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import __main__ as report
from benchmarks import loop, pairs, steps

CPU = torch.device("cpu")


def check(case: dict[str, Any], rounds: int) -> None:
    assert case["clock"] == "cpu"
    assert case["target"] > 1
    for clock in ("cpu", "wall"):
        assert all(seconds > 0 for seconds in case["median_seconds"][clock].values())
        for ratio in case["ratios"][clock].values():
            n, *ordered = ratio.values()
            assert n == rounds
            assert ordered[0] > 0
            assert ordered == sorted(ordered)


def test_steps() -> None:
    case = steps.case("cifar10/resnet20", 8, 2, 1.05, rounds=2, device=CPU)
    check(case, 2)
    assert list(case["median_seconds"]["cpu"]) == ["dense", "sparse", "dense again"]
    assert case["kept"] / case["weights"] == pytest.approx(1 - steps.SPARSITY, abs=1e-3)


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loop.STEPS, "cpu", 2)


@pytest.mark.usefixtures("two_steps")
def test_loop() -> None:
    case = loop.case("resnet20", 8, 2, rounds=2, device=CPU)
    check(case, 2)
    assert list(case["median_seconds"]["cpu"]) == ["plain", "ours", "plain again"]


@pytest.mark.usefixtures("two_steps")
def test_loops_that_do_not_do_the_same_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    for work in ("train_epoch", "finish_epoch"):
        monkeypatch.setattr(loop, work, lambda *_, **__: None)
    with pytest.raises(SystemExit, match="same weights"):
        loop.case("resnet20", 8, 2, rounds=1, device=CPU)


def test_compare_divides_within_a_round_and_turns_the_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    usual, measured = cycle([1.0, 1.0, 2.0, 4.0]), cycle([9.0, 3.0, 2.0, 4.0])  # first: warm-up

    def way(name: str, seconds: Any) -> Any:
        return lambda: (calls.append(name), next(seconds))[1]

    ways = {"a": way("a", usual), "b": way("b", measured), "c": way("c", cycle([1.0]))}
    monkeypatch.setattr(pairs, "timed", lambda way, device: dict.fromkeys(["cpu", "wall"], way()))
    result = pairs.compare(ways, 3, CPU)
    ratios = result["ratios"]["cpu"]
    assert ratios["measured"] == pairs.spread(np.array([3.0, 1.0, 1.0]))
    assert ratios["control"] == pairs.spread(np.array([1.0, 0.5, 0.25]))
    assert result["median_seconds"]["wall"] == {"a": 2.0, "b": 3.0, "c": 1.0}
    rounds = ["".join(calls[start : start + 3]) for start in range(3, 12, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len(set(rounds)) == 3


def test_write_says_how_it_was_made(tmp_path: Path) -> None:
    out = tmp_path / "results" / "steps.json"
    pairs.write("steps", iter([{"case": "x"}]), CPU, out)
    result = json.loads(out.read_text())
    assert (result["benchmark"], result["cases"]) == ("steps", [{"case": "x"}])
    assert result["made"]["command"].startswith("python -m benchmarks.steps")
    assert {"device", "threads", "versions", "revision", "date"} <= result["made"].keys()


def test_table_says_what_is_missed_and_what_was_not_run(tmp_path: Path) -> None:
    ratio = {
        "measured": pairs.spread(np.array([1.0, 1.06, 1.1])),
        "control": pairs.spread(np.ones(3)),
    }
    case = {"case": "x", "clock": "cpu", "ratios": {"cpu": ratio}}
    cases = iter([case | {"target": 1.05}, case | {"target": 1.07, "limit": 1.0}])
    pairs.write("steps", cases, CPU, tmp_path / "steps.json")
    missed, met = (row for row in report.table(tmp_path).splitlines() if "sparse step" in row)
    assert "| <= 1.05 | 1.060 | 1.030 to 1.080 | 1.000 to 1.100 |  | **missed** |" in missed
    assert "| <= 1.07 | 1.060 |" in met
    assert "| 1.00 | met | 1.000, 1.000 to 1.000 | 3 |" in met
    assert "| 1.06 (<= 1.05), 1.06 (<= 1.07) | 1 of 2 met |" in report.short_table(tmp_path)
    assert report.table(tmp_path).count("not run") == len(report.TITLES) - 1


def test_pages_hold_the_tables_of_the_results() -> None:
    assert report.BEGIN + report.table() + report.END in report.README.read_text()
    assert report.BEGIN + report.short_table() + report.END in report.FRONT_PAGE.read_text()


def test_options_set_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setattr("sys.argv", ["steps", "--rounds", "3", "--threads", "2"])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    chosen = pairs.options("A title.\n", "steps", rounds=7)
    assert (chosen.rounds, threads, chosen.out.name) == (3, [2], "steps.json")
