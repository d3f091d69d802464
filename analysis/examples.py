"""How far a gain rests on the test examples at hand: a bootstrap over them.

The per-example results lie in the .npz beside each record. Each metric here is a hundred times the
geometric mean of ratios of sums over the test set (errors over images, errors over words, n-grams
matched over n-grams written), so a resample needs the examples' counts alone.
"""

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.grid import metric_name
from analysis.records import Group, Run
from dsd.errors import UserError
from dsd.runs.record import read_examples

DRAWS = 10_000
CELLS = 2_000_000  # draws times examples in memory at once


class _Tested(NamedTuple):
    """One run on one test set. The digest makes it a safe key: the same one, the same results."""

    path: Path
    sha256: str
    folder: str  # of phases
    split: str
    metric: str
    figure: float  # as the record has it


def interval(group: Group, arm: str, over: str, split: str) -> tuple[float, float] | None:
    """Returns the 95 % interval of a gain over redrawn test sets, positive: better.

    Each of 10 000 times test examples are drawn with replacement, the same ones for both arms and
    all seeds; the metric is computed anew for each run, and the differences are averaged over the
    seeds that both arms have. The interval's ends are percentiles. It spans the choice of test
    examples for these networks, not the training's randomness. Source: the paired bootstrap of
    Koehn (EMNLP 2004) for BLEU and of Bisani and Ney (ICASSP 2004) for WER.

    None where the arms share no seed, or a record holds no per-example results of the metric.
    Raises UserError that names the file: they do not give the record's own figure, or belong to
    another test set than the others.
    """
    ours, theirs = group.arms.get(arm, {}), group.arms.get(over, {})
    pairs = tuple(
        (_tested(ours[seed], split), _tested(theirs[seed], split))
        for seed in sorted(group.final(arm, split).keys() & group.final(over, split).keys())
    )
    found = _interval(pairs) if pairs else None
    if found is None or group.first.lower_is_better:
        return found
    return -found[1], -found[0]


def resampled(counts: np.ndarray) -> np.ndarray:
    """Returns the sums of `DRAWS` resamples, (draws, ...), of counts, (N, ...); the same each time.

    An example is one of the first axis: N of them are drawn with replacement, with all they hold.
    """
    n = len(counts)
    rows, row_of = np.unique(counts.reshape(n, -1), axis=0, return_inverse=True)
    rng = np.random.default_rng(0)
    batch, sums = max(1, CELLS // n), []
    for start in range(0, DRAWS, batch):
        size = min(batch, DRAWS - start)
        drawn = row_of.reshape(-1)[rng.integers(n, size=(size, n))]
        drawn += len(rows) * np.arange(size)[:, None]  # a range of numbers for each draw
        times = np.bincount(drawn.reshape(-1), minlength=size * len(rows))
        sums.append(times.reshape(size, len(rows)) @ rows.astype(np.float64))
    return np.concatenate(sums).reshape(DRAWS, *counts.shape[1:])


def figure(sums: np.ndarray) -> np.ndarray:
    """Returns the metric of summed counts, (..., 2 n) -> (...): n sums, then what each is out of.

    A hundred times the geometric mean of the n ratios; of 0 out of 0 the ratio is 0.
    """
    found, out_of = np.split(sums, 2, axis=-1)
    ratios = found / np.maximum(out_of, 1)
    return 100 * np.prod(ratios, axis=-1) ** (1 / ratios.shape[-1])


@cache
def _interval(pairs: tuple[tuple[_Tested, _Tested], ...]) -> tuple[float, float] | None:
    """Returns the interval of how much greater the second runs' metric is than the first ones'."""
    counts: list[np.ndarray] = []
    first: list[np.ndarray] = []
    for tested in (one for pair in pairs for one in pair):
        arrays = read_examples(tested.path)
        mine = _counts(arrays, tested)
        if mine is None:
            return None
        given = float(figure(mine.sum(axis=0)))
        if not math.isclose(given, tested.figure, rel_tol=1e-9, abs_tol=1e-9):
            raise UserError(
                f"{tested.path}: its per-example results give {metric_name(tested.metric)} "
                f"{given:.4f} on {tested.split}, the record says {tested.figure:.4f}; make the "
                "record again"
            )
        test_set = _test_set(arrays, tested)
        first = first or [mine, *test_set]
        if len(mine) != len(first[0]) or not all(map(np.array_equal, test_set, first[1:])):
            raise UserError(
                f"{tested.path}: its {tested.split} is not the one of {pairs[0][0].path.name}; "
                "make the older of the two again"
            )
        counts.append(mine)
    stacked = np.stack(counts, axis=1)  # (N, runs, 2 n): arms alternate
    metrics = figure(resampled(stacked))
    gains = np.mean(metrics[:, 1::2] - metrics[:, ::2], axis=1)
    low, high = np.percentile(gains, [2.5, 97.5])
    return float(low), float(high)


def _tested(run: Run, split: str) -> _Tested:
    record = run.record
    return _Tested(
        run.path,
        record.examples["sha256"],
        "/".join(phase.folder for phase in record.phases),
        split,
        record.metric,
        record.final[split][record.metric],
    )


def _counts(arrays: dict[str, np.ndarray], tested: _Tested) -> np.ndarray | None:
    """Returns what `figure` takes, an example a row; None where the results do not hold it."""
    here = f"{tested.folder}/{tested.split}/"
    held = {key.removeprefix(here): array for key, array in arrays.items() if key.startswith(here)}
    match tested.metric:
        # top-1 not by the rank: in older records it is 0 for a label that ties with the prediction
        case "top1_error_pct" if {"prediction", "label"} <= held.keys():
            wrong = held["prediction"] != held["label"]
            columns = [wrong, np.ones_like(wrong)]
        case "top5_error_pct" if "rank" in held:
            wrong = held["rank"] > 4
            columns = [wrong, np.ones_like(wrong)]
        case "wer_pct" if "counts" in held:
            columns = [*held["counts"].T[:2]]
        case "cer_pct" if "counts" in held:
            columns = [*held["counts"].T[2:]]
        case "bleu1" | "bleu2" | "bleu3" | "bleu4" if "bleu_counts" in held:
            n = int(tested.metric[-1])
            columns = [*held["bleu_counts"].T[:n], *held["bleu_counts"].T[4 : 4 + n]]
        case _:
            return None
    return np.stack(columns, axis=1).astype(np.int64)


def _test_set(arrays: dict[str, np.ndarray], tested: _Tested) -> list[np.ndarray]:
    """Returns what tells one test set from another of its size: labels or reference texts.

    Captions have the references' lengths, which stand under the split "test" for every beam.
    """
    names = (f"{tested.split}/label", f"{tested.split}/reference", "test/words")
    return [arrays[key] for name in names if (key := f"{tested.folder}/{name}") in arrays]
