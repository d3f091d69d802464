"""Comparisons of arms: against scipy called directly, against figures done by hand, in words."""

from dataclasses import replace
from math import sqrt
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import significance
from analysis.records import Group, Spread, groups, read_all, spread
from analysis.significance import (
    compare,
    comparisons,
    over_seeds,
    paired_interval,
    sentence,
    unpaired_p,
    verdict,
)

pytestmark = pytest.mark.filterwarnings("error")

BASELINE = {0: 30.0, 1: 31.0, 2: 32.0}
DSD = {0: 28.0, 1: 28.5, 2: 29.0}  # gains 2, 2.5, 3
FINETUNE = {0: 27.0, 1: 28.5, 2: 30.0}  # gains -1, 0, 1


def group(house, **arms: dict[int, float]) -> Group:
    """Returns the only group, of runs whose last test figures are given by arm and seed."""
    for arm, figures in arms.items():
        for seed, figure in figures.items():
            house.run(arm, seed, figure)
    (found,) = groups(read_all(house.runs))
    return found


def test_a_comparison_as_done_by_hand_and_by_scipy(house):
    found = compare(group(house, baseline=BASELINE, dsd=DSD), "baseline", "test")
    assert (found.arm, found.over, found.split) == ("dsd", "baseline", "test")
    assert found.gain == (2.5, 0.5, 3)
    assert found.relative_pct == pytest.approx(100 * 2.5 / 31)
    assert found.n == (3, 3)
    # t(0.975, 2) = 4.302653
    half = 4.302653 * 0.5 / sqrt(3)
    assert found.interval == pytest.approx((2.5 - half, 2.5 + half), abs=1e-6)
    # of the 27 equally likely draws one in 27 > 2.5 % is the smallest value thrice
    assert found.bootstrap == (2.0, 3.0)
    assert found.examples is None
    assert found.effect == 5.0
    assert found.epochs == (5.25, 3.0)
    assert found.verdict == "better"
    ours, theirs = [*DSD.values()], [*BASELINE.values()]
    paired = stats.ttest_rel(theirs, ours)
    assert found.paired_p == pytest.approx(paired.pvalue)
    assert found.interval == pytest.approx(tuple(paired.confidence_interval()))
    welch = stats.ttest_ind(ours, theirs, equal_var=False).pvalue
    assert found.welch_p == pytest.approx(welch)
    assert found.student_p == pytest.approx(stats.ttest_ind(ours, theirs).pvalue)
    assert found.welch_p != found.student_p


def test_pairs_are_of_one_seed_and_unpaired_tests_use_all(house):
    more = {**BASELINE, 3: 90.0, 4: 91.0}
    runs = group(house, baseline=more, dsd=dict(reversed(DSD.items())))
    found = compare(runs, "baseline", "test")
    assert found.gain == (2.5, 0.5, 3)
    assert found.n == (3, 5)
    both = [*DSD.values()], [*more.values()]
    assert found.student_p == pytest.approx(stats.ttest_ind(*both).pvalue)
    assert found.welch_p == pytest.approx(stats.ttest_ind(*both, equal_var=False).pvalue)
    assert found.paired_p == pytest.approx(stats.ttest_1samp([2.0, 2.5, 3.0], 0).pvalue)


def test_every_other_arm_that_shares_a_seed_is_compared(house):
    runs = group(
        house,
        baseline=BASELINE,
        dsd=DSD,
        dsdsd={0: 20.0},
        finetune=FINETUNE,
        llr={7: 30.0},
        random=BASELINE,
    )
    assert [one.over for one in comparisons(runs)] == ["baseline", "finetune", "random", "dsdsd"]
    assert compare(runs, "llr", "test") is None
    assert compare(runs, "dsd", "test") is None
    assert compare(runs, "baseline", "test", arm="dsdsd").gain.mean == 10.0


def test_the_other_way_round_all_signs_turn(house):
    runs = group(house, baseline=BASELINE, finetune={0: 27.0, 1: 29.5, 2: 28.0})
    one = compare(runs, "baseline", "test", arm="finetune")
    other = compare(runs, "finetune", "test", arm="baseline")
    assert one.gain.mean == -other.gain.mean
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert one.bootstrap == pytest.approx((-other.bootstrap[1], -other.bootstrap[0]))
    for p in ("paired_p", "welch_p", "student_p"):
        assert getattr(one, p) == pytest.approx(getattr(other, p))
    assert one.effect == -other.effect
    assert one.n == other.n


def test_the_papers_claim_on_cifar_10():
    """16 runs of dsd and of fine-tuning whose means and deviations are the appendix's."""

    def sample(mean: float, sd: float) -> list[float]:
        raw = np.linspace(-1, 1, 16)
        return [*(mean + sd * raw / raw.std(ddof=1))]

    dsd, finetune = sample(7.89, 0.03), sample(7.97, 0.04)
    assert (round(fmean(dsd), 9), round(stdev(finetune), 9)) == (7.89, 0.04)
    for equal_var in (True, False):
        found = unpaired_p(dsd, finetune, equal_var)
        wanted = stats.ttest_ind_from_stats(7.89, 0.03, 16, 7.97, 0.04, 16, equal_var).pvalue
        assert found == pytest.approx(wanted, rel=1e-6)
        assert found < 0.001


values = st.lists(st.integers(-50, 50).map(lambda n: n / 4), min_size=2, max_size=8).filter(
    lambda found: len(set(found)) > 1
)


@given(values)
def test_the_interval_is_scipys(found):
    mine = paired_interval(spread(found))
    wanted = stats.ttest_1samp(found, 0).confidence_interval(0.95)
    assert mine == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    shown = verdict(spread(found)) != "none"
    p = stats.ttest_1samp(found, 0).pvalue
    assert abs(p - 0.05) < 1e-9 or shown == (p < 0.05)


@given(values, values)
def test_unpaired_tests_are_scipys(ours, theirs):
    for equal_var in (True, False):
        wanted = stats.ttest_ind(ours, theirs, equal_var=equal_var).pvalue
        assert unpaired_p(ours, theirs, equal_var) == pytest.approx(wanted, abs=1e-9)


@given(values)
def test_the_bootstrap_stays_within_the_seeds(found):
    low, high = over_seeds(found)
    assert min(found) <= low <= high <= max(found)
    assert (low, high) == over_seeds(found)


def test_the_bootstrap_over_seeds_as_the_theory_of_many_seeds():
    found = np.random.default_rng(0).normal(1.0, 0.5, 200)
    half = 1.96 * found.std() / sqrt(200)
    low, high = over_seeds(found)
    assert (low, high) == pytest.approx((found.mean() - half, found.mean() + half), abs=0.01)


def test_one_seed_gives_no_verdict(house):
    found = compare(group(house, baseline={0: 30.0}, dsd=DSD), "baseline", "test")
    assert found.gain == (2.0, None, 1)
    nothing = (found.interval, found.bootstrap, found.paired_p, found.welch_p, found.student_p)
    assert (*nothing, found.effect) == (None,) * 6
    assert found.n == (3, 1)
    assert found.verdict == "one seed"
    assert sentence(found) == (
        "One seed has both DSD and the baseline, so no verdict: gain +2.00 points of top-1 error, "
        "n = 1 (5.25 epochs against 3)."
    )


def test_equal_differences_leave_no_spread_to_judge_by(house):
    """8.2 - 8.0 and 32.2 - 32.0 differ by rounding alone."""
    assert (8.2 - 8.0) != (32.2 - 32.0)
    found = compare(
        group(house, baseline={0: 8.2, 1: 32.2}, dsd={0: 8.0, 1: 32.0}), "baseline", "test"
    )
    assert found.gain.mean == pytest.approx(0.2)
    assert (found.interval, found.bootstrap, found.paired_p, found.effect) == (None,) * 4
    assert found.student_p == pytest.approx(stats.ttest_ind([8.2, 32.2], [8.0, 32.0]).pvalue)
    assert found.verdict == "none"
    assert sentence(found) == (
        "No difference shown between DSD and the baseline: gain +0.20 points of top-1 error, at "
        "every seed, n = 2 (5.25 epochs against 3)."
    )


def test_arms_alike_and_arms_that_do_not_vary(house):
    found = compare(
        group(house, dsd={0: 7.0, 1: 7.0}, random={0: 7.0, 1: 7.0}, llr={0: 7.5, 1: 7.9}),
        "random",
        "test",
    )
    assert (found.gain.mean, found.verdict, found.effect) == (0.0, "none", None)
    assert (found.paired_p, found.welch_p, found.student_p) == (None, None, None)
    assert "gain +0.00 points of top-1 error, at every seed, n = 2." in sentence(found)
    varies = compare(found.group, "llr", "test")  # scipy warns where one sample is constant
    assert 0 < varies.welch_p < 1
    assert varies.welch_p != varies.student_p


def test_the_verdicts_by_the_paired_interval():
    assert verdict(Spread(2.5, 0.5, 3)) == "better"
    assert verdict(Spread(-2.5, 0.5, 3)) == "worse"
    assert verdict(Spread(1.2, 0.5, 3)) == "none"  # half width 1.242
    assert verdict(Spread(1.25, 0.5, 3)) == "better"
    assert verdict(Spread(9.0, 0.0, 3)) == "none"
    assert verdict(Spread(9.0, None, 1)) == "one seed"


def test_the_sentences(house):
    runs = group(house, baseline=BASELINE, dsd=DSD, finetune=FINETUNE, random={0: 20.0, 1: 20.1})
    over = {one.over: sentence(one) for one in comparisons(runs)}
    assert over == {
        "baseline": "DSD beats the baseline by 2.50 points of top-1 error, 95 % CI [1.26, 3.74], "
        "n = 3 (5.25 epochs against 3).",
        "finetune": "No difference shown between DSD and the matched fine-tuning: gain +0.00 "
        "points of top-1 error, 95 % CI [-2.48, +2.48], n = 3.",
        "random": "DSD falls behind the random mask by 8.20 points of top-1 error, 95 % CI [5.66, "
        "10.74], n = 2.",
    }
    another = replace(comparisons(runs)[0], over="dsdsd")
    assert sentence(another).startswith("DSD beats dsdsd by 2.50 ")


def test_captions_gain_where_bleu_rises_and_name_the_beam(house, captions):
    for seed, baseline in enumerate((50.0, 51.0, 52.0)):
        captions("baseline", seed, baseline)
        captions("dsd", seed, baseline, baseline, baseline + 2 + seed / 2)
    (found,) = groups(read_all(house.runs))
    first, second = map(sentence, comparisons(found))
    assert first == (
        "Beam 1: DSD beats the baseline by 2.50 points of BLEU-4, 95 % CI [1.26, 3.74], n = 3 "
        "(5.25 epochs against 3)."
    )
    assert second.startswith("Beam 20: DSD beats the baseline by 2.50 ")
    assert comparisons(found)[0].bootstrap == (2.0, 3.0)


def test_the_interval_over_test_examples_is_there_where_the_records_hold_them(house):
    labels = np.arange(4, dtype=np.uint8)
    for arm, folder, wrong in (("baseline", "dense", 1), ("dsd", "dense/sparse/redense", 0)):
        held = {"label": labels, "prediction": labels + wrong}
        named = {f"{folder}/test/{name}": array for name, array in held.items()}
        house.run(arm, 0, 100.0 * wrong, examples=named)
    (found,) = groups(read_all(house.runs))
    assert compare(found, "baseline", "test").examples == (100.0, 100.0)
    assert compare(found, "baseline", "test").verdict == "one seed"


def test_lists_in_words():
    assert [significance.listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == [
        *("a", "a and b", "a, b and c")
    ]
