"""Statistics of arrays: against scipy called directly, and by hand."""

from math import sqrt
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from analysis import statistics
from analysis.statistics import (
    bootstrap_interval,
    cohens_dz,
    over_examples,
    paired_p,
    ratio_metric,
    resampled,
    spread,
    t_interval,
    unpaired_p,
    verdict,
)
from recipes.metrics import bleu

# a file that another test of this process left open is collected at any time
pytestmark = pytest.mark.filterwarnings("error", "ignore::ResourceWarning")
values = st.lists(st.integers(-50, 50).map(lambda n: n / 4), min_size=2, max_size=8).filter(
    lambda found: len(set(found)) > 1
)


def test_spread():
    assert spread([1.0]) == (1.0, None, 1)
    assert spread(np.array([1.0, 2.0, 6.0])) == pytest.approx((3.0, 7**0.5, 3))


@given(values)
def test_paired_tests_and_intervals_are_scipys(found):
    wanted = stats.ttest_1samp(found, 0)
    assert paired_p(found) == pytest.approx(wanted.pvalue)
    interval = wanted.confidence_interval(0.95)
    assert t_interval(found) == pytest.approx((interval.low, interval.high), abs=1e-9)
    shown = verdict(found) != "none"
    assert abs(wanted.pvalue - 0.05) < 1e-9 or shown == (wanted.pvalue < 0.05)
    assert cohens_dz(found) == pytest.approx(fmean(found) / stdev(found))


@given(values, values)
def test_unpaired_tests_are_scipys(ours, theirs):
    for equal_var in (True, False):
        wanted = stats.ttest_ind(ours, theirs, equal_var=equal_var).pvalue
        assert unpaired_p(ours, theirs, equal_var=equal_var) == pytest.approx(wanted, abs=1e-9)


def test_the_papers_claim_on_cifar_10():
    """16 runs of dsd and of fine-tuning whose means and deviations are the appendix's."""

    def sample(mean: float, sd: float) -> list[float]:
        raw = np.linspace(-1, 1, 16)
        return [*(mean + sd * raw / raw.std(ddof=1))]

    dsd, finetune = sample(7.89, 0.03), sample(7.97, 0.04)
    assert (round(fmean(dsd), 9), round(stdev(finetune), 9)) == (7.89, 0.04)
    for equal_var in (True, False):
        found = unpaired_p(dsd, finetune, equal_var=equal_var)
        wanted = stats.ttest_ind_from_stats(7.89, 0.03, 16, 7.97, 0.04, 16, equal_var).pvalue
        assert found == pytest.approx(wanted, rel=1e-6)
        assert found < 0.001


@given(values)
def test_the_bootstrap_is_scipys_and_stays_within_the_seeds(found):
    low, high = bootstrap_interval(found)
    assert min(found) <= low <= high <= max(found)
    assert (low, high) == bootstrap_interval(found)


def test_the_bootstrap_over_seeds_as_the_theory_of_many_seeds():
    found = np.random.default_rng(0).normal(1.0, 0.5, 200)
    half = 1.96 * found.std() / sqrt(200)
    low, high = bootstrap_interval(found)
    assert (low, high) == pytest.approx((found.mean() - half, found.mean() + half), abs=0.01)


@pytest.mark.parametrize("found", [[2.0], [2.0, 2.0], [8.2 - 8.0, 32.2 - 32.0]])
def test_without_spread_there_is_no_interval_and_no_p(found):
    for function in (t_interval, bootstrap_interval, paired_p, cohens_dz):
        assert function(found) is None
    assert verdict(found) == ("one seed" if len(found) == 1 else "none")
    for equal_var in (True, False):
        assert unpaired_p(found, [7.0, 7.0], equal_var=equal_var) is None
        wanted = None if len(found) == 1 else True
        assert (unpaired_p(found, [7.5, 7.9], equal_var=equal_var) is not None) == bool(wanted)


def test_the_verdicts():
    # t(0.975, 2) = 4.302653; sd 0.5: half width 1.242
    for middle, wanted in ((2.5, "better"), (-2.5, "worse"), (1.2, "none"), (1.25, "better")):
        assert verdict([middle - 0.5, middle, middle + 0.5]) == wanted


def test_over_examples_as_scipys_bootstrap_of_the_differences():
    draw = np.random.default_rng(1)
    ours, theirs = (draw.random((2, 40)) < share for share in (0.2, 0.5))
    counts = [[np.stack([wrong, np.ones(40)], axis=1) for wrong in runs] for runs in (ours, theirs)]
    differences = 100 * (ours.astype(float) - theirs).mean(axis=0)
    wanted = stats.bootstrap(
        (differences,), np.mean, n_resamples=10_000, method="percentile", rng=draw
    ).confidence_interval
    found = over_examples(*counts)
    assert found == pytest.approx((wanted.low, wanted.high), abs=1.3)  # a step is 1.25
    assert found == over_examples(*counts)
    assert over_examples(counts[0], counts[0]) == (0.0, 0.0)  # both are tested on the same draws


@settings(max_examples=50, deadline=None)
@given(arrays(np.int64, st.tuples(st.integers(1, 20), st.just(10)), elements=st.integers(0, 12)))
def test_bleu_as_the_recipe_counts_it(counts):
    counts[:, :4] = np.minimum(counts[:, :4], counts[:, 4:8])
    wanted = bleu.scores(counts)
    for n in (1, 2, 3, 4):
        sums = counts[:, [*range(n), *range(4, 4 + n)]].sum(axis=0)
        assert ratio_metric(sums) == pytest.approx(wanted[f"bleu{n}"], rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 9))
)
def test_a_resample_draws_as_many_examples_whole(counts):
    n = len(counts)
    held = np.concatenate([counts, counts[:, :1], np.ones((n, 1), np.int64)], axis=1)
    sums = resampled(held)
    assert sums.shape == (statistics.DRAWS, held.shape[1])
    assert (sums[:, -1] == n).all()
    assert (sums[:, -2] == sums[:, 0]).all()  # what belongs to an example goes with it
    assert (sums >= n * held.min(axis=0)).all()
    assert (sums <= n * held.max(axis=0)).all()
    assert np.array_equal(resampled(held), sums)


def test_a_resample_has_the_spread_of_theory(monkeypatch):
    counts = np.random.default_rng(5).integers(0, 9, (200, 2))
    sums = resampled(counts)
    # 10 000 draws: the mean is known to a hundredth of the spread, the spread to 0.7 %
    wanted = np.sqrt(200) * counts.std(axis=0)
    assert (np.abs(sums.mean(axis=0) - counts.sum(axis=0)) < 0.05 * wanted).all()
    assert sums.std(axis=0) == pytest.approx(wanted, rel=0.04)
    monkeypatch.setattr(statistics, "KEPT", 0)
    assert np.array_equal(resampled(counts), sums)  # draws that are kept are those that are not
    monkeypatch.setattr(statistics, "CELLS", 200 * 7)  # batches that do not divide the draws
    assert resampled(counts).shape == sums.shape
