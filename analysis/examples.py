"""How far a gain rests on the test examples at hand: the counts of a bootstrap over them.

The per-example results lie beside each record; `metrics` says which of them a metric follows from.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from analysis import statistics
from analysis.cache import remember
from analysis.groups import Group
from analysis.metrics import metric as metric_of
from analysis.records import Run
from analysis.statistics import Interval, ratio_metric
from dsd.errors import UserError
from dsd.runs.record import read_examples


def interval(
    group: Group, arm: str, over: str, split: str, metric: str | None = None
) -> Interval | None:
    """Returns the 95 % interval of a gain over redrawn test sets, positive: better.

    See `statistics.over_examples`; of the seeds that both arms have. None where they share no seed,
    or a record holds no per-example results of the metric. Raises UserError that names the file:
    they do not give the record's own figure, or belong to another test set than the others.
    """
    metric = metric or group.first.metric
    ours, theirs = group.values(arm, split, metric), group.opposite(arm, over, split, metric)
    seeds = sorted(ours.keys() & theirs.keys())
    if arm == over or not seeds or metric_of(metric).counts is None:
        return None
    opponents = group.opponents(arm, over)
    runs = [group.arms[arm][seed] for seed in seeds] + [opponents[seed] for seed in seeds]

    def compute() -> Interval | None:
        counts = [_counts(run, split, metric) for run in runs]
        held = [one for one in counts if one is not None]
        if len(held) < len(runs):
            return None
        _check_test_sets(runs, split, held)
        ours, theirs = held[: len(seeds)], held[len(seeds) :]
        if group.lower_is_better(metric):
            ours, theirs = theirs, ours
        return statistics.over_examples(ours, theirs)

    rests_on = [[_checksum(run), run.address, run.record.final[split][metric]] for run in runs]
    return remember(["over_examples", metric, split, rests_on], compute)


def _checksum(run: Run) -> str:
    return run.record.links[-1].sha256


@lru_cache(maxsize=64)
def _read(path: Path, _checksum: str) -> dict[str, np.ndarray]:
    return read_examples(path)


def _counts(run: Run, split: str, metric: str) -> np.ndarray | None:
    """Returns what `statistics.ratio_metric` takes, an example a row; None where it is not held.

    Raises UserError where the examples do not give the record's own figure.
    """
    here = f"{run.address}/{split}/"
    held = {
        key.removeprefix(here): array
        for key, array in _read(run.path, _checksum(run)).items()
        if key.startswith(here)
    }
    known = metric_of(metric)
    if known.counts is None or not held.keys() >= set(known.needs):
        return None
    counts = np.stack(known.counts(held), axis=1).astype(np.int64)
    given, figure = float(ratio_metric(counts.sum(axis=0))), run.record.final[split][metric]
    if not math.isclose(given, figure, rel_tol=1e-9, abs_tol=1e-9):
        raise UserError(
            f"{run.path}: its per-example results give {known.title} {given:.4f} on {split}, the "
            f"record says {figure:.4f}; make the record again"
        )
    return counts


def _check_test_sets(runs: Sequence[Run], split: str, counts: Sequence[np.ndarray]) -> None:
    """Raises UserError where the runs were not tested on the same examples.

    What tells one test set from another of its size: labels or reference texts. Captions have the
    references' lengths, which stand under the split "test" for every beam.
    """
    names = (f"{split}/label", f"{split}/reference", "test/words")
    sets = []
    for run, mine in zip(runs, counts, strict=True):
        held = _read(run.path, _checksum(run))
        sets.append([len(mine), *(held.get(f"{run.address}/{name}", ()) for name in names)])
    for run, test_set in zip(runs, sets, strict=True):
        if not all(np.array_equal(*pair) for pair in zip(test_set, sets[0], strict=True)):
            raise UserError(
                f"{run.path}: its {split} is not the one of {runs[0].path.name}; make the older of "
                "the two again"
            )
