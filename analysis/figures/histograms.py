"""The paper's figure 2: a layer's weights in the five stages of dense-sparse-dense training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.arms import BLUE, GREY, VERMILION
from analysis.figures import plots
from analysis.figures.layers import choose, network
from analysis.records import Run
from dsd.errors import UserError
from dsd.runs.record import read, read_stages

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


@dataclass(frozen=True)
class Round:
    """A layer's stages while it is pruned and re-densed once, and the axes that they share."""

    stages: list[Stage]

    @property
    def limit(self) -> float:
        """Returns where the count axis ends: the first stages fit, but for pruning's spike."""
        counts = np.stack([stage.counts for stage in self.stages[:3]])
        spiked = [stage.name != STAGES[0] for stage in self.stages[:3]]
        counts[spiked, counts.shape[1] // 2] = 0
        return 1.12 * max(1, int(counts.max()))

    @property
    def reach(self) -> slice:
        """Returns the middle bins that hold nearly all non-zero weights of every stage."""
        middle = len(self.stages[0].counts) // 2
        for reach in range(1, middle):
            bins = slice(middle - reach, middle + reach + 1)
            if all(stage.counts[bins].sum() >= SHOWN * stage.nonzero for stage in self.stages):
                return bins
        return slice(0, 2 * middle + 1)

    @property
    def end(self) -> float:
        """Returns where the value axis ends, on either side."""
        return float(self.stages[0].edges[self.reach.stop])

    @property
    def beyond(self) -> str:
        """Returns in words what the value axis hides."""
        inside = [stage.counts[self.reach].sum() for stage in self.stages]
        pairs = zip(inside, self.stages, strict=True)
        share = max(1 - shown / max(1, stage.nonzero) for shown, stage in pairs)
        return f"at most {share:.1%} of the non-zero weights lie beyond the axis"

    def said(self, stage: Stage) -> list[str]:
        """Returns in words how many zeros a stage has, and what the count axis hides of it."""
        counts = stage.counts.copy()
        counts[len(counts) // 2] += stage.zeros
        hidden = counts[counts > self.limit]
        zeros = f"{stage.zeros / stage.weights:.1%} exactly zero"
        if not len(hidden):
            return [zeros]
        if len(hidden) == 1:
            return [zeros, f"spike cut off: {hidden[0]:,}"]
        return [zeros, f"{len(hidden)} bins cut off, up to {hidden.max():,}"]


def of_record(path: Path) -> Run:
    """Reads the record of an arm that was pruned."""
    return Run(path, read(path))


def rounds(run: Run) -> list[int]:
    """Returns where each round of pruning and re-densing begins among the record's stages.

    That is one stage before weights are pruned.
    """
    names = [stage["stage"] for phase in run.record.phases for stage in phase.stages]
    return [i for i in range(len(names)) if tuple(names[i + 1 :][:4]) == STAGES[1:]]


def layers(run: Run) -> list[str]:
    """Returns the pruned layers."""
    return [name for name, figures in run.record.phases[0].layers.items() if figures["weights"]]


def choose_layer(run: Run, layer: str | None) -> str:
    """Returns the named pruned layer ("conv2" or "conv2.weight"), or the network's default.

    Raises UserError that names the nearest layer when there is none of that name.
    """
    of = network(run.record.recipe, run.record.settings.task)
    try:
        return choose(of, run.record.phases[0].layers, layer)
    except ValueError as fault:
        raise UserError(f"{run.path}: {fault}") from None


def stages(run: Run, layer: str, number: int = 1) -> list[Stage]:
    """Returns a layer's five stages in the first or a later round.

    The first stage of a later round is the re-dense one of the round before. Raises UserError
    when there is no such round.
    """
    starts = rounds(run)
    who = f"{run.path}: arm {run.record.arm}"
    if not starts:
        raise UserError(
            f"{who} has no sparse phase and a re-dense one after it; take dsd or random"
        )
    if not 1 <= number <= len(starts):
        raise UserError(f"{who} has {len(starts)} rounds and no --round {number}; take one of them")
    five = read_stages(run.path)[starts[number - 1] :][: len(STAGES)]
    return [_stage(name, layers[layer]) for name, layers in five]


def name(run: Run, layer: str | None = None, number: int = 1) -> str:
    """Returns the picture's file name without an ending."""
    which = f".round{number}" if number > 1 else ""
    return f"{run.path.stem}.{choose_layer(run, layer)}{which}"


@plots.style()
def picture(run: Run, layer: str | None = None, number: int = 1) -> Figure:
    """Returns the five stages side by side, on the same axes; by default of the network's layer.

    Raises UserError when the layer or the round cannot be drawn.
    """
    record, layer = run.record, choose_layer(run, layer)
    found = Round(stages(run, layer, number))
    figure, ((*panels,),) = plots.panels(1, len(STAGES), 10, 3.0, sharex=True, sharey=True)
    for axes, stage in zip(panels, found.stages, strict=True):
        _panel(axes, stage, found)
    panels[0].set(xlim=(-found.end, found.end), ylim=(0, found.limit), ylabel="weights per bin")
    panels[0].xaxis.set_major_locator(MaxNLocator(4, symmetric=True))
    panels[0].xaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_major_formatter("{x:,.0f}")
    which = f", round {number}" if len(rounds(run)) > 1 else ""
    who = f"{record.arm}, seed {record.seed}{which}"
    title = f"{record.title}: {layer}, {found.stages[0].weights:,} weights ({who})"
    plots.surround(figure, title, [f"weight value ({found.beyond})", *plots.caption(run)])
    return figure


def _stage(name: str, histogram: dict[str, Any]) -> Stage:
    width, counts = histogram["half_width"], np.asarray(histogram["counts"], dtype=np.int64)
    edges = np.linspace(-width, width, len(counts) + 1)
    return Stage(name, edges, counts, histogram["zeros"], histogram["below"] + histogram["above"])


def _panel(axes: Axes, stage: Stage, found: Round) -> None:
    """Draws one stage: the exact zeros vermilion, the weights that are not zero blue above them."""
    middle = len(stage.counts) // 2
    counts = stage.counts.copy()
    counts[middle] += stage.zeros
    shown = np.minimum(counts[found.reach], found.limit)
    edges = stage.edges[found.reach.start : found.reach.stop + 1]
    axes.stairs(shown, edges, fill=True, color=BLUE)
    if stage.zeros:
        bin_of_zero = stage.edges[middle : middle + 2]
        axes.stairs([min(stage.zeros, found.limit)], bin_of_zero, fill=True, color=VERMILION)
    axes.set_title(stage.name, pad=30)
    said = "\n".join([*found.said(stage), ""][:2])
    axes.text(0.5, 1.03, said, transform=axes.transAxes, ha="center", fontsize=8, color=GREY)
