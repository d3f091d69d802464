"""Learning curves of one recipe and seed: all phases end to end, tests at their ends."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures import plots
from analysis.figures.plots import GREY, caption, save, style, tidy
from analysis.grid import metric_name, phase_name, split_name
from analysis.records import Group, Run, of_one_seed
from dsd.runs.record import label

Fill = Literal["full", "none", "left", "right"]
FILLS: tuple[Fill, ...] = ("full", "none", "left", "right")  # of markers, a test set each
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
    tests: dict[str, float] = field(default_factory=dict)  # test set -> the metric, at the end


def segments(runs: Sequence[Run]) -> list[Segment]:
    """Returns the phases of runs of one recipe and seed, each once.

    A line begins at the last point of the phase before, so that it does not break.
    """
    known: dict[tuple[str, ...], Segment] = {}
    named = {"train": train_metric(runs), "heldout": heldout_metric(runs)}
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
                for kind, name in named.items():
                    points: Points = getattr(segment, kind)
                    points += getattr(before, kind)[-1:] if before else []
                    rows = [row for row in phase.log if name in row.get(kind, {})]
                    points += [(start + row["epoch"], row[kind][name]) for row in rows]
                for split, figures in phase.test.items():
                    if metric in figures:
                        segment.tests[split] = figures[metric]
                known[where] = segment
            before = known[where]
    return list(known.values())


def train_metric(runs: Sequence[Run]) -> str:
    """Returns the metric, or "loss" where training does not measure it."""
    metric = runs[0].record.metric
    return metric if metric in _logged(runs, "train") else "loss"


def heldout_metric(runs: Sequence[Run]) -> str:
    """Returns the metric where the held-out split has it, else what it has, before its loss."""
    metric, found = runs[0].record.metric, _logged(runs, "heldout")
    others = [name for name in found if name != "loss"]
    return metric if metric in found or not found else [*others, "loss"][0]


def of_first_seed(group: Group) -> list[Run]:
    """Returns the runs of one seed in the tables' order: of the first that most arms have."""
    seeds = sorted({seed for runs in group.arms.values() for seed in runs})
    best = max(seeds, key=lambda seed: sum(seed in runs for runs in group.arms.values()))
    return [runs[best] for runs in group.arms.values() if best in runs]


def draw(paths: Sequence[Path], out: Path) -> list[Path]:
    """Draws the arms of one recipe and seed to `out` as PNG and SVG; returns the files.

    Raises UserError when the records do not belong together.
    """
    runs = of_one_seed(paths, "curves are drawn")
    with style():
        figure = picture(runs, segments(runs))
    return save(figure, out / file(runs[0]))


def file(run: Run) -> str:
    """Returns the picture's name without an ending."""
    record = run.record
    name = label(record.recipe, record.scale, tuple(record.overrides))
    return f"{name}.seed{record.seed}.curves"


def picture(runs: list[Run], found: list[Segment]) -> Figure:
    """Returns training above, held-out and test beneath: apart where they are other figures.

    On the right the phases after the first, without the random arm: it would flatten the others.
    """
    record, first = runs[0].record, found[0]
    last_point = replace(first, train=first.train[-1:], heldout=first.heldout[-1:])
    late = [segment for segment in found[1:] if segment.arms != ["random"]]
    columns = [found, [last_point, *late]] if late else [found]
    labels = _labels(runs, found)
    size = (5 * len(columns), 0.8 + 2.2 * len(labels))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(labels), len(columns), sharex="col", squeeze=False)
    fills = dict(zip(first.tests, cycle(FILLS), strict=False))
    for column, shown in zip(panels.T, columns, strict=True):
        for segment in shown:
            _draw(column, segment, fills)
        for axes in column:
            _borders(axes, shown)
            tidy(axes)
        column[-1].set_xlabel("epochs")
        column[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes, said in zip(panels[:, 0], labels, strict=True):
        axes.set_ylabel(said)
    panels[0][0].set_title("whole run", pad=18)
    if len(columns) > 1:
        without = ", without random" if len(late) < len(found) - 1 else ""
        panels[0][1].set_title(f"after the {phase_name(first.name)} phase{without}", pad=18)
        _name_phases(panels[0][1], max(runs, key=lambda run: len(run.record.phases)))
    looks = {"baseline": _look(first)} | {s.arms[0]: _look(s) for s in found[1:]}
    handles = [*plots.legend(looks), *(_tests(fills) if len(fills) > 1 else [])]
    figure.legend(handles=handles, loc="outside right upper", frameon=False)
    figure.suptitle(f"{record.title}, seed {record.seed}", fontsize=10.5)
    figure.supxlabel("\n".join(caption(runs[0])), fontsize=8, color=GREY)
    return figure


def _logged(runs: Iterable[Run], kind: str) -> list[str]:
    """Returns the names of the figures that are logged every epoch, of "train" or "heldout"."""
    rows = (row for run in runs for phase in run.record.phases for row in phase.log)
    return list(dict.fromkeys(name for row in rows for name in row.get(kind, {})))


def _labels(runs: Sequence[Run], found: list[Segment]) -> list[str]:
    """Returns what each row of panels shows."""
    training = f"training {metric_name(train_metric(runs))}"
    metric, heldout = runs[0].record.metric, heldout_metric(runs)
    tests = f"test (points) {metric_name(metric)}"
    if not any(segment.heldout for segment in found):
        return [training, tests]
    if heldout == metric:
        return [training, f"held-out (lines) and\n{tests}"]
    return [training, f"held-out {metric_name(heldout)}", f"test {metric_name(metric)}"]


def _draw(column: Sequence[Axes], segment: Segment, fills: Mapping[str, Fill]) -> None:
    """Draws a phase: training in the first panel, held-out in the second, tests in the last."""
    colour, marker = _look(segment)
    column[0].plot(*_xy(segment.train), color=colour)
    column[1].plot(*_xy(segment.heldout), color=colour)
    for split, value in segment.tests.items():
        (point,) = column[-1].plot(segment.end, value, color=colour, marker=marker, linestyle="")
        point.set_fillstyle(fills[split])


def _tests(fills: Mapping[str, Fill]) -> list[Line2D]:
    """Returns the legend's entries of the test sets."""
    return [
        Line2D(
            [], [], color=GREY, marker="o", linestyle="", fillstyle=fill, label=split_name(split)
        )
        for split, fill in fills.items()
    ]


def _look(segment: Segment) -> tuple[str, str]:
    """Returns colour and marker; the first phase, which all arms share, has the baseline's."""
    return plots.look(segment.arms[0] if segment.start else "baseline")


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
