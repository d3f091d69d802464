"""Does dsd beat another arm? Gains paired over the seeds, tests of them, and what they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import stats

from analysis.examples import interval as over_examples
from analysis.grid import metric_name, split_name
from analysis.records import Group, Spread, spread

CONTROLS = ("baseline", "finetune")  # the arms that the tables 5, 7 and 9 compare dsd with
NAMES = {
    "dsd": "DSD",
    "baseline": "the baseline",
    "finetune": "the matched fine-tuning",
    "llr": "going on at a low rate",
    "random": "the random mask",
}
DRAWS = 10_000
SAME = 1e-9  # a smaller standard deviation is rounding: the values are equal

Interval = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """An arm against another on one test set, in the metric's unit; positive gains: better.

    None: one seed, or seeds that all differ by the same amount, which leaves no spread to judge by.
    """

    group: Group
    arm: str
    over: str
    split: str
    gain: Spread  # of the differences between runs of one seed, which share their dense phase
    relative_pct: float  # the mean gain, in percent of the other arm's mean over these seeds
    n: tuple[int, int]  # seeds of each arm; the unpaired tests use all of them
    interval: Interval | None  # 95 %, Student's t over the paired differences
    bootstrap: Interval | None  # 95 %, percentiles over the seeds
    examples: Interval | None  # 95 %, over the test examples; None too where no record holds them
    paired_p: float | None
    welch_p: float | None
    student_p: float | None  # equal variances: the paper's test on CIFAR-10
    effect: float | None  # Cohen's d_z: mean over standard deviation of the paired differences
    epochs: tuple[float, float]  # of each arm in all, the dense phase included
    verdict: str  # "better", "worse", "none" (no difference shown) or "one seed"


def compare(group: Group, over: str, split: str, arm: str = "dsd") -> Comparison | None:
    """Returns an arm against another, None where they share no seed.

    Raises UserError that names the file when a record's per-example results do not fit it.
    """
    found = group.gain(arm, over, split)
    if found is None:
        return None
    gain, relative_pct = found
    ours, theirs = group.final(arm, split), group.final(over, split)
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    sign = -1 if group.first.lower_is_better else 1
    varied = _varied(gain)
    return Comparison(
        group,
        arm,
        over,
        split,
        gain,
        relative_pct,
        n=(len(ours), len(theirs)),
        interval=paired_interval(gain),
        bootstrap=over_seeds([sign * (mine - other) for mine, other in pairs]),
        examples=over_examples(group, arm, over, split),
        paired_p=float(stats.ttest_rel(*zip(*pairs, strict=True)).pvalue) if varied else None,
        welch_p=unpaired_p([*ours.values()], [*theirs.values()], equal_var=False),
        student_p=unpaired_p([*ours.values()], [*theirs.values()], equal_var=True),
        effect=gain.mean / gain.sd if gain.sd and varied else None,
        epochs=(total_epochs(group, arm), total_epochs(group, over)),
        verdict=verdict(gain),
    )


def comparisons(group: Group) -> list[Comparison]:
    """Returns dsd against every other arm that shares a seed with it, on every test set."""
    found = [compare(group, over, split) for over in group.arms for split in group.splits]
    return [comparison for comparison in found if comparison]


def sentence(found: Comparison) -> str:
    """Returns in one plain sentence what a comparison shows."""
    arm, over = (NAMES.get(name, name) for name in (found.arm, found.over))
    mean, _, n = found.gain
    low, high = found.interval or (mean, mean)
    points = f"points of {metric_name(found.group.first.metric).removesuffix(' (%)')}"
    match found.verdict:
        case "better":
            told = f"{arm} beats {over} by {mean:.2f} {points}, 95 % CI [{low:.2f}, {high:.2f}]"
        case "worse":
            told = f"{arm} falls behind {over} by {-mean:.2f} {points}, "
            told += f"95 % CI [{-high:.2f}, {-low:.2f}]"
        case "one seed":
            told = f"One seed has both {arm} and {over}, so no verdict: gain {mean:+z.2f} {points}"
        case _:
            told = f"No difference shown between {arm} and {over}: gain {mean:+z.2f} {points}, "
            told += f"95 % CI [{low:+z.2f}, {high:+z.2f}]" if found.interval else "at every seed"
    ours, theirs = found.epochs
    spent = f" ({ours:g} epochs against {theirs:g})" if ours != theirs else ""
    if len(found.group.splits) > 1:
        told = told if told.startswith("DSD") else told[0].lower() + told[1:]
        told = f"{split_name(found.split).capitalize()}: {told}"
    return f"{told}, n = {n}{spent}."


def paired_interval(found: Spread) -> Interval | None:
    """Returns the mean's 95 % confidence interval by Student's t.

    None for one seed, and where all values are equal: no spread, so no interval. With two or three
    seeds of a coarse figure this happens by chance; a width of zero would claim certainty.
    """
    if found.sd is None or not _varied(found):
        return None
    low, high = stats.t.interval(0.95, found.n - 1, found.mean, found.sd / sqrt(found.n))
    return float(low), float(high)


def over_seeds(values: Sequence[float]) -> Interval | None:
    """Returns the mean's 95 % percentile bootstrap interval over seeds, None as above.

    Over a few seeds it is too narrow: of three, no draw leaves the range that they span.
    """
    if not _varied(spread(values)):
        return None
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=DRAWS,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def unpaired_p(ours: Sequence[float], theirs: Sequence[float], equal_var: bool) -> float | None:
    """Returns the p of Student's two-sided t-test, or of Welch's, of two independent samples.

    None where one of them is a single value, or neither varies.
    """
    both = spread(ours), spread(theirs)
    if min(found.n for found in both) < 2 or not any(map(_varied, both)):
        return None
    return float(stats.ttest_ind_from_stats(*both[0], *both[1], equal_var=equal_var).pvalue)


def verdict(gain: Spread) -> str:
    """Returns "one seed", or whether the paired t interval lies above 0, below 0, or neither."""
    if gain.n == 1:
        return "one seed"
    between = paired_interval(gain)
    if between is None or between[0] <= 0 <= between[1]:
        return "none"
    return "better" if between[0] > 0 else "worse"


def total_epochs(group: Group, arm: str) -> float:
    """Returns an arm's epochs in all; its runs share their schedule."""
    return sum(phase.epochs for phase in next(iter(group.arms[arm].values())).record.phases)


def after(group: Group, arm: str, phase: str, split: str, metric: str) -> dict[int, float]:
    """Returns {seed: an arm's figure after a phase}, "" for its last; empty: not run."""
    found = {}
    for seed, run in group.arms.get(arm, {}).items():
        tests = [done.test for done in run.record.phases if phase in ("", done.name)]
        found[seed] = tests[-1][split][metric]
    return found


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Spread | None:
    """Returns ours less theirs, paired over the seeds of both; None where they share none."""
    seeds = sorted(ours.keys() & theirs.keys())
    return spread(ours[seed] - theirs[seed] for seed in seeds) if seeds else None


def answer(
    where: str, row: str, differences: Mapping[str, Spread | None], lower_is_better: bool = False
) -> str:
    """Returns in which figures dsd is better, worse, or not shown to differ, then the numbers.

    `where`: the test set. `row`: one of CONTROLS. `differences`: {figure's name: dsd's less the
    row's}.
    """
    name = NAMES[row]
    says = {
        "better": f"dsd beats {name}",
        "worse": f"dsd falls behind {name}",
        "none": f"no difference between dsd and {name} shown",
    }
    verdicts: dict[str, list[str]] = {}
    numbers, seeds = [], set()
    for figure, found in differences.items():
        if found is None:
            return f"{where}: no seed has both dsd and {name}: nothing to compare."
        between = paired_interval(found)
        said = "" if between is None else f" ({between[0]:+.2f} to {between[1]:+.2f})"
        numbers.append(f"{figure} {found.mean:+.2f}{said}")
        gain = found._replace(mean=-found.mean) if lower_is_better else found
        verdicts.setdefault(verdict(gain), []).append(figure)
        seeds.add(found.n)
    n = max(seeds)
    if n == 1:
        start = f"one seed has both dsd and {name}, so there is no interval and no verdict"
        return f"{where}: {start}. dsd minus {row}: {', '.join(numbers)}."
    told = "; ".join(f"{says[shown]} in {listed(figures)}" for shown, figures in verdicts.items())
    return (
        f"{where}: {told}. dsd minus {row}, mean over {n} seeds (95 % interval): "
        f"{', '.join(numbers)}."
    )


def what_intervals_are(examples: str) -> str:
    """Returns a note beneath the answers; `examples`: what a test set is made of."""
    return (
        "Intervals: Student's t over the seeds, of paired differences; a difference is shown where "
        f"the interval excludes 0. They span the training's randomness, not the choice of test "
        f"{examples}; their number is not corrected for."
    )


def listed(names: Sequence[str]) -> str:
    """Writes "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _varied(found: Spread) -> bool:
    return found.sd is not None and found.sd > SAME
