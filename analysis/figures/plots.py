"""What all pictures share: colours that colour-blind readers can tell apart, type, files."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.records import Run

# Okabe and Ito, 2008.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#555555"
ARMS = {  # arm -> colour, marker
    "baseline": (GREY, "o"),
    "dsd": (BLUE, "s"),
    "finetune": (VERMILION, "^"),
    "llr": ("#009E73", "D"),
    "random": ("#CC79A7", "v"),
    "dsdsd": ("#56B4E9", "P"),
}
OTHER_ARM = ("#E69F00", "X")
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


def caption(run: Run) -> list[str]:
    """Returns what must be said beneath a picture: the scale, changed settings, the corpus."""
    record = run.record
    scale = [] if record.scale == "full" else [f"scale {record.scale}"]
    said = [*scale, *record.overrides, *run.corpus_notes]
    return ["; ".join(said)] if said else []


def save(figure: Figure, stem: Path) -> list[Path]:
    """Writes <stem>.png and <stem>.svg, the same bytes each time; returns their paths."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "svg")]
    save_png(figure, paths[0])
    with style():
        figure.savefig(paths[1], metadata={"Date": None, "Creator": None})
    return paths


def save_png(figure: Figure, path: Path) -> None:
    """Writes a picture of dots, the same bytes each time."""
    with style():
        figure.savefig(path, dpi=150, metadata={"Software": None})
