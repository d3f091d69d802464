"""Learning curves of one recipe and seed: all phases end to end, tests at their ends."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.arms import GREY, Arm
from analysis.figures import plots
from analysis.groups import Group, of_one_seed
from analysis.records import Run
from analysis.words import metric_name, phase_name, split_name
from dsd.runs.phase_file import PhaseRecord

Fill = Literal["full", "none", "left", "right"]
FILLS: tuple[Fill, ...] = ("full", "none", "left", "right")  # of markers, a test set each

Points = list[tuple[float, float]]  # (epochs since the run began, figure)


@dataclass
class Segment:
    """One phase of the tree of plans; arms that begin alike share it."""

    name: str
    start: float  # in epochs since the run began
    end: float
    train: Points
    heldout: Points
    tests: dict[str, float]  # test set -> the metric, at the end
    arms: list[str] = field(default_factory=list)

    @property
    def whose(self) -> str:
        """Returns the arm as which it is drawn; the first phase, which all share: the baseline."""
        return self.arms[0] if self.start else "baseline"


def segments(runs: Sequence[Run]) -> list[Segment]:
    """Returns the phases of runs of one recipe and seed, each once."""
    known: dict[str, Segment] = {}
    names = {kind: logged(runs, kind) for kind in ("train", "heldout")}
    for run in runs:
        before, path = None, ""
        for phase in run.record.phases:
            path += f"/{phase.folder}"
            if path not in known:
                known[path] = _segment(phase, before, names, run.record.metric)
            before = known[path]
            before.arms.append(run.record.arm)
    return list(known.values())


def _segment(
    phase: PhaseRecord, before: Segment | None, names: Mapping[str, str], metric: str
) -> Segment:
    """Returns a phase; its lines begin at the last points of the one before: they do not break."""
    start = before.end if before else 0.0
    lines = {}
    for kind, name in names.items():
        lines[kind] = [*(getattr(before, kind)[-1:] if before else [])]
        rows = [row for row in phase.log if name in row.get(kind, {})]
        lines[kind] += [(start + row["epoch"], row[kind][name]) for row in rows]
    tests = {split: found[metric] for split, found in phase.test.items() if metric in found}
    return Segment(phase.name, start, start + phase.epochs, **lines, tests=tests)


def logged(runs: Sequence[Run], kind: str) -> str:
    """Returns which figure of every epoch is drawn, of "train" or "heldout".

    The metric where it is logged, else what else is, before the loss.
    """
    metric = runs[0].record.metric
    rows = (row for run in runs for phase in run.record.phases for row in phase.log)
    names = dict.fromkeys(name for row in rows for name in row.get(kind, {}))
    return min(names, key=lambda name: (name != metric, name == "loss"), default="loss")


def of_first_seed(group: Group) -> list[Run]:
    """Returns the runs of one seed in the tables' order: of the first that most arms have."""
    seeds = sorted({seed for runs in group.arms.values() for seed in runs})
    best = max(seeds, key=lambda seed: sum(seed in runs for runs in group.arms.values()))
    return [runs[best] for runs in group.arms.values() if best in runs]


def of_records(paths: Iterable[Path]) -> list[Run]:
    """Reads records of one recipe, scale and seed. Raises UserError when they are not."""
    return of_one_seed(paths, "curves are drawn")


def name(runs: Sequence[Run]) -> str:
    """Returns the picture's file name without an ending."""
    return f"{runs[0].label}.seed{runs[0].record.seed}.curves"


@plots.style()
def picture(runs: Sequence[Run]) -> Figure:
    """Returns training above, held-out and test beneath: apart where they are other figures.

    On the right the phases after the first, without the random arm: it would flatten the others.
    """
    record, found = runs[0].record, segments(runs)
    first, *rest = found
    late = [segment for segment in rest if segment.arms != ["random"]]
    columns = {"whole run": found}
    if late:
        without = ", without random" if len(late) < len(rest) else ""
        last_point = replace(first, train=first.train[-1:], heldout=first.heldout[-1:])
        title = f"after the {phase_name(first.name)} phase{without}"
        columns[title] = [last_point, *late]
    labels = _labels(runs, found)
    figure, panels = plots.panels(
        len(labels), len(columns), 5 * len(columns), 0.8 + 2.2 * len(labels), sharex="col"
    )
    arms = plots.looks(["baseline", *(segment.arms[0] for segment in rest)])
    fills = dict(zip(first.tests, cycle(FILLS), strict=False))
    for column, (title, shown) in zip(panels.T, columns.items(), strict=True):
        for segment in shown:
            _draw(column, segment, arms[segment.whose], fills)
        for axes in column:
            for end in {segment.end for segment in shown}:
                axes.axvline(end, color=plots.PALE, linewidth=0.8, zorder=0)
        column[0].set_title(title, pad=18)
        plots.whole_epochs(column[-1], "epochs")
    for axes, said in zip(panels[:, 0], labels, strict=True):
        axes.set_ylabel(said)
    if late:
        _name_phases(panels[0][1], max(runs, key=lambda run: len(run.record.phases)))
    tests = [_entry(split, fill) for split, fill in fills.items() if len(fills) > 1]
    title = f"{record.title}, seed {record.seed}"
    plots.surround(figure, title, plots.caption(runs[0]), [*plots.legend(arms), *tests])
    return figure


def _labels(runs: Sequence[Run], found: Sequence[Segment]) -> list[str]:
    """Returns what each row of panels shows."""
    metric, heldout = runs[0].record.metric, logged(runs, "heldout")
    training = f"training {metric_name(logged(runs, 'train'))}"
    tests = f"test (points) {metric_name(metric)}"
    if not any(segment.heldout for segment in found):
        return [training, tests]
    if heldout == metric:
        return [training, f"held-out (lines) and\n{tests}"]
    return [training, f"held-out {metric_name(heldout)}", f"test {metric_name(metric)}"]


def _draw(column: Sequence[Axes], segment: Segment, look: Arm, fills: Mapping[str, Fill]) -> None:
    """Draws a phase: training in the first panel, held-out in the second, tests in the last."""
    for axes, points in ((column[0], segment.train), (column[1], segment.heldout)):
        axes.plot([x for x, _ in points], [y for _, y in points], color=look.colour)
    for split, value in segment.tests.items():
        (point,) = column[-1].plot(segment.end, value, look.marker, color=look.colour)
        point.set_fillstyle(fills[split])


def _entry(split: str, fill: Fill) -> Line2D:
    """Returns the legend's entry of a test set."""
    name = split_name(split)
    return Line2D([], [], color=GREY, marker="o", linestyle="", fillstyle=fill, label=name)


def _name_phases(axes: Axes, run: Run) -> None:
    """Writes the names of a run's phases, from the second on, between their borders."""
    start = run.record.phases[0].epochs
    for phase in run.record.phases[1:]:
        plots.above(axes, start + phase.epochs / 2, phase_name(phase.name))
        start += phase.epochs
