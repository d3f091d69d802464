"""docs/scale.md: its tables are fresh, and the model behind them does what it says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import costs, scale
from benchmarks.costs import A, Step
from benchmarks.scale_page import page
from dsd.sweep.plan import Job


def stored() -> dict:
    return json.loads(scale.RESULT.read_text())


def test_the_page_is_fresh():
    """After a change of recipes, of assumptions or of the scheduler: python -m benchmarks.scale."""
    known = stored()
    result = json.loads(json.dumps(scale.results(known["measured"], known["counted"])))
    assert result == known
    text = scale.PAGE.read_text()
    assert page(text, result) == text


def test_weights_and_flops_are_counted_on_the_networks():
    known = stored()["counted"]
    assert json.loads(json.dumps(scale.counted())) == known
    # Sums over the layers of He et al. (2016), table 1, count a product and a sum as one: 3.8e9.
    assert known["resnet50"][1] / 2 == pytest.approx(3.8e9, rel=0.1)
    assert known["vgg16"][0] == 138_357_544


def test_a_step_is_as_long_as_what_it_waits_for():
    step = Step(compute=3.0, input=1.0, exchange=1.5, mask=0.25, checkpoint=0.5)
    assert step.seconds == 3.75  # the exchange is hidden
    assert step.limit == "compute"
    slow = replace(step, input=5.0)
    assert (slow.seconds, slow.limit) == (5.5, "input")
    far = replace(step, exchange=7.0)
    assert (far.seconds, far.limit) == (8.75, "all-reduce")


def test_what_more_gpus_share_and_what_they_do_not():
    one, eight, many = (costs.step(1.0, 10**8, 20, 1.0, gpus) for gpus in (1, 8, 64))
    assert one.compute == pytest.approx(8 * eight.compute) == pytest.approx(64 * many.compute)
    assert one.input == pytest.approx(64 * many.input)
    assert one.mask == eight.mask == many.mask > 20 * A["launch_s"]
    assert one.exchange == 0
    ring = 2 * 7 / 8 * 4e8 / (A["link_per_s"] * A["link_share"]) + 14 * A["hop_s"]
    assert eight.exchange == pytest.approx(ring)
    assert many.exchange > 8 * eight.exchange  # over the network


def test_epochs_of_arms_that_share_phases_count_once():
    recipe = scale.Suite(scale.ROOT).recipe("imagenet-resnet50")
    assert costs.epochs(recipe, ["dsd"]) == 180
    assert costs.epochs(recipe, ["dsd", "baseline"]) == 180
    assert costs.epochs(recipe, ["dsd", "llr"]) == 270


def jobs(count: int) -> list[Job]:
    found = []
    for number in range(count):
        name = f"net/seed{number}/dense"
        found.append(Job(name, Path(name), None, (), False, False, 2.0))
        found.append(Job(f"{name}/sparse", Path(name), name, (), False, False, 1.0))
    return found


def test_the_simulation_is_bound_by_the_gpus_and_by_the_longest_chain():
    assert scale.simulate(jobs(4), 1, 0)["hours"] == 12
    assert scale.simulate(jobs(4), 4, 0)["hours"] == 3
    assert scale.simulate(jobs(4), 100, 0)["hours"] == 3
    killed = scale.simulate(jobs(100), 10, 0.2)
    assert killed["kills"] > 0
    assert killed["failures"] == 0
    assert 300 < killed["gpu_hours"] <= 300 + killed["kills"] * A["checkpoint_every_s"] / 3600
