"""What became of the weights: magnitudes and signs, and how large pruned weights come back."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from analysis.groups import Group
from analysis.table import Column, Kind, Table, never, number
from analysis.tables.notes import title
from analysis.tables.rows import ARM, WHERE
from analysis.words import number as short
from dsd.runs.record import PhaseRecord, Record

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


@dataclass(frozen=True)
class Layer:
    """A layer in one round of sparse and re-dense training; magnitudes are of non-zero weights."""

    round: int
    name: str
    weights: int
    pruned: int
    magnitudes: dict[str, tuple[float, int]]  # a key of MEASURED -> mean |w|, number of weights
    changed_sparse: int  # weights whose sign changed in the sparse phase
    changed_redense: int
    returned: int  # of the pruned, those that are not zero after re-densing
    same_sign: int  # of these, those with their old sign
    median: float  # of |w| over all that were pruned
    q99: float
    relative: float | None  # mean |w| of all that were pruned over that of the kept


def layers(record: Record) -> list[Layer]:
    """Returns the layers of every round, [] for an arm without a mask."""
    found: list[Layer] = []
    phases = record.phases
    places = [i for i in range(1, len(phases)) if phases[i].returned]
    for nth, place in enumerate(places, start=1):
        found += _round(nth, *phases[place - 2 : place + 1])
    return found


class Row(NamedTuple):
    """A round of an arm: the layers of every seed. For the CSV: one layer of one of them."""

    group: Group
    arm: str
    seed: int
    round: int
    layers: list[list[Layer]]  # a list a seed

    @property
    def layer(self) -> Layer:
        """Returns the layer where there is one alone."""
        return self.layers[0][0]

    def mean(self, figure: Callable[[list[Layer]], float]) -> float:
        """Returns the mean over the seeds of a figure of all layers together."""
        return fmean(figure(found) for found in self.layers)


def tables(groups: Iterable[Group]) -> list[Table[Row]]:
    """Returns a table for each group that has an arm with a mask, and one of all layers for the CSV.

    Miniatures are left out.
    """
    real = [
        table for group in groups if group.first.scale != "mini" if (table := _table(group)).rows
    ]
    rows = [
        Row(row.group, row.arm, seed, row.round, [[layer]])
        for table in real
        for row in table.rows
        for seed, found in zip(row.group.arms[row.arm], row.layers, strict=True)
        for layer in found
    ]
    return [*real, Table("Layer by layer", COLUMNS, rows, in_words=never)]


def _table(group: Group) -> Table[Row]:
    rows = []
    for arm, runs in group.arms.items():
        found = [layers(run.record) for run in runs.values()]
        for nth in sorted({layer.round for of_run in found for layer in of_run}):
            of_round = [[layer for layer in of_run if layer.round == nth] for of_run in found]
            rows.append(Row(group, arm, -1, nth, of_round))
    return Table(f"{title(group)}: weights", COLUMNS, rows, in_csv=never)


def _share(of: str, among: str) -> Callable[[list[Layer]], float]:
    """Returns what gives one sum over the layers in percent of another, 0 of none."""
    return lambda found: 100 * _sum(found, of) / max(1, _sum(found, among))


def _when(when: str) -> Callable[[list[Layer]], float]:
    return lambda found: _average([layer.magnitudes[when] for layer in found])


def _of_pruned(name: str) -> Callable[[list[Layer]], float]:
    """Returns what gives a figure of the pruned weights, averaged over the layers that have one."""
    return lambda found: _average(
        [(value, layer.pruned) for layer in found if (value := getattr(layer, name)) is not None]
    )


def _per_layer(name: str) -> Column[Row]:
    return Column(name, None, lambda row: getattr(row.layer, name))


def _magnitude_of(when: str) -> Column[Row]:
    return Column(f"mean_magnitude_{when}", None, lambda row: row.layer.magnitudes[when][0])


def _mean_of(header: str, figure: Callable[[list[Layer]], float], kind: Kind) -> Column[Row]:
    return Column("", header, lambda row: row.mean(figure), kind)


PERCENT = number("{:.2f}")
DIGITS = Kind(lambda value, _: short(float(f"{value:.3g}")), lambda name, value: {name: value})
COLUMNS = (
    WHERE,
    replace(ARM, header="arm"),
    Column[Row]("seed", None, lambda row: row.seed),
    Column[Row]("round", "round", lambda row: row.round),
    Column[Row]("", "n", lambda row: len(row.layers)),
    _mean_of("pruned (%)", _share("pruned", "weights"), PERCENT),
    *(_mean_of(f"mean magnitude {stage}", _when(when), DIGITS) for when, stage in MEASURED.items()),
    _mean_of("sign changed in sparse (%)", _share("changed_sparse", "weights"), PERCENT),
    _mean_of("in re-dense (%)", _share("changed_redense", "weights"), PERCENT),
    _mean_of("returned (%)", _share("returned", "pruned"), PERCENT),
    _mean_of("old sign (%)", _share("same_sign", "returned"), PERCENT),
    _mean_of("median magnitude of the pruned", _of_pruned("median"), DIGITS),
    _mean_of("99 %", _of_pruned("q99"), DIGITS),
    _mean_of("relative to the kept", _of_pruned("relative"), DIGITS),
    *(_per_layer(one.name) for one in fields(Layer) if one.name not in ("round", "magnitudes")),
    *(_magnitude_of(when) for when in MEASURED),
)


def _sum(found: Iterable[Layer], name: str) -> int:
    return sum(getattr(layer, name) for layer in found)


def _average(found: Iterable[tuple[float, int]]) -> float:
    """Returns the mean of values that each count so many times, 0 where none counts."""
    found = list(found)
    return sum(value * count for value, count in found) / max(1, sum(count for _, count in found))


def _round(
    number: int, before: PhaseRecord, sparse: PhaseRecord, redense: PhaseRecord
) -> Iterator[Layer]:
    ends = {"dense": before.stages[-1], "sparse": sparse.stages[-1], "redense": redense.stages[-1]}
    for name, back in redense.returned.items():
        yield Layer(
            round=number,
            name=name,
            weights=sparse.layers[name]["weights"],
            pruned=back["pruned"],
            magnitudes={when: _magnitude(end["layers"][name]) for when, end in ends.items()},
            changed_sparse=sparse.sign_changes[name],
            changed_redense=redense.sign_changes[name],
            returned=back["nonzero"],
            same_sign=back["same_sign"],
            median=back["quantiles"].get("0.5", 0.0),
            q99=back["quantiles"].get("0.99", 0.0),
            relative=back["relative_magnitude"],
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
