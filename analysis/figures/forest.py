"""The verdict in one picture: dsd's gain over the baseline and over the matched fine-tuning."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.arms import ARMS, CONTROLS, GREY
from analysis.figures import plots
from analysis.groups import Group, groups
from analysis.records import Run
from analysis.statistics import Interval, spread, t_interval
from analysis.words import metric_name, split_name
from dsd.runs.record import read

ROW = 0.42  # inches


@dataclass(frozen=True)
class Row:
    """DSD's gain over one arm on one test set, in percent of the arm's mean."""

    name: str
    over: str
    mean: float
    interval: Interval | None
    n: int


def of_records(paths: Iterable[Path]) -> list[Group]:
    """Reads records of any recipes, and groups those that may share a mean."""
    return groups(Run(path, read(path)) for path in paths)


@plots.style()
def picture(groups: Iterable[Group]) -> Figure | None:
    """Returns a row for each group and test set; None where dsd has nothing to be compared with.

    Gains are in percent of the other arm's mean; intervals are 95 %, by Student's t over the
    seeds; a hollow marker has none (one seed, or equal differences).
    """
    rows = [row for group in groups for row in _rows(group)]
    if not rows:
        return None
    names = list(dict.fromkeys(row.name for row in rows))
    figure, ((*panels,),) = plots.panels(
        1, len(CONTROLS), 10, ROW * len(names) + 1.1, sharey=True, sharex=True
    )
    reach = _reach(rows)
    for axes, over in zip(panels, CONTROLS, strict=True):
        axes.axvline(0, color=GREY, linewidth=0.8)
        for row in rows:
            if row.over == over:
                _draw(axes, names.index(row.name), row, reach)
        axes.set(title=f"over {ARMS[over].label}", xlim=(-reach, reach))
        axes.set_xlabel("gain (%), to the right: dsd is better")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    return figure


def _rows(group: Group) -> Iterable[Row]:
    record = group.first
    changed = "".join(f", {change}" for change in sorted(record.overrides))
    for split in group.splits:
        test = f", {split_name(split)}" if len(group.splits) > 1 else ""
        name = f"{record.title}{test}\n{metric_name(record.metric)}, scale {record.scale}{changed}"
        for over in CONTROLS:
            theirs, ours = group.values(over, split), group.values("dsd", split)
            reference = sum(theirs[seed] for seed in sorted(theirs.keys() & ours.keys()))
            gain = group.gain("dsd", over, split)
            if gain and reference:  # nothing is a percentage of 0
                values = [100 * len(gain.values) * value / reference for value in gain.values]
                mean, _, n = spread(values)
                yield Row(name, over, mean, t_interval(values), n)


def _reach(rows: Sequence[Row]) -> float:
    """Returns where the axis ends: means over several seeds fit, and as much of their intervals."""
    several = [row for row in rows if row.interval] or rows
    means = [abs(row.mean) for row in several]
    ends = [max(map(abs, row.interval)) for row in several if row.interval]
    return 1.15 * max([1.0, *means, min(max([0.0, *ends]), 3 * max(means))])


def _draw(axes: Axes, y: int, row: Row, reach: float) -> None:
    """Draws one gain; what lies beyond the axis becomes an arrow at its end."""
    colour, marker = ARMS["dsd"].colour, ARMS["dsd"].marker
    low, high = row.interval or (row.mean, row.mean)
    axes.plot([max(low, -reach), min(high, reach)], [y, y], color=colour)
    face = colour if row.interval else "none"
    for beyond, end, arrow in ((low < -reach, -reach, "<"), (high > reach, reach, ">")):
        if beyond:
            axes.plot([end], [y], arrow, color=colour, markerfacecolor=face, clip_on=False)
    if abs(row.mean) <= reach:
        axes.plot([row.mean], [y], marker, color=colour, markerfacecolor=face)
    where = max(-0.8 * reach, min(row.mean, 0.8 * reach))  # the words stay inside
    said = f"{row.mean:+.1f} %, n {row.n}"
    axes.annotate(said, (where, y), (0, 5), textcoords="offset points", ha="center", fontsize=8)
