"""The paper's figure 2: a layer's weights in the five stages of dense-sparse-dense training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.layers import choose, network
from analysis.figures.plots import BLUE, GREY, VERMILION, caption, save, style, tidy
from analysis.records import Run
from analysis.weights import STAGES, finished
from analysis.weights import stages as of_checkpoints
from dsd.errors import UserError
from dsd.runs.record import Record, read

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
class Drawn:
    """One layer's round, and what a picture says of the run."""

    stem: str  # of file names
    title: str
    who: str  # the arm or the path of phases, and the seed
    layer: str
    number: int  # of the round
    rounds: int
    stages: list[Stage]
    notes: list[str]

    @property
    def file(self) -> str:
        """Returns the picture's name without an ending."""
        return f"{self.stem}.{self.layer}" + (f".round{self.number}" if self.number > 1 else "")


def rounds(record: Record) -> int:
    """Returns how often the run was pruned and re-densed."""
    return len(_beginnings([stage["stage"] for stage in _seen(record)]))


def stages(record: Record, layer: str, number: int = 1) -> list[Stage]:
    """Returns a layer's five stages in the first or a later round.

    The first stage of a later round is the re-dense one of the round before. Raises ValueError
    when there is no such round, or a stage lacks the layer.
    """
    seen = _seen(record)
    starts = _beginnings([stage["stage"] for stage in seen])
    _check_round(f"arm {record.arm}", number, len(starts))
    five = seen[starts[number - 1] :][: len(STAGES)]
    if any(layer not in one["layers"] for one in five):
        raise ValueError(f"a stage has no histogram of {layer}; make the record again")
    return [_stage(one["stage"], one["layers"][layer]) for one in five]


def choose_layer(record: Record, layer: str | None) -> str:
    """Returns the named pruned layer ("conv2" or "conv2.weight"), or the network's default.

    Raises ValueError that names the nearest layer when there is none of that name.
    """
    of = network(record.recipe, record.settings["task"])
    return choose(of, record.phases[0].layers, layer)


def count_limit(found: list[Stage]) -> float:
    """Returns where the count axis ends: the first three stages fit, but for pruning's spike."""
    counts = np.stack([stage.counts for stage in found[:3]])
    spiked = [stage.name != STAGES[0] for stage in found[:3]]
    counts[spiked, counts.shape[1] // 2] = 0
    return 1.12 * max(1, int(counts.max()))


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


def draw(path: Path, layer: str | None, number: int, out: Path) -> list[Path]:
    """Draws a layer's round to `out` as PNG and SVG; returns the files.

    `path`: a record, or the folder of a finished run's last phase. Raises UserError that names it
    when it cannot be drawn.
    """
    try:
        if path.is_dir():
            drawn = of_folder(path, layer, number)
        else:
            drawn = of_record(Run(path, read(path)), layer, number)
    except ValueError as fault:
        raise UserError(f"{path}: {fault}") from None
    with style():
        figure = picture(drawn)
    return save(figure, out / drawn.file)


def of_record(run: Run, layer: str | None, number: int = 1) -> Drawn:
    """Returns what a record tells of a layer. Raises ValueError when it cannot be drawn."""
    record = run.record
    name = choose_layer(record, layer)
    found = stages(record, name, number)
    who = f"{record.arm}, seed {record.seed}"
    stem, count = run.path.stem, rounds(record)
    return Drawn(stem, record.title, who, name, number, count, found, caption(run))


def of_folder(folder: Path, layer: str | None, number: int = 1) -> Drawn:
    """Returns the same from a run's checkpoints; `folder`: of its last phase.

    Raises ValueError when the layer cannot be drawn, UserError on checkpoints that cannot be used.
    """
    run = finished(folder)
    name = choose(network(run.label.partition(".")[0], run.task), run.layers, layer)
    _check_round("a run through " + "/".join(run.path), number, len(run.pruned))
    found = [_stage(stage, histogram) for stage, histogram in of_checkpoints(run, name, number)]
    stem = ".".join([run.label, *run.path, run.seed])
    who = f"{'/'.join(run.path)}, {run.seed}"
    return Drawn(stem, run.label, who, name, number, len(run.pruned), found, [])


def picture(drawn: Drawn) -> Figure:
    """Returns the five stages side by side, on the same axes."""
    found = drawn.stages
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
    who = drawn.who + (f", round {drawn.number}" if drawn.rounds > 1 else "")
    title = f"{drawn.title}: {drawn.layer}, {found[0].weights:,} weights ({who})"
    figure.suptitle(title, fontsize=10.5)
    beyond = max(1 - stage.counts[reach].sum() / max(1, stage.nonzero) for stage in found)
    cut = f"weight value (at most {beyond:.1%} of the non-zero weights lie beyond the axis)"
    figure.supxlabel("\n".join([cut, *drawn.notes]), fontsize=8, color=GREY)
    return figure


def _seen(record: Record) -> list[dict[str, Any]]:
    return [stage for phase in record.phases for stage in phase.stages]


def _beginnings(names: list[str]) -> list[int]:
    """Returns where a round begins: one stage before a weight is pruned."""
    later = list(STAGES[1:])
    return [i for i in range(len(names)) if names[i + 1 :][: len(later)] == later]


def _check_round(who: str, number: int, count: int) -> None:
    """Raises ValueError when a run of `count` rounds has none of this number."""
    if not count:
        raise ValueError(
            f"{who} has no sparse phase and a re-dense one after it; take dsd or random"
        )
    if not 1 <= number <= count:
        raise ValueError(f"--round {number}: {who} has {count}; take one of them")


def _stage(name: str, histogram: dict[str, Any]) -> Stage:
    width, counts = histogram["half_width"], np.asarray(histogram["counts"], dtype=np.int64)
    edges = np.linspace(-width, width, len(counts) + 1)
    return Stage(name, edges, counts, histogram["zeros"], histogram["below"] + histogram["above"])


def _panel(axes: Axes, stage: Stage, limit: float, reach: slice) -> None:
    """Draws one stage: the exact zeros vermilion, the weights that are not zero blue above them."""
    middle = len(stage.counts) // 2
    counts = stage.counts.copy()
    counts[middle] += stage.zeros
    shown = np.minimum(counts[reach], limit)
    axes.stairs(shown, stage.edges[reach.start : reach.stop + 1], fill=True, color=BLUE)
    if stage.zeros:
        bin_of_zero = stage.edges[middle : middle + 2]
        axes.stairs([min(stage.zeros, limit)], bin_of_zero, fill=True, color=VERMILION)
    axes.set_title(stage.name, pad=30)
    said = f"{stage.zeros / stage.weights:.1%} exactly zero\n{cut_off(stage, limit)}"
    axes.text(0.5, 1.03, said, transform=axes.transAxes, ha="center", fontsize=8, color=GREY)
    tidy(axes)
