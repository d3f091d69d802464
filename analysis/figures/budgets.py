"""What an epoch buys: the test metric at the end of every phase, against the epochs spent so far.

Arms are to be compared at the same place of the axis; the paper compares dsd with a baseline that
trained for less.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import plots
from analysis.figures.plots import GREY, bars, caption, save, style, tidy
from analysis.grid import metric_name, split_name
from analysis.records import Group, Spread, spread
from dsd.runs.record import label

APART = 0.008  # of the axis
TOLD = (
    "Points: ends of phases, side by side where they are at the same epoch; mean over n seeds; "
    "bars: sample sd.\nDotted: the baseline's end."
)


@dataclass(frozen=True)
class Point:
    """An arm at the end of a phase."""

    epochs: float  # since the beginning
    test: Spread


def points(group: Group, arm: str, split: str) -> list[Point]:
    """Returns an arm's phases on one test set, over the seeds of the arm."""
    runs = [run.record.phases for run in group.arms[arm].values()]
    found, epochs = [], 0.0
    for place, phase in enumerate(runs[0]):
        epochs += phase.epochs
        values = [phases[place].test[split][group.first.metric] for phases in runs]
        found.append(Point(epochs, spread(values)))
    return found


def draw(paths: Sequence[Path], out: Path) -> list[Path]:
    """Draws the arms of one recipe and scale to `out` as PNG and SVG; returns the files.

    Raises UserError when the records do not belong together.
    """
    group = plots.one_group(paths)
    with style():
        figure = picture(group)
    return save(figure, out / file(group))


def file(group: Group) -> str:
    """Returns the picture's name without an ending."""
    record = group.first
    return f"{label(record.recipe, record.scale, tuple(record.overrides))}.budgets"


def picture(group: Group) -> Figure:
    """Returns a row for each test set; on the right without the random arm, which flattens all."""
    record = group.first
    others = [arm for arm in group.arms if arm != "random"]
    columns = [list(group.arms), others] if len(others) < len(group.arms) and others else [others]
    figure = Figure(figsize=(10, 0.9 + 2.5 * len(group.splits)), layout="constrained")
    panels = figure.subplots(len(group.splits), len(columns), sharex="col", squeeze=False)
    for row, split in zip(panels, group.splits, strict=True):
        for axes, arms in zip(row, columns, strict=True):
            _draw(axes, group, arms, split)
        name = f"{split_name(split)}: " if len(group.splits) > 1 else ""
        row[0].set_ylabel(f"{name}{metric_name(record.metric)}")
    for axes in panels[-1]:
        axes.set_xlabel("epochs since the beginning")
    panels[-1][0].set_xlim(left=0)
    if len(columns) > 1:
        panels[0][0].set_title("all arms")
        panels[0][1].set_title("without random")
    looks = {f"{arm} (n {len(seeds)})": plots.look(arm) for arm, seeds in group.arms.items()}
    figure.legend(handles=plots.legend(looks), loc="outside right upper", frameon=False)
    figure.suptitle(f"{record.title}: test figures at equal budgets", fontsize=10.5)
    figure.supxlabel("\n".join([TOLD, *caption(group.runs[0])]), fontsize=8, color=GREY)
    return figure


def _draw(axes: Axes, group: Group, arms: Sequence[str], split: str) -> None:
    drawn = {arm: points(group, arm, split) for arm in arms}
    longest = max(found[-1].epochs for found in drawn.values())
    for place, arm in reversed(list(enumerate(drawn))):  # the baseline on top
        aside = APART * longest * (place - (len(drawn) - 1) / 2)
        first, *later = drawn[arm]
        x = [first.epochs, *(point.epochs + aside for point in later)]
        bars(axes, x, [first.test, *(point.test for point in later)], *plots.look(arm))
    if "baseline" in drawn:
        axes.axvline(drawn["baseline"][-1].epochs, color=GREY, linestyle=":", linewidth=1, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axes)
