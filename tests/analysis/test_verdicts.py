"""Verdicts per claim: effects with the right sign, their words, and Holm's correction."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import statistics
from analysis.claims import CLAIMS, Task
from analysis.power import power_of
from analysis.verdicts import Verdict, verdicts

METRIC, TRAINING = CLAIMS[1], CLAIMS[6]


def task(gain: float = 1.0) -> Task:
    return Task("a-b", "full", "a task", "wer_pct", ("test",), gain, "table 7")


@pytest.mark.parametrize(
    ("effects", "words"),
    [
        ((), "not run"),
        ((0.4,), "no verdict from n = 1"),
        ((0.4, 0.4, 0.4), "no verdict from n = 3"),
        ((0.31, 0.3, 0.29), "confirmed, less than the paper's gain"),
        ((1.2, 1.3, 1.1), "confirmed"),
        ((-0.31, -0.3, -0.29), "contradicted"),
        ((0.1, -0.1, 0.05), "the paper's gain is excluded"),
        ((1.0, -1.0, 0.5), "open: zero or the paper's"),
    ],
)
def test_what_an_interval_comes_to(effects, words):
    assert Verdict(task(), METRIC, None, effects).words == words


def test_a_claim_without_a_gain_is_confirmed_contradicted_or_open():
    def words(*effects: float) -> str:
        return Verdict(task(), TRAINING, None, effects).words

    assert words(0.31, 0.3, 0.29) == "confirmed"
    assert words(-0.31, -0.3, -0.29) == "contradicted"
    assert words(0.1, -0.1, 0.05) == "open: not shown either way"


def test_what_a_correction_takes_away_is_no_finding():
    for effects, side in (((0.31, 0.3, 0.29), "for"), ((-0.31, -0.3, -0.29), "against")):
        words = Verdict(task(), METRIC, None, effects, holm_p=0.05).words
        assert words == f"{side} it, but not after Holm's correction"
        assert Verdict(task(), METRIC, None, effects, holm_p=0.049).words.startswith("con")


def test_only_captions_are_held_to_the_validation_perplexity(house, monkeypatch):
    monkeypatch.setattr("analysis.verdicts.TASKS", (task(), replace(task(), metric="bleu4")))
    found = [(one.task.metric, one.metric) for one in verdicts(house.results.groups)]
    assert found.count(("bleu4", "perplexity")) == 1
    assert ("wer_pct", "perplexity") not in found


def test_seeds_to_plan_for_are_those_of_holms_strictest_step_and_need_a_spread_of_three():
    one = Verdict(task(), METRIC, None, (0.1, 0.3, 0.2), tests=20)
    plain, corrected = one.needed(corrected=False), one.needed()
    assert plain is not None
    assert corrected is not None
    assert power_of(1.0, 0.1, corrected, 0.05 / 20) >= 0.8 > power_of(1.0, 0.1, plain, 0.05 / 20)
    assert replace(one, effects=(0.1, 0.3)).would_change == "unknown: needs a third seed"
    assert replace(one, effects=(0.1, 0.1, 0.1)).would_change == "unknown: the seeds do not differ"


def test_holm_by_hand():
    # Holm (1979): 4 x 0.005, 3 x 0.01, then 2 x 0.03; 0.04 gets no less than what comes before.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([]) == []
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_order_and_lies_between_the_plain_and_bonferronis(ps):
    found = statistics.holm(ps)
    for plain, corrected in zip(ps, found, strict=True):
        assert plain <= corrected <= min(1.0, len(ps) * plain) + 1e-12
    order = sorted(range(len(ps)), key=lambda i: (ps[i], i))
    assert [found[i] for i in order] == sorted(found)


def test_seeds_that_share_one_dense_phase_are_held_against_its_network(house, monkeypatch):
    recipe = house.suite.recipes["images-resnet18"]
    recipe.write_text(recipe.read_text() + "dense_seed: 0\n")
    one = replace(task(), recipe="images-resnet18", metric="top1_error_pct")
    monkeypatch.setattr("analysis.verdicts.TASKS", (one,))
    house.run("baseline", 0, 8.3)
    house.run("baseline", 1, 9.0)  # another network: no run branches off it
    for seed in range(3):
        house.run("dsd", seed, 8.3, 8.2, 8.0 + seed / 10)
        house.run("finetune", seed, 8.3, 8.2, 8.5)
    house.run("finetune", 3, 8.3, 8.2, 8.5)  # no dsd of this seed
    found = {one.claim.over: one.effects for one in verdicts(house.results.groups) if one.gain}
    assert found["baseline"] == pytest.approx((0.3, 0.2, 0.1))
    assert found["finetune"] == pytest.approx((0.5, 0.4, 0.3))
    gain = house.group.gain("dsd", "baseline", "test")
    assert gain.values == pytest.approx((0.3, 0.2, 0.1))
    assert gain.reference == pytest.approx(8.3)
