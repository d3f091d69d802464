"""What would change a verdict: seeds for the paper's gain, and hours from the records' phases."""

from dataclasses import replace

import pytest

from analysis.claims import CLAIMS, Task
from analysis.more_seeds import Cost, cost, needed
from analysis.power import power_of, seeds_needed
from analysis.verdicts import Verdict

METRIC, TRAINING = CLAIMS[1], CLAIMS[6]
CPU = {"device": "cpu: one, 2 threads", "threads": 2, "processes": 1, "train_seconds": 900.0}


def verdict(*effects: float, gain: float = 1.0, claim=METRIC, group=None) -> Verdict:
    return Verdict(
        Task("a-b", "full", "a task", "wer_pct", ("test",), gain, "table 7"), claim, group, effects
    )


@pytest.mark.parametrize("gain", [0.5, 1.0, 3.0])
def test_the_seeds_needed_have_the_power_and_one_fewer_has_not(gain):
    one = verdict(1.5, -0.5, 0.5, gain=gain)  # sd 1
    for share in (1.0, 1 / 3):
        count = one.needed(share)
        assert count == seeds_needed(1.0, share * gain)
        assert power_of(share * gain, 1.0, count) >= 0.8
        if count > 2:
            assert power_of(share * gain, 1.0, count - 1) < 0.8


def test_a_correction_for_more_tests_needs_more_seeds():
    one = verdict(1.5, -0.5, 0.5)
    of_many = replace(one, tests=20)
    assert of_many.needed() == seeds_needed(1.0, 1.0, alpha=0.05 / 20) > one.needed()
    assert of_many.needed(corrected=False) == one.needed()


def test_too_many_seeds_are_no_crash():
    assert needed(1000.0, 0.01) is None
    told = "more than 1,000,000 seeds for {}"
    assert verdict(1000.0, 0.0, -1000.0, gain=0.01).would_change.split("; ") == [
        *map(told.format, ("the paper's gain", "a third of it"))
    ]


@pytest.mark.parametrize(
    ("effects", "claim", "words"),
    [
        ((), METRIC, "unknown: needs three seeds"),
        ((0.4,), METRIC, "unknown: needs two more seeds"),
        ((0.4,), TRAINING, "unknown: needs two more seeds"),
        ((0.3, 0.4), METRIC, "unknown: needs a third seed"),
        ((0.4, 0.4, 0.4), METRIC, "unknown: the seeds do not differ"),
        ((0.3, 0.4), TRAINING, "the paper names no size to plan for"),
        ((1.5, -0.5, 0.5), METRIC, "10 seeds for the paper's gain; 73 seeds for a third of it"),
        ((0.0, 0.2, 0.4), METRIC, "n 3 is enough for the paper's gain; 6 seeds for a third of it"),
        ((0.0, 0.1, 0.2), METRIC, "n 3 is enough for the paper's gain and for a third of it"),
    ],
)
def test_what_would_change_it_in_words(effects, claim, words):
    assert verdict(*effects, claim=claim).would_change == words


def test_a_seed_costs_its_phases_once_times_their_cores(house):
    for seed in (0, 1):
        house.run("dsd", seed, 30.0, 31.0, 29.0, made=CPU)
        house.run("finetune", seed, 30.0, 31.0, 29.0, made=CPU)
        house.run("baseline", seed, 30.0, made=CPU)
    house.run("baseline", 2, 30.0, made=CPU)  # no dsd of this seed
    half_an_hour = 900 * 2 / 3600
    assert cost(house.group, ("dsd", "baseline")) == Cost(3 * half_an_hour, "core-hours")
    assert cost(house.group, ("dsd", "finetune")) == Cost(5 * half_an_hour, "core-hours")
    assert cost(house.group, ("dsd", "random")) is None
    one = verdict(1.5, -0.5, 0.5, group=house.group)
    assert one.more_hours == (10 - 3) * 2.5
    assert one.would_change.startswith("10 seeds (+17.5 core-hours) for the paper's gain; ")


def test_an_unknown_time_is_an_unknown_cost(house):
    house.run("dsd", 0, 30.0, made=CPU)
    house.run("finetune", 0, 30.0)
    assert cost(house.group, ("dsd", "finetune")) is None


def test_a_dense_phase_that_all_seeds_share_is_paid_for(house):
    path = house.suite.recipes["images-resnet18"]
    path.write_text(path.read_text() + "dense_seed: 0\n")
    house.run("dsd", 1, 30.0, made=CPU)
    assert cost(house.group, ("dsd",)).hours == 2 * 0.5


def test_hours_of_another_device_are_not_those_of_cores(house):
    gpu = {**CPU, "device": "cuda: a GPU", "processes": 4, "train_seconds": 3600.0}
    house.run("dsd", 0, 30.0, made=gpu)
    assert cost(house.group, ("dsd",)) == Cost(12.0, "device-hours")
