"""The verdict in one picture: dsd's gain over the baseline and over the matched fine-tuning."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.plots import ARMS, GREY, tidy
from analysis.grid import metric_name, split_name
from analysis.records import Group
from analysis.significance import Comparison

OVER = {"baseline": "over the baseline", "finetune": "over the matched fine-tuning"}
ROW = 0.42  # inches


def picture(comparisons: Iterable[Comparison]) -> Figure | None:
    """Returns a row for each group and test set; None where dsd has nothing to be compared with.

    Gains are in percent of the other arm's mean; intervals are 95 %, by Student's t over the
    seeds; a hollow marker has none (one seed, or equal differences).
    """
    rows: dict[str, dict[str, Comparison]] = {}
    for one in comparisons:
        if one.over in OVER:
            rows.setdefault(_name(one.group, one.split), {})[one.over] = one
    if not rows:
        return None
    figure = Figure(figsize=(10, ROW * len(rows) + 1.1), layout="constrained")
    panels = figure.subplots(1, len(OVER), sharey=True, sharex=True)
    reach = _reach([one for row in rows.values() for one in row.values()])
    for axes, (over, title) in zip(panels, OVER.items(), strict=True):
        axes.axvline(0, color=GREY, linewidth=0.8)
        for y, row in enumerate(rows.values()):
            if over in row:
                _draw(axes, y, row[over], reach)
        axes.set_title(title)
        axes.set_xlabel("gain (%), to the right: dsd is better")
        axes.set_xlim(-reach, reach)
        tidy(axes)
    panels[0].set_yticks(range(len(rows)), list(rows))
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _name(group: Group, split: str) -> str:
    record = group.first
    test = f", {split_name(split)}" if len(group.splits) > 1 else ""
    changed = "".join(f", {change}" for change in sorted(record.overrides))
    return f"{record.title}{test}\n{metric_name(record.metric)}, scale {record.scale}{changed}"


def _per_cent(comparison: Comparison) -> float:
    """Returns what one unit of the metric is, in percent of the other arm's mean."""
    final = comparison.group.final(comparison.over, comparison.split)
    ours = comparison.group.final(comparison.arm, comparison.split)
    return 100 / fmean(final[seed] for seed in final.keys() & ours.keys())


def _reach(comparisons: Sequence[Comparison]) -> float:
    """Returns where the axis ends: means over several seeds fit, and as much of their intervals."""
    several = [one for one in comparisons if one.interval] or list(comparisons)
    means = [abs(one.gain.mean) * _per_cent(one) for one in several]
    ends = [max(map(abs, one.interval)) * _per_cent(one) for one in several if one.interval]
    return 1.15 * max([1.0, *means, min(max([0.0, *ends]), 3 * max(means))])


def _draw(axes: Axes, y: int, comparison: Comparison, reach: float) -> None:
    """Draws one gain; what lies beyond the axis becomes an arrow at its end."""
    colour, marker = ARMS["dsd"]
    unit = _per_cent(comparison)
    mean = comparison.gain.mean * unit
    low, high = (end * unit for end in comparison.interval or (comparison.gain.mean,) * 2)
    axes.plot([max(low, -reach), min(high, reach)], [y, y], color=colour)
    face = colour if comparison.interval else "none"
    for beyond, end, arrow in ((low < -reach, -reach, "<"), (high > reach, reach, ">")):
        if beyond:
            axes.plot([end], [y], arrow, color=colour, markerfacecolor=face, clip_on=False)
    if abs(mean) <= reach:
        axes.plot([mean], [y], marker, color=colour, markerfacecolor=face)
    said = f"{mean:+.1f} %, n {comparison.gain.n}"
    where = 0.8 * max(-reach, min(mean, reach)) if abs(mean) > reach else mean
    axes.annotate(said, (where, y), (0, 5), textcoords="offset points", ha="center", fontsize=8)
