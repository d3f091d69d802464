"""Comparisons of arms, by hand and in words."""

from dataclasses import replace
from math import sqrt

import pytest
from scipy import stats

from analysis.groups import Group
from analysis.significance import compare, comparisons, sentence

# a file that another test of this process left open is collected at any time
pytestmark = pytest.mark.filterwarnings("error", "ignore::ResourceWarning")

BASELINE = {0: 30.0, 1: 31.0, 2: 32.0}
DSD = {0: 28.0, 1: 28.5, 2: 29.0}  # gains 2, 2.5, 3
FINETUNE = {0: 27.0, 1: 28.5, 2: 30.0}  # gains -1, 0, 1


def group(house, **arms: dict[int, float]) -> Group:
    """Returns the only group, of runs whose last test figures are given by arm and seed."""
    for arm, figures in arms.items():
        for seed, figure in figures.items():
            house.run(arm, seed, figure)
    return house.group


def test_a_comparison_as_done_by_hand_and_by_scipy(house):
    found = compare(group(house, baseline=BASELINE, dsd=DSD), "baseline", "test")
    assert (found.arm, found.over, found.split) == ("dsd", "baseline", "test")
    assert found.gain == (2.5, 0.5, 3)
    assert found.relative_pct == pytest.approx(100 * 2.5 / 31)
    assert found.n == (3, 3)
    half = 4.302653 * 0.5 / sqrt(3)  # t(0.975, 2)
    assert found.interval == pytest.approx((2.5 - half, 2.5 + half), abs=1e-6)
    # of the 27 equally likely draws one in 27 > 2.5 % is the smallest value thrice
    assert found.bootstrap == (2.0, 3.0)
    assert found.examples is None
    assert found.effect == 5.0
    assert found.epochs == (5.25, 3.0)
    assert found.verdict == "better"
    ours, theirs = [*DSD.values()], [*BASELINE.values()]
    assert found.paired_p == pytest.approx(stats.ttest_rel(theirs, ours).pvalue)
    assert found.welch_p == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)
    assert found.student_p == pytest.approx(stats.ttest_ind(ours, theirs).pvalue)


def test_pairs_are_of_one_seed_and_unpaired_tests_use_all(house):
    more = {**BASELINE, 3: 90.0, 4: 91.0}
    found = compare(group(house, baseline=more, dsd=DSD), "baseline", "test")
    assert found.gain == (2.5, 0.5, 3)
    assert found.n == (3, 5)
    both = [*DSD.values()], [*more.values()]
    assert found.student_p == pytest.approx(stats.ttest_ind(*both).pvalue)
    assert found.paired_p == pytest.approx(stats.ttest_1samp([2.0, 2.5, 3.0], 0).pvalue)


def test_every_other_arm_that_shares_a_seed_is_compared(house):
    more = {"dsdsd": {0: 20.0}, "finetune": FINETUNE, "llr": {7: 30.0}, "random": BASELINE}
    runs = group(house, baseline=BASELINE, dsd=DSD, **more)
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


def test_a_metric_other_than_the_recipes(house, image):
    house.three_seeds(image)
    found = compare(house.group, "baseline", "test", metric="top5_error_pct")
    assert (found.metric, found.gain) == ("top5_error_pct", (1.25, 0.25, 3))
    assert "+1.25 points of top-5 error" in sentence(found)


def test_the_sentences(house):
    runs = group(house, baseline=BASELINE, dsd=DSD, finetune=FINETUNE, random={0: 20.0, 1: 20.1})
    over = {one.over: sentence(one) for one in comparisons(runs)}
    assert over == {
        "baseline": "DSD beats the baseline: gain +2.50 points of top-1 error, 95 % CI [+1.26, "
        "+3.74], n = 3 (5.25 epochs against 3).",
        "finetune": "No difference shown between DSD and the matched fine-tuning: gain +0.00 "
        "points of top-1 error, 95 % CI [-2.48, +2.48], n = 3.",
        "random": "DSD falls behind the random mask: gain -8.20 points of top-1 error, 95 % CI "
        "[-10.74, -5.66], n = 2.",
    }
    another = replace(comparisons(runs)[0], over="new")
    assert sentence(another).startswith("DSD beats new: gain +2.50 ")


def test_one_seed_gives_no_verdict_and_equal_differences_show_none(house):
    runs = group(house, baseline={0: 30.0}, dsd={0: 28.0, 1: 29.0}, random={0: 28.5, 1: 29.5})
    assert [sentence(one) for one in comparisons(runs)] == [
        "One seed has both DSD and the baseline, so no verdict: gain +2.00 points of top-1 error, "
        "n = 1 (5.25 epochs against 3).",
        "No difference shown between DSD and the random mask: gain +0.50 points of top-1 error, at "
        "every seed, n = 2.",
    ]


def test_captions_gain_where_bleu_rises_and_name_the_beam(house, captions):
    house.three_seeds(captions, first=50.0, sign=1)
    first, second = map(sentence, comparisons(house.group)[:2])
    assert first == (
        "Beam 1: DSD beats the baseline: gain +2.50 points of BLEU-4, 95 % CI [+1.26, +3.74], "
        "n = 3 (5.25 epochs against 3)."
    )
    assert second.startswith("Beam 20: DSD beats the baseline: gain +2.50 ")
