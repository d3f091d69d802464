"""Does dsd beat another arm? Differences between runs of the same seed, and what they show."""

from collections.abc import Mapping, Sequence
from math import sqrt

from scipy.special import stdtrit

from analysis.records import Group, Spread, spread

CONTROLS = {"baseline": "the baseline", "finetune": "the matched fine-tuning"}


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


def interval(found: Spread) -> tuple[float, float] | None:
    """Returns the mean's 95 % confidence interval by Student's t, None for one seed."""
    if found.sd is None:
        return None
    half = float(stdtrit(found.n - 1, 0.975)) * found.sd / sqrt(found.n)
    return found.mean - half, found.mean + half


def answer(
    where: str, row: str, differences: Mapping[str, Spread | None], lower_is_better: bool = False
) -> str:
    """Returns in which figures dsd is better, worse, or not shown to differ, then the numbers.

    `where`: the test set. `row`: one of CONTROLS. `differences`: {figure's name: dsd's less the
    row's}.
    """
    name = CONTROLS[row]
    verdicts: dict[str, list[str]] = {}
    numbers, seeds = [], set()
    for figure, found in differences.items():
        if found is None:
            return f"{where}: no seed has both dsd and {name}: nothing to compare."
        between = interval(found)
        said = "" if between is None else f" ({between[0]:+.2f} to {between[1]:+.2f})"
        numbers.append(f"{figure} {found.mean:+.2f}{said}")
        verdicts.setdefault(_verdict(between, name, lower_is_better), []).append(figure)
        seeds.add(found.n)
    n = max(seeds)
    if n == 1:
        start = f"one seed has both dsd and {name}, so there is no interval and no verdict"
        return f"{where}: {start}. dsd minus {row}: {', '.join(numbers)}."
    told = "; ".join(f"{verdict} in {listed(figures)}" for verdict, figures in verdicts.items())
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


def _verdict(between: tuple[float, float] | None, name: str, lower_is_better: bool) -> str:
    if between is None or between[0] <= 0 <= between[1]:
        return f"no difference between dsd and {name} shown"
    better = (between[0] > 0) != lower_is_better
    return f"dsd beats {name}" if better else f"dsd falls behind {name}"
