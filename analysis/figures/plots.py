"""What all pictures share: type, panels, means with their bars, what stands around them."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.arms import GREY, Arm, arm
from analysis.groups import Group
from analysis.records import Run
from analysis.scales import scale
from analysis.statistics import Spread
from dsd.runs.phase_file import PhaseRecord

PALE, FAINT = "#cccccc", "#999999"
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 5,
    "svg.fonttype": "none",  # text stays text: small, and searchable
    "svg.hashsalt": "dsd",
}


@contextmanager
def style() -> Iterator[None]:
    """The context in which pictures are made and saved; it decorates functions too."""
    with matplotlib.rc_context(_STYLE):
        yield


def panels(
    rows: int, columns: int, width: float, height: float, **shared: Any
) -> tuple[Figure, np.ndarray]:
    """Returns a figure, so many inches large, and its (rows, columns) axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **shared)
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(length=3, color=FAINT)
    return figure, grid


def surround(
    figure: Figure, title: str, beneath: Sequence[str], legend: Sequence[Line2D] = ()
) -> None:
    """Writes a title above, lines beneath, and the legend's entries on the right."""
    figure.suptitle(title, fontsize=10.5)
    figure.supxlabel("\n".join(beneath), fontsize=8, color=GREY)
    if legend:
        figure.legend(handles=legend, loc="outside right upper", frameon=False)


def whole_epochs(axes: Axes, label: str) -> None:
    """Makes the x axis one of epochs."""
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def above(axes: Axes, x: float, text: str) -> None:
    """Writes above the axes at a place of the x axis."""
    where = axes.get_xaxis_transform()
    axes.text(x, 1.02, text, transform=where, ha="center", fontsize=8, color=GREY)


def bars(axes: Axes, x: Sequence[float], found: Sequence[Spread], look: Arm) -> None:
    """Draws means as markers that a line joins, each with a bar of one sd to either side."""
    means, sds = [one.mean for one in found], [one.sd or 0.0 for one in found]
    axes.errorbar(x, means, sds, color=look.colour, marker=look.marker, elinewidth=0.9, capsize=2)


def looks(names: Sequence[str]) -> dict[str, Arm]:
    """Returns the arms by name; each that is unknown has a look of its own."""
    return {name: arm(name, names) for name in names}


def legend(drawn: Mapping[str, Arm]) -> list[Line2D]:
    """Returns a legend's entries of {what it says: how it looks}."""
    return [
        Line2D([], [], color=look.colour, marker=look.marker, label=label)
        for label, look in drawn.items()
    ]


def phases(group: Group, arm: str) -> dict[str, PhaseRecord]:
    """Returns {path of phases: the last of them} of an arm; its seeds share their schedule."""
    found = next(iter(group.arms[arm].values())).record.phases
    return dict(zip(accumulate((p.folder for p in found), "{}/{}".format), found, strict=True))


def caption(run: Run) -> list[str]:
    """Returns what must be said beneath a picture: the scale, changed settings, the corpus."""
    record = run.record
    said = [*filter(None, [scale(record)]), *record.overrides, *run.corpus_notes]
    return ["; ".join(said)] if said else []


@style()
def svg(figure: Figure) -> bytes:
    """Returns a picture as SVG, the same bytes each time."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
