"""What all pictures share: colours that colour-blind readers can tell apart, type, files."""

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.records import Group, Run, Spread, groups
from dsd.errors import UserError
from dsd.runs.record import read

# Okabe and Ito, 2008.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#555555"
ARMS = {  # arm -> colour, marker
    "baseline": (GREY, "o"),
    "dsd": (BLUE, "s"),
    "finetune": (VERMILION, "^"),
    "llr": ("#009E73", "D"),
    "random": ("#CC79A7", "v"),
    "sparse": ("#E69F00", "X"),
    "finetune_best": ("#882255", "<"),
    "dsdsd": ("#56B4E9", "P"),
}
OTHER_ARM = ("#999933", "*")
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 5,
    "svg.fonttype": "none",  # text stays text: small, and searchable
    "svg.hashsalt": "dsd",
}


def style() -> AbstractContextManager[None]:
    """Returns the context in which pictures are made and saved."""
    return matplotlib.rc_context(_STYLE)


def tidy(axes: Axes) -> None:
    """Takes away what carries no information."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3, color="#999999")
    axes.spines[["left", "bottom"]].set_color("#999999")


def one_group(paths: Sequence[Path]) -> Group:
    """Reads records of one recipe, scale and settings, of all their arms and seeds.

    Raises UserError when they do not belong together.
    """
    found = groups(Run(path, read(path)) for path in paths)
    if len(found) != 1:
        raise UserError(
            f"{' and '.join(group.runs[0].path.name for group in found)}: not of one recipe, scale "
            "and settings; name the records of one"
        )
    return found[0]


def look(arm: str) -> tuple[str, str]:
    """Returns an arm's colour and marker."""
    return ARMS.get(arm, OTHER_ARM)


def bars(axes: Axes, x: Sequence[float], found: Sequence[Spread], colour: str, marker: str) -> None:
    """Draws means as markers that a line joins, each with a bar of one sd to either side."""
    sds = [spread.sd or 0.0 for spread in found]
    means = [spread.mean for spread in found]
    axes.errorbar(x, means, sds, color=colour, marker=marker, elinewidth=0.9, capsize=2)


def legend(looks: Mapping[str, tuple[str, str]]) -> list[Line2D]:
    """Returns a legend's entries of {what it says: colour, marker}."""
    return [
        Line2D([], [], color=colour, marker=marker, label=label)
        for label, (colour, marker) in looks.items()
    ]


def caption(run: Run) -> list[str]:
    """Returns what must be said beneath a picture: the scale, changed settings, the corpus."""
    record = run.record
    scale = [] if record.scale == "full" else [f"scale {record.scale}"]
    said = [*scale, *record.overrides, *run.corpus_notes]
    return ["; ".join(said)] if said else []


def save(figure: Figure, stem: Path) -> list[Path]:
    """Writes <stem>.png and <stem>.svg, the same bytes each time; returns their paths."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, vector = (stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "svg"))
    vector.write_bytes(svg(figure))  # first: each drawing moves the layout a little
    save_png(figure, png)
    return [png, vector]


def svg(figure: Figure) -> bytes:
    """Returns a picture as SVG, the same bytes each time."""
    file = io.BytesIO()
    with style():
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def save_png(figure: Figure, path: Path) -> None:
    """Writes a picture of dots, the same bytes each time."""
    with style():
        figure.savefig(path, dpi=150, metadata={"Software": None})
