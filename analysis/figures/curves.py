"""Learning curves of one recipe and seed: all phases end to end, tests at their ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures import plots
from analysis.figures.plots import GREY, caption, save, style, tidy
from analysis.grid import metric_name, phase_name
from analysis.records import Run, of_one_seed
from dsd.record import label

BORDER = "#cccccc"

Points = list[tuple[float, float]]  # (epochs since the run began, figure)


@dataclass(frozen=True)
class Segment:
    """One phase of the tree of plans; arms that begin alike share it."""

    arms: list[str]
    name: str
    start: float  # in epochs since the run began
    end: float
    train: Points = field(default_factory=list)
    heldout: Points = field(default_factory=list)
    test: Points = field(default_factory=list)  # one point a test set, at the end


def segments(runs: Sequence[Run]) -> list[Segment]:
    """Returns the phases of runs of one recipe and seed, each once.

    A line begins at the last point of the phase before, so that it does not break.
    """
    known: dict[tuple[str, ...], Segment] = {}
    for run in runs:
        metric = run.record.metric
        where: tuple[str, ...] = ()
        before: Segment | None = None
        for phase in run.record.phases:
            where = (*where, phase.folder)
            if where in known:
                known[where].arms.append(run.record.arm)
            else:
                start = before.end if before else 0.0
                segment = Segment([run.record.arm], phase.name, start, start + phase.epochs)
                for kind, name in (("train", train_metric(runs)), ("heldout", metric)):
                    points: Points = getattr(segment, kind)
                    points += getattr(before, kind)[-1:] if before else []
                    rows = [row for row in phase.log if name in row.get(kind, {})]
                    points += [(start + row["epoch"], row[kind][name]) for row in rows]
                tests = [figures[metric] for figures in phase.test.values() if metric in figures]
                segment.test.extend((segment.end, value) for value in tests)
                known[where] = segment
            before = known[where]
    return list(known.values())


def train_metric(runs: Sequence[Run]) -> str:
    """Returns the metric, or "loss" where training does not measure it."""
    metric = runs[0].record.metric
    rows = [row for run in runs for phase in run.record.phases for row in phase.log]
    return metric if any(metric in row["train"] for row in rows) else "loss"


def draw(paths: Sequence[Path], out: Path) -> list[Path]:
    """Draws the arms of one recipe and seed to `out` as PNG and SVG; returns the files.

    Raises UserError when the records do not belong together.
    """
    runs = of_one_seed(paths, "curves are drawn")
    record = runs[0].record
    with style():
        figure = picture(runs, segments(runs))
    name = label(record.recipe, record.scale, tuple(record.overrides))
    return save(figure, out / f"{name}.seed{record.seed}.curves")


def picture(runs: list[Run], found: list[Segment]) -> Figure:
    """Returns training error above, held-out and test error below.

    On the right the phases after the first, without the random arm: it would flatten the others.
    """
    record, first = runs[0].record, found[0]
    last_point = replace(first, train=first.train[-1:], heldout=first.heldout[-1:])
    late = [segment for segment in found[1:] if segment.arms != ["random"]]
    columns = [found, [last_point, *late]] if late else [found]
    figure = Figure(figsize=(5 * len(columns), 5.2), layout="constrained")
    panels = figure.subplots(2, len(columns), sharex="col", squeeze=False)
    for (upper, lower), shown in zip(panels.T, columns, strict=True):
        for segment in shown:
            colour, marker = _look(segment)
            upper.plot(*_xy(segment.train), color=colour)
            lower.plot(*_xy(segment.heldout), color=colour)
            lower.plot(*_xy(segment.test), color=colour, marker=marker, linestyle="")
        for axes in (upper, lower):
            _borders(axes, shown)
            tidy(axes)
        lower.set_xlabel("epochs")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    heldout = "held-out (lines) and\n" if any(segment.heldout for segment in found) else ""
    panels[0][0].set_ylabel(f"training {metric_name(train_metric(runs))}")
    panels[1][0].set_ylabel(f"{heldout}test (points) {metric_name(record.metric)}")
    panels[0][0].set_title("whole run", pad=18)
    if len(columns) > 1:
        without = ", without random" if len(late) < len(found) - 1 else ""
        panels[0][1].set_title(f"after the {phase_name(first.name)} phase{without}", pad=18)
        _name_phases(panels[0][1], max(runs, key=lambda run: len(run.record.phases)))
    looks = {"baseline": _look(first)} | {s.arms[0]: _look(s) for s in found[1:]}
    handles = [
        Line2D([], [], color=colour, marker=marker, label=arm)
        for arm, (colour, marker) in looks.items()
    ]
    figure.legend(handles=handles, loc="outside right upper", frameon=False)
    figure.suptitle(f"{record.title}, seed {record.seed}", fontsize=10.5)
    figure.supxlabel("\n".join(caption(runs[0])), fontsize=8, color=GREY)
    return figure


def _look(segment: Segment) -> tuple[str, str]:
    """Returns colour and marker; the first phase, which all arms share, has the baseline's."""
    return plots.ARMS.get(segment.arms[0] if segment.start else "baseline", plots.OTHER_ARM)


def _xy(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _borders(axes: Axes, shown: list[Segment]) -> None:
    for end in {segment.end for segment in shown}:
        axes.axvline(end, color=BORDER, linewidth=0.8, zorder=0)


def _name_phases(axes: Axes, run: Run) -> None:
    """Writes the names of a run's phases, from the second on, between their borders."""
    start = run.record.phases[0].epochs
    for phase in run.record.phases[1:]:
        axes.text(
            start + phase.epochs / 2,
            1.02,
            phase_name(phase.name),
            transform=axes.get_xaxis_transform(),
            ha="center",
            fontsize=8,
            color=GREY,
        )
        start += phase.epochs
