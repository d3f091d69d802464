"""Power of the paired t-test, against known values and against simulated comparisons."""

import numpy as np
import pytest
from scipy import stats

from analysis.power import detectable, power_of, seeds_needed


@pytest.mark.parametrize(
    ("effect", "power", "alpha", "n"),
    [
        (0.2, 0.8, 0.05, 199),
        (0.5, 0.8, 0.05, 34),
        (0.5, 0.95, 0.05, 54),
        (0.8, 0.8, 0.05, 15),
        (0.5, 0.8, 0.01, 51),
    ],
)
def test_seeds_needed_are_those_of_g_power(effect, power, alpha, n):
    assert seeds_needed(1.0, effect, power, alpha) == n
    assert seeds_needed(3.0, -3 * effect, power, alpha) == n  # either sign, any unit


@pytest.mark.parametrize("n", [2, 3, 6, 12, 34])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6])
def test_what_n_seeds_detect_they_detect_with_the_power_asked_for(n, alpha):
    effect = detectable(2.0, n, alpha=alpha)
    assert power_of(effect, 2.0, n, alpha) == pytest.approx(0.8)
    assert seeds_needed(2.0, 1.001 * effect, alpha=alpha) == n
    assert seeds_needed(2.0, 0.999 * effect, alpha=alpha) == n + 1


def test_the_power_is_how_often_scipys_test_rejects():
    generator = np.random.default_rng(0)
    differences = generator.normal(1.2, 1.0, (20_000, 6))
    rejected = stats.ttest_1samp(differences, 0, axis=1).pvalue < 0.05
    assert power_of(1.2, 1.0, 6) == pytest.approx(rejected.mean(), abs=0.01)
    assert power_of(0.0, 1.0, 6) == pytest.approx(0.05)


def test_what_cannot_be_answered_is_refused():
    for wrong in ((0.0, 6), (float("nan"), 6), (1.0, 1)):
        with pytest.raises(ValueError, match=r"sd|one seed"):
            detectable(*wrong)
    with pytest.raises(ValueError, match="more than 1000000 seeds"):
        seeds_needed(1.0, 0.0)
    with pytest.raises(ValueError, match="alpha < power"):
        seeds_needed(1.0, 0.5, power=0.01)
