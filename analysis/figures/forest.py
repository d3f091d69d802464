"""The verdict in one picture: dsd's gain over the baseline and over the matched fine-tuning."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.arms import ARMS, CONTROLS, GREY
from analysis.figures import plots
from analysis.groups import Group, groups
from analysis.records import Run
from analysis.scales import scale
from analysis.statistics import Interval, spread, t_interval
from analysis.words import metric_name, split_name
from dsd.runs.record import read

ROW, LINE = 0.42, 0.13  # inches: a gain, a line of its name
WIDE, NARROW = 10.0, 3.4  # inches; on a phone the panels stand one above the other

OVER_LINES = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # the zero line stays behind


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
def picture(groups: Iterable[Group], narrow: bool = False) -> Figure | None:
    """Returns a row for each group and test set; None where dsd has nothing to be compared with.

    Gains are in percent of the other arm's mean; intervals are 95 %, by Student's t over the
    seeds; a hollow marker has none (one seed, or equal differences). narrow: for a phone, each
    name above its gain, one panel above the other.
    """
    rows = [row for group in groups for row in _rows(group)]
    if not rows:
        return None
    names = list(dict.fromkeys(row.name for row in rows))
    places = _places(names, narrow)
    figure, panels = _panels(places, narrow)
    reach = _reach(rows)
    for axes, over in zip(panels, CONTROLS, strict=True):
        axes.axvline(0, color=GREY, linewidth=0.8)
        for row in rows:
            if row.over == over:
                _draw(axes, places[row.name], row, reach)
        axes.set(title=f"over {ARMS[over].label}", xlim=(-reach, reach))
        axes.set_xlabel("gain (%), to the right: dsd is better")
        axes.set_ylim(max(places.values()) + 0.5, -0.5)
        axes.set_yticks([] if narrow else [*places.values()], [] if narrow else names)
        if narrow:
            _names_above(axes, places)
    return figure


def _places(names: Sequence[str], narrow: bool) -> dict[str, float]:
    """Returns where each name's gain stands; on a phone beneath as many lines as the name has."""
    if not narrow:
        return {name: float(place) for place, name in enumerate(names)}
    lines = [LINE / ROW * (_wrapped(name).count("\n") + 1) for name in names]
    return {name: place + sum(lines[: place + 1]) for place, name in enumerate(names)}


def _panels(places: Mapping[str, float], narrow: bool) -> tuple[Figure, list[Axes]]:
    count, tall = len(CONTROLS), ROW * (max(places.values()) + 1)
    if narrow:
        figure, grid = plots.panels(count, 1, NARROW, count * (tall + 0.7))
    else:
        figure, grid = plots.panels(1, count, WIDE, tall + 1.1, sharey=True, sharex=True)
    return figure, [*grid.flat]


def _names_above(axes: Axes, places: Mapping[str, float]) -> None:
    """Writes each name above its gain, over the whole width."""
    axes.spines["left"].set_visible(False)
    where = axes.get_yaxis_transform()
    for name, y in places.items():
        axes.annotate(
            *(_wrapped(name), (0, y), (0, 17), where, "offset points"),
            va="bottom",
            fontsize=8,
            bbox=OVER_LINES,
        )


def _wrapped(name: str) -> str:
    return "\n".join(line for part in name.split("\n") for line in wrap(part, 46))


def _rows(group: Group) -> Iterable[Row]:
    record = group.first
    about = [*filter(None, [scale(record)]), *sorted(record.overrides)]
    for split in group.splits:
        test = f", {split_name(split)}" if len(group.splits) > 1 else ""
        name = f"{record.title}{test}\n{', '.join([metric_name(record.metric), *about])}"
        for over in CONTROLS:
            gain = group.gain("dsd", over, split)
            if gain and gain.reference:  # nothing is a percentage of 0
                values = [100 * value / gain.reference for value in gain.values]
                mean, _, n = spread(values)
                yield Row(name, over, mean, t_interval(values), n)


def _reach(rows: Sequence[Row]) -> float:
    """Returns where the axis ends: means over several seeds fit, and as much of their intervals."""
    several = [row for row in rows if row.interval] or rows
    means = [abs(row.mean) for row in several]
    ends = [max(map(abs, row.interval)) for row in several if row.interval]
    return 1.15 * max([1.0, *means, min(max([0.0, *ends]), 3 * max(means))])


def _draw(axes: Axes, y: float, row: Row, reach: float) -> None:
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
    axes.annotate(
        *(said, (where, y), (0, 5), "data", "offset points"),
        ha="center",
        fontsize=8,
        bbox=OVER_LINES,
    )
