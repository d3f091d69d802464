"""What became of the weights: magnitudes and signs, and how large pruned weights come back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from analysis.grid import Grid
from analysis.grid import number as short
from analysis.records import Group
from analysis.tables.conditions import condition, title
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
    for number, place in enumerate(places, start=1):
        found += _round(number, *phases[place - 2 : place + 1])
    return found


def grids(groups: Iterable[Group]) -> list[Grid]:
    """Returns a table for each group that has an arm with a mask; miniatures are left out."""
    return [grid for group in _real(groups) if (grid := _grid(group)).rows]


def csv_rows(groups: Iterable[Group]) -> Iterator[dict[str, Any]]:
    """Yields every layer of every run, as numbers."""
    for group in _real(groups):
        conditions = {key: value for key, value in condition(group).items() if key != "notes"}
        for arm, seeds in group.arms.items():
            for seed, run in seeds.items():
                for layer in layers(run.record):
                    yield {**conditions, "arm": arm, "seed": seed, **_cells(layer)}


def whole(found: Sequence[Layer]) -> dict[str, float]:
    """Returns the figures of all layers of a round together, under the header of the table.

    Shares are in percent.
    """
    weights, pruned = _sum(found, "weights"), _sum(found, "pruned")
    returned = _sum(found, "returned")
    magnitudes = {
        f"mean magnitude {stage}": _average([layer.magnitudes[when] for layer in found])
        for when, stage in MEASURED.items()
    }
    return {
        "pruned (%)": 100 * pruned / weights,
        **magnitudes,
        "sign changed in sparse (%)": 100 * _sum(found, "changed_sparse") / weights,
        "in re-dense (%)": 100 * _sum(found, "changed_redense") / weights,
        "returned (%)": 100 * returned / max(1, pruned),
        "old sign (%)": 100 * _sum(found, "same_sign") / max(1, returned),
        "median magnitude of the pruned": _average(
            [(layer.median, layer.pruned) for layer in found]
        ),
        "99 %": _average([(layer.q99, layer.pruned) for layer in found]),
        "relative to the kept": _average(
            [(layer.relative, layer.pruned) for layer in found if layer.relative is not None]
        ),
    }


def _grid(group: Group) -> Grid:
    rows, names = [], []
    for arm, seeds in group.arms.items():
        runs = [layers(run.record) for run in seeds.values()]
        for number in sorted({layer.round for found in runs for layer in found}):
            of_round = [[layer for layer in found if layer.round == number] for found in runs]
            figures = [whole(found) for found in of_round]
            names = list(figures[0])
            means = [_written(name, fmean(one[name] for one in figures)) for name in names]
            rows.append((arm, str(number), str(len(figures)), *means))
    header = ("arm", "round", "n", *names)
    return Grid(f"{title(group)}: weights", header, rows)


def _written(name: str, value: float) -> str:
    return f"{value:.2f}" if name.endswith("(%)") else short(float(f"{value:.3g}"))


def _sum(found: Iterable[Layer], name: str) -> int:
    return sum(getattr(layer, name) for layer in found)


def _average(found: Iterable[tuple[float, int]]) -> float:
    """Returns the mean of values that each count so many times, 0 where none counts."""
    found = list(found)
    return sum(value * count for value, count in found) / max(1, sum(count for _, count in found))


def _cells(layer: Layer) -> dict[str, Any]:
    cells = dict(vars(layer))
    magnitudes = cells.pop("magnitudes")
    return cells | {f"mean_magnitude_{when}": magnitudes[when][0] for when in MEASURED}


def _real(groups: Iterable[Group]) -> list[Group]:
    return [group for group in groups if group.first.scale != "mini"]


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
