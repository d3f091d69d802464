"""What an epoch buys: the test metric at the end of every phase, against the epochs spent so far.

Arms are to be compared at the same place of the axis; the paper compares dsd with a baseline that
trained for less.
"""

from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.arms import GREY, Arm
from analysis.figures import plots
from analysis.groups import Group, of_one_group
from analysis.statistics import Spread, spread
from analysis.words import metric_name, split_name

APART = 0.008  # of the axis
TOLD = (
    "Points: ends of phases, side by side where they are at the same epoch; mean over n seeds; "
    "bars: sample sd.\nDotted: the baseline's end."
)


def points(group: Group, arm: str, split: str) -> list[tuple[float, Spread]]:
    """Returns (epochs since the beginning, test figure) at the ends of an arm's phases."""
    found = plots.phases(group, arm)
    ends = accumulate(phase.epochs for phase in found.values())
    tests = [spread([*group.values(arm, split, path=path).values()]) for path in found]
    return list(zip(ends, tests, strict=True))


def of_records(paths: Iterable[Path]) -> Group:
    """Reads records of one recipe, scale and settings. Raises UserError when they are not."""
    return of_one_group(paths)


def name(group: Group) -> str:
    """Returns the picture's file name without an ending."""
    return f"{group.runs[0].label}.budgets"


@plots.style()
def picture(group: Group) -> Figure:
    """Returns a row for each test set; on the right without the random arm, which flattens all."""
    arms = plots.looks([*group.arms])
    others = {arm: look for arm, look in arms.items() if arm != "random"}
    columns = {"all arms": arms, "without random": others}
    if not others or others == arms:
        columns = {"": arms}
    figure, panels = plots.panels(
        len(group.splits), len(columns), 10, 0.9 + 2.5 * len(group.splits), sharex="col"
    )
    for row, split in zip(panels, group.splits, strict=True):
        for axes, shown in zip(row, columns.values(), strict=True):
            _draw(axes, group, shown, split)
        which = f"{split_name(split)}: " if len(group.splits) > 1 else ""
        row[0].set_ylabel(f"{which}{metric_name(group.first.metric)}")
    for column, title in zip(panels.T, columns, strict=True):
        column[0].set_title(title)
        plots.whole_epochs(column[-1], "epochs since the beginning")
    panels[-1][0].set_xlim(left=0)
    entries = {f"{arm} (n {len(group.arms[arm])})": look for arm, look in arms.items()}
    plots.surround(
        figure,
        f"{group.first.title}: test figures at equal budgets",
        [TOLD, *plots.caption(group.runs[0])],
        plots.legend(entries),
    )
    return figure


def _draw(axes: Axes, group: Group, arms: dict[str, Arm], split: str) -> None:
    drawn = {arm: points(group, arm, split) for arm in arms}
    longest = max(found[-1][0] for found in drawn.values())
    for place, arm in reversed(list(enumerate(drawn))):  # the baseline on top
        aside = APART * longest * (place - (len(drawn) - 1) / 2)
        x = [epochs + aside * (i > 0) for i, (epochs, _) in enumerate(drawn[arm])]
        plots.bars(axes, x, [test for _, test in drawn[arm]], arms[arm])
    if "baseline" in drawn:
        end, _ = drawn["baseline"][-1]
        axes.axvline(end, color=GREY, linestyle=":", linewidth=1, zorder=0)
