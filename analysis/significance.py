"""Does dsd beat another arm? One comparison, with all that tells how sure it is, and in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis import statistics
from analysis.arms import arm as arm_of
from analysis.examples import interval as over_examples
from analysis.groups import Group
from analysis.metrics import metric as metric_of
from analysis.statistics import Interval, Spread
from analysis.words import capital, interval, signed_mean, split_name

SHOWN = {"better": "better", "worse": "worse", "none": "no difference shown"}
INTERVALS = (
    "Gain: positive is better, paired over the seeds; in brackets its 95 % interval by Student's "
    "t. A difference is shown where it excludes 0. It spans the training's randomness, not the "
    "choice of test examples; the number of comparisons is not corrected for."
)


@dataclass(frozen=True)
class Comparison:
    """An arm against another on one test set, in the metric's unit; positive gains: better.

    None: one seed, or seeds that all differ by the same amount, which leaves no spread to judge by.
    """

    group: Group
    arm: str
    over: str
    split: str
    metric: str
    gain: Spread  # of the differences between runs of one seed, which share their dense phase
    relative_pct: float  # the mean gain, in percent of the other arm's mean over these seeds
    n: tuple[int, int]  # seeds of each arm; the unpaired tests use all of them
    interval: Interval | None  # 95 %, Student's t over the paired differences
    bootstrap: Interval | None  # 95 %, percentiles over the seeds
    examples: Interval | None  # 95 %, over the test examples; None too where no record holds them
    paired_p: float | None
    welch_p: float | None
    student_p: float | None  # equal variances: the paper's test on CIFAR-10
    effect: float | None  # Cohen's d_z
    epochs: tuple[float, float]  # of each arm in all, the dense phase included
    verdict: str  # see statistics.verdict


def compare(
    group: Group, over: str, split: str, arm: str = "dsd", metric: str | None = None
) -> Comparison | None:
    """Returns an arm against another, None where they share no seed; by default in their metric.

    Raises UserError that names the file when a record's per-example results do not fit it.
    """
    metric = metric or group.first.metric
    gain = group.gain(arm, over, split, metric)
    if gain is None:
        return None
    ours, theirs = (list(group.values(name, split, metric).values()) for name in (arm, over))
    return Comparison(
        *(group, arm, over, split, metric, gain.difference, gain.relative_pct),
        n=(len(ours), len(theirs)),
        interval=statistics.t_interval(gain.values),
        bootstrap=statistics.bootstrap_interval(gain.values),
        examples=over_examples(group, arm, over, split, metric),
        paired_p=statistics.paired_p(gain.values),
        welch_p=statistics.unpaired_p(ours, theirs, equal_var=False),
        student_p=statistics.unpaired_p(ours, theirs, equal_var=True),
        effect=statistics.cohens_dz(gain.values),
        epochs=(total_epochs(group, arm), total_epochs(group, over)),
        verdict=statistics.verdict(gain.values),
    )


def comparisons(group: Group) -> list[Comparison]:
    """Returns dsd against every other arm that shares a seed with it, on every test set."""
    found = [compare(group, over, split) for over in group.arms for split in group.splits]
    return [comparison for comparison in found if comparison]


def sentence(found: Comparison) -> str:
    """Returns in one plain sentence what a comparison shows."""
    arm, over = (arm_of(name).label for name in (found.arm, found.over))
    unit = metric_of(found.metric)
    mean, low, high = (
        f"{value:+z.{found.group.decimals(found.metric)}f}"
        for value in (found.gain.mean, *(found.interval or (0, 0)))
    )
    points = f"points of {unit.label}"
    match found.verdict:
        case "better" | "worse":
            verb = "beats" if found.verdict == "better" else "falls behind"
            sentence = f"{arm} {verb} {over}: gain {mean} {points}, 95 % CI [{low}, {high}]"
        case "one seed":
            sentence = f"one seed has both {arm} and {over}, so no verdict: gain {mean} {points}"
        case _:
            sentence = f"no difference shown between {arm} and {over}: gain {mean} {points}, "
            sentence += f"95 % CI [{low}, {high}]" if found.interval else "at every seed"
    ours, theirs = found.epochs
    spent = f" ({ours:g} epochs against {theirs:g})" if ours != theirs else ""
    where = f"{split_name(found.split)}: " if len(found.group.splits) > 1 else ""
    return capital(f"{where}{sentence}, n = {found.gain.n}{spent}.")


def answer(group: Group, over: str, split: str, metrics: Sequence[str]) -> str:
    """Returns in one line what each of some metrics shows of dsd against another arm."""
    against = f"{split_name(split)}, DSD against {arm_of(over).label}"
    gains, n = [], 0
    for metric in metrics:
        gain = group.gain("dsd", over, split, metric)
        if gain is None:
            return capital(f"{against}: no seed has both.")
        label, n = metric_of(metric).label, gain.difference.n
        between, verdict = statistics.t_interval(gain.values), statistics.verdict(gain.values)
        shown = f" ({interval(between)}): {SHOWN[verdict]}" if n > 1 else ""
        gains.append(f"{label} {signed_mean(gain.difference)}{shown}")
    return capital(f"{against}, n = {n}: {'; '.join(gains)}.")


def total_epochs(group: Group, arm: str) -> float:
    """Returns an arm's epochs in all; its runs share their schedule."""
    return sum(phase.epochs for phase in next(iter(group.arms[arm].values())).record.phases)
