"""How large an effect a paired comparison over n seeds can show, and how many seeds one needs.

Of Student's two-sided t-test over paired differences; exact. The square of a noncentral t is a
noncentral F, whose distribution scipy has without gaps.
"""

from bisect import bisect_left

MOST_SEEDS = 1_000_000


def power_of(effect: float, sd: float, n: int, alpha: float = 0.05) -> float:
    """Returns the chance that the test shows a true mean difference of `effect` with n seeds.

    `sd`: of the differences between runs of one seed, in the effect's unit.
    """
    from scipy import stats  # it takes a second, and kept results need none of it

    critical = stats.t.ppf(1 - alpha / 2, n - 1)
    return 1 - float(stats.ncf.cdf(critical**2, 1, n - 1, n * (effect / sd) ** 2))


def detectable(sd: float, n: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Returns the smallest true mean difference that n seeds show with this power."""
    _check(sd, power, alpha)
    if n < 2:
        raise ValueError(f"n is {n}: one seed leaves no spread to judge by")
    from scipy import optimize

    most = 2.0
    while power_of(most, 1.0, n, alpha) < power:
        most *= 2
    return sd * float(optimize.brentq(lambda d: power_of(d, 1.0, n, alpha) - power, 0.0, most))


def seeds_needed(sd: float, effect: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Returns the fewest seeds that show a true mean difference of `effect` with this power.

    For Holm's first step in a family of m tests: alpha=0.05 / m.
    """
    _check(sd, power, alpha)
    seeds = range(2, MOST_SEEDS + 1)
    place = bisect_left(seeds, power, key=lambda n: power_of(effect, sd, n, alpha))
    if place == len(seeds):
        raise ValueError(f"an effect of {effect:g} at sd {sd:g} needs more than {MOST_SEEDS} seeds")
    return seeds[place]


def _check(sd: float, power: float, alpha: float) -> None:
    if not (sd > 0 and 0 < alpha < power < 1):
        raise ValueError(f"sd {sd:g}, alpha {alpha:g}, power {power:g}: 0 < alpha < power < 1")
