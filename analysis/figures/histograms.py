"""The paper's figure 2: a layer's weights in the five stages of dense-sparse-dense training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.plots import BLUE, GREY, VERMILION, caption, save, style, tidy
from analysis.records import Run
from dsd.errors import UserError
from dsd.recipe import nearest
from dsd.record import Record, read

STAGES = ("dense", "pruned", "sparse-trained", "zeros restored", "re-dense")
SHOWN = 0.998  # share of the non-zero weights that the axis must hold


@dataclass(frozen=True)
class Stage:
    """One layer's weights at one moment."""

    name: str
    edges: np.ndarray  # (bins + 1,)
    counts: np.ndarray  # (bins,) without the exact zeros
    zeros: int
    outside: int  # beyond the first and last edge

    @property
    def weights(self) -> int:
        """Returns how many weights the layer has."""
        return self.nonzero + self.zeros

    @property
    def nonzero(self) -> int:
        """Returns how many of them are not exactly zero."""
        return int(self.counts.sum()) + self.outside


def stages(record: Record, layer: str) -> list[Stage]:
    """Returns the five stages of a layer's first round.

    Raises ValueError when the run was never pruned.
    """
    found = [stage for phase in record.phases for stage in phase.stages][: len(STAGES)]
    if tuple(stage["stage"] for stage in found) != STAGES:
        raise ValueError(f"arm {record.arm} has no sparse and re-dense phase; take dsd or random")
    return [_stage(stage["stage"], stage["layers"][layer]) for stage in found]


def choose_layer(record: Record, layer: str | None) -> str:
    """Returns the named pruned layer ("conv2" or "conv2.weight"), or the one with most weights.

    Raises ValueError that names the nearest layer when there is none of that name.
    """
    sizes = {name: figures["weights"] for name, figures in record.phases[0].layers.items()}
    if layer is None:
        return max(sizes, key=lambda name: sizes[name])
    for name in (layer, f"{layer}.weight"):
        if name in sizes:
            return name
    raise ValueError(f"no layer {layer!r} is pruned{nearest(layer, sizes)}")


def count_limit(found: list[Stage]) -> float:
    """Returns where the count axis ends: the first three stages fit, but for their zeros."""
    return 1.12 * max(1, *(int(stage.counts.max()) for stage in found[:3]))


def cut_off(stage: Stage, limit: float) -> str:
    """Returns in words what the count axis hides, "" for nothing."""
    counts = stage.counts.copy()
    counts[len(counts) // 2] += stage.zeros
    hidden = counts[counts > limit]
    if not len(hidden):
        return ""
    if len(hidden) == 1:
        return f"spike cut off: {hidden[0]:,}"
    return f"{len(hidden)} bins cut off, up to {hidden.max():,}"


def shown_bins(found: list[Stage]) -> slice:
    """Returns the middle bins that hold nearly all non-zero weights of every stage."""
    middle = len(found[0].counts) // 2
    for reach in range(1, middle):
        bins = slice(middle - reach, middle + reach + 1)
        if all(stage.counts[bins].sum() >= SHOWN * stage.nonzero for stage in found):
            return bins
    return slice(0, 2 * middle + 1)


def draw(path: Path, layer: str | None, out: Path) -> list[Path]:
    """Draws a record's layer to `out` as PNG and SVG; returns the files.

    Raises UserError that names the record when it cannot be drawn.
    """
    run = Run(path, read(path))
    try:
        name = choose_layer(run.record, layer)
        found = stages(run.record, name)
    except ValueError as fault:
        raise UserError(f"{path}: {fault}") from None
    with style():
        figure = picture(run, name, found)
    return save(figure, out / f"{path.stem}.{name}")


def picture(run: Run, layer: str, found: list[Stage]) -> Figure:
    """Returns the five stages side by side, on the same axes."""
    record = run.record
    figure = Figure(figsize=(10, 3.0), layout="constrained")
    panels = figure.subplots(1, len(found), sharex=True, sharey=True)
    limit, reach = count_limit(found), shown_bins(found)
    for axes, stage in zip(panels, found, strict=True):
        _panel(axes, stage, limit, reach)
    end = float(found[0].edges[reach.stop])
    panels[0].set(xlim=(-end, end), ylim=(0, limit), ylabel="weights per bin")
    panels[0].xaxis.set_major_locator(MaxNLocator(4, symmetric=True))
    panels[0].xaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_major_formatter("{x:,.0f}")
    title = (
        f"{record.title}: {layer}, {found[0].weights:,} weights ({record.arm}, seed {record.seed})"
    )
    figure.suptitle(title, fontsize=10.5)
    beyond = max(1 - stage.counts[reach].sum() / max(1, stage.nonzero) for stage in found)
    cut = f"weight value (at most {beyond:.1%} of the non-zero weights lie beyond the axis)"
    figure.supxlabel("\n".join([cut, *caption(run)]), fontsize=8, color=GREY)
    return figure


def _stage(name: str, histogram: dict[str, Any]) -> Stage:
    width, counts = histogram["half_width"], np.asarray(histogram["counts"], dtype=np.int64)
    edges = np.linspace(-width, width, len(counts) + 1)
    return Stage(name, edges, counts, histogram["zeros"], histogram["below"] + histogram["above"])


def _panel(axes: Axes, stage: Stage, limit: float, reach: slice) -> None:
    """Draws one stage: non-zero weights blue, the exact zeros in vermilion on top of their bin."""
    middle = len(stage.counts) // 2
    inside = int(stage.counts[middle])
    total = inside + stage.zeros
    counts = np.minimum(stage.counts[reach], limit)
    axes.stairs(counts, stage.edges[reach.start : reach.stop + 1], fill=True, color=BLUE)
    if stage.zeros and inside < limit:
        axes.stairs(
            [min(total, limit)],
            stage.edges[middle : middle + 2],
            baseline=inside,
            fill=True,
            color=VERMILION,
        )
    axes.set_title(stage.name, pad=30)
    said = f"{stage.zeros / stage.weights:.1%} exactly zero\n{cut_off(stage, limit)}"
    axes.text(0.5, 1.03, said, transform=axes.transAxes, ha="center", fontsize=8, color=GREY)
    tidy(axes)
