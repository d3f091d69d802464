"""A sweep over sparsities: the test metric under the mask and after re-densing.

Sparsity 0 is the matched fine-tuning: the same phases and rates without a mask.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from analysis.figures.plots import (
    BLUE,
    GREY,
    VERMILION,
    bars,
    caption,
    legend,
    save,
    style,
    tidy,
)
from analysis.grid import metric_name, phase_name, split_name
from analysis.records import FREE, Group, Run, Spread, groups, settings, spread
from analysis.sweeps import completed
from dsd.errors import UserError
from dsd.runs.record import PhaseRecord, label, read

APART = 0.004  # of sparsity: the two lines' bars stand side by side
STEEP = 4  # from this ratio of the largest figure to the smallest on the axis is logarithmic
TOLD = (
    "Mean over n seeds, the same ones where all have some in common; bars and band: sample sd. "
    "Sparsity 0: finetune, no mask."
)


@dataclass(frozen=True)
class Point:
    """The runs at one sparsity: after the swept phase and at their end."""

    sparsity: float
    sparse: Spread
    final: Spread


def sweeps(found: Iterable[Group]) -> list[list[Group]]:
    """Returns the groups that differ in the sparsity of dsd's phases alone, put together."""
    together: dict[str, list[Group]] = {}
    for group in found:
        if "dsd" in group.arms:
            together.setdefault(_but_for_sparsity(group), []).append(group)
    return [sweep for sweep in together.values() if len(sweep) > 1]


def with_sweeps(found: Sequence[Group]) -> Iterator[tuple[Group, list[Group]]]:
    """Yields each group with those that differ from it in sparsity alone, which are not repeated.

    Of a sweep the group without changed settings is yielded; all its groups where there is none.
    """
    together = sweeps(found)
    for group in found:
        others = [g for sweep in together if group in sweep for g in sweep if g is not group]
        if not (group.first.overrides and any(not g.first.overrides for g in others)):
            yield group, others


def swept(sweep: Sequence[Group]) -> int:
    """Returns the place of the first phase whose sparsity differs, in dsd's path."""
    plans = [[phase.sparsity for phase in _phases(group)] for group in sweep]
    return next(i for i, values in enumerate(zip(*plans, strict=True)) if len(set(values)) > 1)


def seeds(sweep: Sequence[Group]) -> set[int]:
    """Returns the seeds that dsd has at every sparsity, all where none is in common."""
    each = [set(group.arms["dsd"]) for group in sweep]
    return set.intersection(*each) or set.union(*each)


def points(sweep: Sequence[Group], split: str) -> list[Point]:
    """Returns dsd at every sparsity, from the matched fine-tuning at 0 on, over the same seeds."""
    found = [_point(sweep, group.arms["dsd"], split) for group in sweep]
    controls = [group.arms["finetune"] for group in completed(sweep) if "finetune" in group.arms]
    if controls and seeds(sweep) & controls[0].keys():
        found.append(replace(_point(sweep, controls[0], split), sparsity=0.0))
    return sorted(found, key=lambda point: point.sparsity)


def baseline(sweep: Sequence[Group], split: str) -> Spread | None:
    """Returns the baseline of the same seeds, None where it was not run."""
    values = {seed: value for g in sweep for seed, value in g.final("baseline", split).items()}
    shared = [value for seed, value in values.items() if seed in seeds(sweep)]
    return spread(shared) if shared else None


def draw(paths: Sequence[Path], out: Path) -> list[Path]:
    """Draws a sweep to `out` as PNG and SVG; returns the files.

    Raises UserError when the records are not one sweep.
    """
    given = groups(Run(path, read(path)) for path in paths)
    found = sweeps(given)
    if len(found) != 1:
        raise UserError(
            f"{' and '.join(group.runs[0].path.name for group in given)}: not one sweep; name the "
            "records of one recipe and scale, of arm dsd at two sparsities or more"
        )
    with style():
        figure = picture(found[0])
    return save(figure, out / file(found[0]))


def file(sweep: Sequence[Group]) -> str:
    """Returns the picture's name without an ending."""
    record = sweep[0].first
    return f"{label(record.recipe, record.scale)}.sparsity"


def picture(sweep: Sequence[Group]) -> Figure:
    """Returns a panel for each test set."""
    record, phase = sweep[0].first, _phases(sweep[0])[swept(sweep)]
    splits = sweep[0].splits
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, len(splits), squeeze=False)[0]
    steep = any(_steep(points(sweep, split)) for split in splits)
    for axes, split in zip(panels, splits, strict=True):
        _draw(axes, sweep, split)
        _baseline(axes, baseline(sweep, split))
        if steep:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(f"sparsity of the {phase_name(phase.name)} phase")
        if len(splits) > 1:
            axes.set_title(split_name(split), pad=18)
    scale = panels[0].get_yscale()
    panels[0].set_ylabel(metric_name(record.metric) + (", log scale" if scale == "log" else ""))
    lines, _ = panels[0].get_legend_handles_labels()
    handles = [*legend(_looks(sweep)), *lines]
    figure.legend(handles=handles, loc="outside right upper", frameon=False)
    figure.suptitle(f"{record.title}: dsd by sparsity", fontsize=10.5)
    figure.supxlabel("\n".join([TOLD, *caption(sweep[0].runs[0])]), fontsize=8, color=GREY)
    return figure


def _draw(axes: Axes, sweep: Sequence[Group], split: str) -> None:
    found = points(sweep, split)
    at = [point.sparsity for point in found]
    sparse, final = _looks(sweep).values()
    bars(axes, [x - APART for x in at], [point.sparse for point in found], *sparse)
    bars(axes, [x + APART for x in at], [point.final for point in found], *final)
    for point in found:
        axes.text(
            point.sparsity,
            1.02,
            f"n {point.final.n}",
            transform=axes.get_xaxis_transform(),
            ha="center",
            fontsize=8,
            color=GREY,
        )
    axes.set_xticks(at, [f"{x:g}" for x in at])
    tidy(axes)


def _looks(sweep: Sequence[Group]) -> dict[str, tuple[str, str]]:
    """Returns {legend: colour, marker} of the two lines."""
    phases = _phases(sweep[0])
    sparse, final = (phase_name(phases[i].name) for i in (swept(sweep), -1))
    return {f"after {sparse}": (VERMILION, "o"), f"after {final}": (BLUE, "s")}


def _steep(found: Sequence[Point]) -> bool:
    """Tells whether a few points would flatten all others."""
    means = [value.mean for point in found for value in (point.sparse, point.final)]
    return min(means) > 0 and max(means) > STEEP * min(means)


def _baseline(axes: Axes, found: Spread | None) -> None:
    if found is None:
        return
    name = f"baseline (n {found.n})"
    axes.axhline(found.mean, color=GREY, linewidth=1, linestyle="--", label=name)
    if found.sd:
        axes.axhspan(found.mean - found.sd, found.mean + found.sd, color=GREY, alpha=0.12, lw=0)


def _point(sweep: Sequence[Group], runs: Mapping[int, Run], split: str) -> Point:
    metric, place = sweep[0].first.metric, swept(sweep)
    paths = [run.record.phases for seed, run in runs.items() if seed in seeds(sweep)]
    after = [spread(phases[i].test[split][metric] for phases in paths) for i in (place, -1)]
    return Point(paths[0][place].sparsity, *after)


def _phases(group: Group) -> list[PhaseRecord]:
    """Returns the phases of one of dsd's runs."""
    return next(iter(group.arms["dsd"].values())).record.phases


def _but_for_sparsity(group: Group) -> str:
    """Returns what decides dsd's result, but for the sparsities, as a text to compare."""
    record = next(iter(group.arms["dsd"].values())).record
    decided = settings(record)
    shared = decided.model_dump(mode="json", exclude=FREE | {"exclude"})
    plan = [
        (node.name, node.phase.model_dump(mode="json", exclude={"sparsity"}))
        for node in decided.path
    ]
    return json.dumps([record.recipe, record.scale, shared, plan], sort_keys=True)
