"""Every comparison of dsd with the other arms: gains, intervals, tests, and what they show."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from analysis.grid import Grid, cells, metric_name, split_name
from analysis.records import Group
from analysis.significance import Comparison, Interval, comparisons, sentence
from analysis.sweeps import borrowed, completed
from analysis.tables.conditions import condition, title

HEADER = (
    "test set",
    "against",
    "n",
    "gain ± sd",
    "relative",
    "95 % paired t",
    "95 % bootstrap over seeds",
    "95 % over test examples",
    "p paired",
    "p Welch",
    "p unpaired",
    "effect size",
    "epochs",
)
NOTES = (  # beneath the tables
    "n: seeds that both arms have. Gain: positive is better; mean and sample standard deviation of "
    "the differences between runs of the same seed, which share their dense phase. Relative: in "
    "percent of the other arm's mean.",
    "95 % paired t and p paired: Student's t over these differences. A difference is shown where "
    "the interval excludes 0. Where all differences are equal there is no spread to judge by, so "
    "no interval and no difference shown.",
    "95 % bootstrap over seeds: percentiles of 10 000 resampled means. Over so few seeds it is too "
    "narrow (none of its draws leaves the range of the seeds), so no verdict rests on it.",
    "95 % over test examples: percentiles of the gain over 10 000 resampled test sets, the same "
    "for all runs (paired bootstrap: Koehn 2004 for BLEU, Bisani and Ney 2004 for WER). It spans "
    "the choice of test examples, not the training's randomness; the other intervals do the "
    "reverse.",
    "p Welch and p unpaired: two-sided, all seeds of both arms taken as independent; unpaired is "
    "Student's t-test with equal variances, the paper's on CIFAR-10.",
    "Effect size: Cohen's d_z, the mean of the differences over their standard deviation (Lakens "
    "2013, doi:10.3389/fpsyg.2013.00863); few seeds overstate it.",
    "Epochs: of dsd and of the other arm, in all. The number of comparisons is not corrected for.",
)


def grids(groups: Sequence[Group]) -> list[Grid]:
    """Returns a table for each group where dsd shares a seed with another arm; no miniatures."""
    return [_grid(group, found) for group in _compared(groups) if (found := comparisons(group))]


def csv_rows(groups: Sequence[Group]) -> Iterator[dict[str, Any]]:
    """Yields the same as numbers, not rounded; None for what there is not."""
    for group in _compared(groups):
        for found in comparisons(group):
            yield {
                **condition(group),
                "metric": group.first.metric,
                "split": found.split,
                "arm": found.arm,
                "over": found.over,
                "verdict": found.verdict,
                **cells("gain", found.gain),
                "relative_pct": found.relative_pct,
                **_ends("paired_t", found.interval),
                **_ends("bootstrap_seeds", found.bootstrap),
                **_ends("bootstrap_examples", found.examples),
                "paired_p": found.paired_p,
                "welch_p": found.welch_p,
                "student_p": found.student_p,
                "effect_dz": found.effect,
                "arm_seeds": found.n[0],
                "over_seeds": found.n[1],
                "arm_epochs": found.epochs[0],
                "over_epochs": found.epochs[1],
            }


def _compared(groups: Iterable[Group]) -> list[Group]:
    return completed(group for group in groups if group.first.scale != "mini")


def _grid(group: Group, found: list[Comparison]) -> Grid:
    notes = (*map(sentence, found), *borrowed(group))
    name = f"{title(group)}: dsd's gain in {metric_name(group.first.metric)}"
    return Grid(name, HEADER, [_row(one) for one in found], notes)


def _row(found: Comparison) -> tuple[str, ...]:
    mean, sd, n = found.gain
    return (
        split_name(found.split),
        found.over,
        str(n),
        f"{mean:+z.2f}" + ("" if sd is None else f" ± {sd:.2f}"),
        f"{found.relative_pct:+z.1f} %",
        _interval(found.interval),
        _interval(found.bootstrap),
        _interval(found.examples),
        _p(found.paired_p),
        _p(found.welch_p),
        _p(found.student_p),
        "-" if found.effect is None else f"{found.effect:+z.2f}",
        f"{found.epochs[0]:g}, {found.epochs[1]:g}",
    )


def _interval(found: Interval | None) -> str:
    return f"{found[0]:+z.2f} to {found[1]:+z.2f}" if found else "-"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _ends(name: str, found: Interval | None) -> dict[str, float | None]:
    low, high = found or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}
