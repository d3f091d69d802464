"""A sweep over sparsities: the test metric under the mask and after re-densing.

Sparsity 0 is the matched fine-tuning: the same phases and rates without a mask.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from analysis.arms import BLUE, GREY, VERMILION, Arm
from analysis.figures import plots
from analysis.groups import FREE, Group, groups
from analysis.records import Run
from analysis.statistics import Spread, spread
from analysis.words import metric_name, phase_name, split_name
from dsd.errors import UserError
from dsd.runs.record import label, read

APART = 0.004  # of sparsity: the two lines' bars stand side by side
STEEP = 4  # from this ratio of the largest figure to the smallest on the axis is logarithmic
TOLD = (
    "Mean over n seeds, the same ones where all have some in common; bars and band: sample sd. "
    "Sparsity 0: finetune, no mask."
)


Points = list[tuple[float, Spread]]  # (sparsity, test figure)


def sweeps(found: Iterable[Group]) -> list[list[Group]]:
    """Returns the groups that differ in the sparsity of dsd's phases alone, put together."""
    together: dict[str, list[Group]] = {}
    for group in found:
        if "dsd" in group.arms:
            together.setdefault(_but_for_sparsity(group), []).append(group)
    return [sweep for sweep in together.values() if len({*map(_sparsities, sweep)}) > 1]


def _sparsities(group: Group) -> tuple[float, ...]:
    """Returns the sparsity of each phase of dsd's path."""
    return tuple(phase.sparsity for phase in plots.phases(group, "dsd").values())


def with_sweeps(found: Sequence[Group]) -> Iterator[tuple[Group, list[Group]]]:
    """Yields each group with those that differ from it in sparsity alone, which are not repeated.

    Of a sweep the group without changed settings is yielded; all its groups where there is none.
    """
    together = sweeps(found)
    for group in found:
        others = [g for sweep in together if group in sweep for g in sweep if g is not group]
        if not (group.first.overrides and any(not g.first.overrides for g in others)):
            yield group, others


def of_records(paths: Iterable[Path]) -> list[Group]:
    """Reads the records of a sweep. Raises UserError when they are not one."""
    given = groups(Run(path, read(path)) for path in paths)
    found = sweeps(given)
    if len(found) != 1:
        raise UserError(
            f"{' and '.join(group.runs[0].path.name for group in given)}: not one sweep; name the "
            "records of one recipe and scale, of arm dsd at two sparsities or more"
        )
    return found[0]


def swept(sweep: Sequence[Group]) -> int:
    """Returns the place of the first phase whose sparsity differs, in dsd's path."""
    plans = zip(*map(_sparsities, sweep), strict=True)
    return next(i for i, values in enumerate(plans) if len(set(values)) > 1)


def seeds(sweep: Sequence[Group]) -> set[int]:
    """Returns the seeds that dsd has at every sparsity, all where none is in common."""
    each = [set(group.arms["dsd"]) for group in sweep]
    return set.intersection(*each) or set.union(*each)


def points(sweep: Sequence[Group], split: str, place: int) -> Points:
    """Returns dsd's figures after the phase at a place of its path, over the same seeds.

    They begin with the matched fine-tuning, at sparsity 0.
    """
    found = []
    controls = [(group, "finetune") for group in sweep if "finetune" in group.arms][:1]
    for group, arm in [*controls, *((group, "dsd") for group in sweep)]:
        phases = plots.phases(group, arm)
        values = group.values(arm, split, path=[*phases][place])
        shared = [value for seed, value in values.items() if seed in seeds(sweep)]
        if shared:
            at = [phase.sparsity for phase in phases.values()][swept(sweep)]
            found.append((at if arm == "dsd" else 0.0, spread(shared)))
    return sorted(found, key=lambda point: point[0])


def baseline(sweep: Sequence[Group], split: str) -> Spread | None:
    """Returns the baseline of the same seeds, None where it was not run."""
    values = {seed: v for group in sweep for seed, v in group.values("baseline", split).items()}
    shared = [value for seed, value in values.items() if seed in seeds(sweep)]
    return spread(shared) if shared else None


def name(sweep: Sequence[Group]) -> str:
    """Returns the picture's file name without an ending."""
    return f"{label(sweep[0].first.recipe, sweep[0].first.scale)}.sparsity"


@plots.style()
def picture(sweep: Sequence[Group]) -> Figure:
    """Returns a panel for each test set."""
    record, splits, place = sweep[0].first, sweep[0].splits, swept(sweep)
    phases = [*plots.phases(sweep[0], "dsd").values()]
    sparse, final = (phase_name(phases[i].name) for i in (place, -1))
    looks = {
        f"after {sparse}": Arm("sparse", sparse, VERMILION, "o"),
        f"after {final}": Arm("dsd", final, BLUE, "s"),
    }
    figure, ((*panels,),) = plots.panels(1, len(splits), 10, 3.6)
    found = {split: [points(sweep, split, at) for at in (place, -1)] for split in splits}
    steep = any(map(_steep, found.values()))
    for axes, (split, both) in zip(panels, found.items(), strict=True):
        for drawn, look, aside in zip(both, looks.values(), (-APART, APART), strict=True):
            plots.bars(axes, [x + aside for x, _ in drawn], [test for _, test in drawn], look)
        for x, test in both[-1]:
            plots.above(axes, x, f"n {test.n}")
        axes.set_xticks([x for x, _ in both[-1]], [f"{x:g}" for x, _ in both[-1]])
        _baseline(axes, baseline(sweep, split))
        if steep:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(f"sparsity of the {sparse} phase")
        if len(splits) > 1:
            axes.set_title(split_name(split), pad=18)
    panels[0].set_ylabel(metric_name(record.metric) + (", log scale" if steep else ""))
    lines, _ = panels[0].get_legend_handles_labels()
    said = [TOLD, *plots.caption(sweep[0].runs[0])]
    plots.surround(figure, f"{record.title}: dsd by sparsity", said, [*plots.legend(looks), *lines])
    return figure


def _steep(both: Sequence[Points]) -> bool:
    """Returns whether a few points would flatten all others."""
    means = [test.mean for found in both for _, test in found]
    return min(means) > 0 and max(means) > STEEP * min(means)


def _baseline(axes: Axes, found: Spread | None) -> None:
    if found is None:
        return
    label = f"baseline (n {found.n})"
    axes.axhline(found.mean, color=GREY, linewidth=1, linestyle="--", label=label)
    if found.sd:
        axes.axhspan(found.mean - found.sd, found.mean + found.sd, color=GREY, alpha=0.12, lw=0)


def _but_for_sparsity(group: Group) -> str:
    """Returns what decides dsd's result, but for the sparsities, as a text to compare."""
    record = next(iter(group.arms["dsd"].values())).record
    decided = record.settings
    shared = decided.model_dump(mode="json", exclude=FREE | {"exclude"})
    plan = [
        (node.name, node.phase.model_dump(mode="json", exclude={"sparsity"}))
        for node in decided.path
    ]
    return json.dumps([record.recipe, record.scale, shared, plan], sort_keys=True)
