"""What became of the weights: magnitudes and signs, and how large pruned weights come back."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from analysis.groups import Group
from analysis.records import Run
from analysis.table import Column, Table, text
from analysis.tables.notes import title
from analysis.tables.rows import WHERE
from analysis.words import number
from dsd.runs.phase_file import PhaseRecord
from dsd.runs.record import read_stages

MEASURED = {"dense": "before pruning", "sparse": "sparse-trained", "redense": "re-dense"}
NOTES = (  # beneath the tables
    "Mean over n seeds. Shares are of all weights of the pruned layers together; returned: of the "
    "pruned weights, those that are not zero after re-densing; old sign: of the returned, those "
    "with the sign they had before pruning.",
    "Mean magnitude: of the weights that are not zero, from the histograms: each weight counts as "
    "the middle of its bin, so it is true to half a bin's width (0.05 standard deviations of the "
    "layer's dense weights) where no weight lies beyond the bins (six).",
    "Median and 99 % quantile: of the magnitudes of all weights that were pruned; relative to the "
    "kept: their mean magnitude over that of the kept. They are a layer's each, averaged over the "
    "layers by their number of pruned weights.",
)


class Layer(NamedTuple):
    """A layer in one round of sparse and re-dense training; magnitudes are of non-zero weights."""

    round: int
    name: str
    weights: int
    pruned: int
    changed_sparse: int  # weights whose sign changed in the sparse phase
    changed_redense: int
    returned: int  # of the pruned, those that are not zero after re-densing
    same_sign: int  # of these, those with their old sign
    median: float  # of |w| over all that were pruned
    q99: float
    relative: float | None  # mean |w| of all that were pruned over that of the kept
    mean_magnitude_dense: float
    mean_magnitude_sparse: float
    mean_magnitude_redense: float
    nonzero_dense: int
    nonzero_sparse: int
    nonzero_redense: int


class Row(NamedTuple):
    """A layer of a run, and the layers of each seed of its arm in the same round."""

    group: Group
    arm: str
    seed: int
    layer: Layer
    seeds: list[list[Layer]]


def tables(groups: Iterable[Group]) -> list[Table]:
    """Returns a table for each group that has an arm with a mask; miniatures are left out."""
    found = [_table(group) for group in groups if group.first.scale != "mini"]
    return [table for table in found if table.rows]


def layers(run: Run) -> list[Layer]:
    """Returns the layers of every round, [] for an arm without a mask."""
    phases = run.record.phases
    places = [i for i in range(1, len(phases)) if phases[i].reborn]
    if not places:
        return []
    stages = iter(read_stages(run.path))
    ends = [[layers for _, layers in islice(stages, len(phase.stages))][-1] for phase in phases]
    dense = [max(j for j in range(i) if phases[j].mask == "none") for i in places]
    rounds = (
        _round(nth, phases[i - 1], phases[i], [ends[j], ends[i - 1], ends[i]])
        for nth, (j, i) in enumerate(zip(dense, places, strict=True), start=1)
    )
    return [layer for found in rounds for layer in found]


def _table(group: Group) -> Table:
    rows = []
    for arm, runs in group.arms.items():
        found = {seed: layers(run) for seed, run in runs.items()}
        alike = {
            nth: [[layer for layer in mine if layer.round == nth] for mine in found.values()]
            for nth in {layer.round for mine in found.values() for layer in mine}
        }
        for seed, mine in found.items():
            rows += [Row(group, arm, seed, layer, alike[layer.round]) for layer in mine]
    return Table(
        *(f"{title(group)}: weights", COLUMNS, rows), line=lambda row: (row.arm, row.layer.round)
    )


def _share(of: str, among: str) -> Callable[[Sequence[Layer]], float]:
    """Returns what gives one sum over the layers in percent of another."""
    return lambda found: 100 * _sum(found, of) / max(1, _sum(found, among))


def _average(of: str, times: str) -> Callable[[Sequence[Layer]], float]:
    """Returns what gives the mean of a figure over layers, each counted so many times."""

    def figure(found: Sequence[Layer]) -> float:
        having = [layer for layer in found if getattr(layer, of) is not None]
        total = sum(getattr(layer, of) * getattr(layer, times) for layer in having)
        return float(total / max(1, _sum(having, times)))

    return figure


def _sum(found: Iterable[Layer], name: str) -> int:
    return sum(getattr(layer, name) for layer in found)


def _mean(header: str, write: Callable[[float], str], of: Callable[[Any], float]) -> Column:
    """Returns a column in words: the mean over the seeds of a figure of all layers together."""
    return Column("", header, text(write), lambda row: fmean(map(of, row.seeds)))


def _of_layer(name: str) -> Column:
    return Column(name, value=lambda row: getattr(row.layer, name))


def _digits(value: float) -> str:
    return number(float(f"{value:.3g}"))


PERCENT = "{:.2f}".format
COLUMNS = (
    *(WHERE, Column("arm", "arm"), Column("seed")),
    Column("round", "round", value=lambda row: row.layer.round),
    Column(header="n", value=lambda row: len(row.seeds)),
    _mean("pruned (%)", PERCENT, _share("pruned", "weights")),
    *(
        _mean(f"mean magnitude {stage}", _digits, _average(f"mean_magnitude_{p}", f"nonzero_{p}"))
        for p, stage in MEASURED.items()
    ),
    _mean("sign changed in sparse (%)", PERCENT, _share("changed_sparse", "weights")),
    _mean("in re-dense (%)", PERCENT, _share("changed_redense", "weights")),
    _mean("returned (%)", PERCENT, _share("returned", "pruned")),
    _mean("old sign (%)", PERCENT, _share("same_sign", "returned")),
    _mean("median magnitude of the pruned", _digits, _average("median", "pruned")),
    _mean("99 %", _digits, _average("q99", "pruned")),
    _mean("relative to the kept", _digits, _average("relative", "pruned")),
    *map(_of_layer, Layer._fields[1:-3]),
)


def _round(
    number: int, sparse: PhaseRecord, redense: PhaseRecord, ends: Sequence[dict[str, Any]]
) -> Iterator[Layer]:
    """Yields a round's layers; ends: of the weights before pruning, sparse-trained, re-dense."""
    for name, back in redense.reborn.items():
        magnitudes, nonzero = zip(*(_magnitude(end[name]) for end in ends), strict=True)
        yield Layer(
            *(number, name, sparse.layers[name]["weights"], back["pruned"]),
            *(sparse.sign_changes[name], redense.sign_changes[name]),
            *(back["nonzero"], back["same_sign"]),
            *(back["quantiles"].get("0.5", 0.0), back["quantiles"].get("0.99", 0.0)),
            *(back["relative_magnitude"], *magnitudes, *nonzero),
        )


def _magnitude(histogram: dict[str, Any]) -> tuple[float, int]:
    """Returns the mean |w| of the non-zero weights, each taken as its bin's middle; their number.

    Those beyond the bins are taken as the bins' end.
    """
    counts, width = np.asarray(histogram["counts"]), histogram["half_width"]
    middles = np.abs(np.linspace(-width, width, 2 * len(counts) + 1)[1::2])
    outside = histogram["below"] + histogram["above"]
    total = int(counts.sum()) + outside
    return float(middles @ counts + width * outside) / max(1, total), total
