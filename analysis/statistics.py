"""Statistics of numbers over seeds and over test examples. They take arrays, anybody's.

scipy is imported where it computes: it takes a second, and kept results need none of it. power.py
tells how large an effect a comparison can show.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from math import sqrt
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from analysis.cache import remembered

DRAWS = 10_000
CELLS = 2_000_000  # draws times examples at once
KEPT = 2_000  # test sets of up to so many examples keep their draws in memory
SAME = 1e-9  # a smaller standard deviation is rounding: the values are equal

Values = Sequence[float] | np.ndarray
Interval = tuple[float, float]


class Spread(NamedTuple):
    """A mean over n seeds and the sample standard deviation, None for one seed."""

    mean: float
    sd: float | None
    n: int


def spread(values: Values) -> Spread:
    """Returns the mean, sample standard deviation and number of some values, at least one."""
    values = [float(value) for value in values]
    return Spread(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def varies(values: Values) -> bool:
    """Returns whether values differ by more than rounding."""
    sd = spread(values).sd
    return sd is not None and sd > SAME


@remembered
def t_interval(values: Values) -> Interval | None:
    """Returns the mean's 95 % confidence interval by Student's t.

    None for one value, and where all are equal: no spread, so no interval. With two or three seeds
    of a coarse figure this happens by chance; a width of zero would claim certainty.
    """
    found = spread(values)
    if found.sd is None or not varies(values):
        return None
    from scipy import stats

    low, high = stats.t.interval(0.95, found.n - 1, found.mean, found.sd / sqrt(found.n))
    return float(low), float(high)


@remembered
def bootstrap_interval(values: Values) -> Interval | None:
    """Returns the mean's 95 % percentile bootstrap interval, None as above.

    Over a few seeds it is too narrow: of three, no draw leaves the range that they span.
    """
    if not varies(values):
        return None
    from scipy import stats

    found = stats.bootstrap(
        (values,), np.mean, n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)


@remembered
def paired_p(differences: Values) -> float | None:
    """Returns the p of Student's two-sided paired t-test, None without spread."""
    if not varies(differences):
        return None
    from scipy import stats

    return float(stats.ttest_1samp(differences, 0).pvalue)


@remembered
def unpaired_p(ours: Values, theirs: Values, *, equal_var: bool) -> float | None:
    """Returns the p of Student's two-sided t-test, or of Welch's, of two independent samples.

    None where one of them is a single value, or neither varies.
    """
    both = spread(ours), spread(theirs)
    if min(found.n for found in both) < 2 or not (varies(ours) or varies(theirs)):
        return None
    from scipy import stats

    return float(stats.ttest_ind_from_stats(*both[0], *both[1], equal_var=equal_var).pvalue)


def cohens_dz(differences: Values) -> float | None:
    """Returns the mean of paired differences over their standard deviation (Lakens 2013)."""
    mean, sd, _ = spread(differences)
    return mean / sd if sd and varies(differences) else None


def verdict(gains: Values) -> str:
    """Returns "one seed", or whether the t interval of gains is above 0, below 0, or neither.

    That is "better", "worse" or "none": no difference shown.
    """
    if len(gains) == 1:
        return "one seed"
    between = t_interval(gains)
    if between is None or between[0] <= 0 <= between[1]:
        return "none"
    return "better" if between[0] > 0 else "worse"


def holm(ps: Values) -> list[float]:
    """Returns p values, in their order, corrected for their number by Holm's step-down method."""
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(np.argsort(ps, kind="stable")):
        largest = max(largest, min(1.0, (len(ps) - rank) * float(ps[place])))
        corrected[place] = largest
    return corrected


def ratio_metric(sums: np.ndarray) -> np.ndarray:
    """Returns the metric of summed counts, (..., 2 n) -> (...): n sums, then what each is out of.

    A hundred times the geometric mean of the n ratios, as error rates and BLEU are; of 0 out of 0
    the ratio is 0.
    """
    found, out_of = np.split(sums, 2, axis=-1)
    ratios = found / np.maximum(out_of, 1)
    return 100 * np.prod(ratios, axis=-1) ** (1 / ratios.shape[-1])


def resampled(counts: np.ndarray) -> np.ndarray:
    """Returns the sums of `DRAWS` resamples, (draws, ...), of counts, (N, ...); the same each time.

    An example is one of the first axis: N of them are drawn with replacement, with all they hold.
    """
    n = len(counts)
    flat = counts.reshape(n, -1).astype(np.float64)
    draws = [_kept_draws(n)] if n <= KEPT else _draws(n)
    return np.concatenate([times @ flat for times in draws]).reshape(DRAWS, *counts.shape[1:])


def over_examples(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> Interval:
    """Returns the 95 % interval of ours less theirs in the ratio metric, over redrawn test sets.

    ours, theirs: a (N, 2 n) array of counts a seed, of the same N examples. Each of 10 000 times
    test examples are drawn with replacement, the same ones for both and all seeds; the metric is
    computed again for each run, and the differences are averaged over the seeds. The
    interval's ends are percentiles. It spans the choice of test examples for these networks, not
    the training's randomness. Source: the paired bootstrap of Koehn (EMNLP 2004) for BLEU and of
    Bisani and Ney (ICASSP 2004) for WER.
    """
    runs = [counts for pair in zip(ours, theirs, strict=True) for counts in pair]
    metrics = ratio_metric(resampled(np.stack(runs, axis=1)))
    low, high = np.percentile(np.mean(metrics[:, ::2] - metrics[:, 1::2], axis=1), [2.5, 97.5])
    return float(low), float(high)


@cache
def _kept_draws(n: int) -> np.ndarray:
    """Returns how often each of n examples is in each draw, (DRAWS, n); many comparisons ask."""
    return np.concatenate(list(_draws(n)))


def _draws(n: int) -> Iterator[np.ndarray]:
    """Yields the same a part of the draws at a time."""
    rng = np.random.default_rng(0)
    batch = max(1, CELLS // n)
    for start in range(0, DRAWS, batch):
        size = min(batch, DRAWS - start)
        drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        times = np.bincount(drawn.reshape(-1), minlength=size * n)
        yield times.reshape(size, n).astype(np.float32)
