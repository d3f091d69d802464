"""The results as one tidy table: `analysis.load("results/runs")` is where all else starts from."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.metrics import metric
from analysis.records import Run, read_all
from dsd.runs.phase_file import PhaseRecord

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("recipe", "scale", "overrides", "seed", "arm"),  # the run
    "path",  # of phases, e.g. dense/sparse: the figure is the one at the end of the last
    *("split", "metric", "value", "unit"),
)


def load(folder: str | Path) -> "pd.DataFrame":
    """Returns the figures of all records in a folder, a row each; the columns are COLUMNS.

    Of every phase of every arm: the test sets' metrics, and those of the training and held-out
    splits ("train", "heldout") in the epoch whose weights are carried over; training figures are
    means over that epoch, as it went. Arms that begin with the same phases repeat their figures.
    `overrides` is one text, key=value apart by spaces. Raises UserError that names a file which is
    damaged or no record.
    """
    return frame(read_all(Path(folder)))


def load_epochs(folder: str | Path) -> "pd.DataFrame":
    """Returns every epoch's training and held-out figures; the columns are COLUMNS and `epoch`.

    `epoch` counts from the beginning of the phase. Raises UserError as `load` does.
    """
    figures = (
        (*start, *figure, row["epoch"])
        for run in read_all(Path(folder))
        for start, phase in _phases(run)
        for row in phase.log
        for figure in _figures({kind: row.get(kind, {}) for kind in ("train", "heldout")})
    )
    return _framed(figures, *COLUMNS, "epoch")


def frame(runs: Iterable[Run]) -> "pd.DataFrame":
    """Returns the figures of records that were read."""
    return _framed(rows(runs), *COLUMNS)


def rows(runs: Iterable[Run]) -> Iterator[tuple[Any, ...]]:
    """Yields the rows of the same table."""
    for run in runs:
        for start, phase in _phases(run):
            for figure in _figures({**carried_over(phase), **phase.test}):
                yield (*start, *figure)


def carried_over(phase: PhaseRecord) -> dict[str, dict[str, float]]:
    """Returns {"train", "heldout": figures} of the epoch whose weights a phase carries over."""
    logged = [row for row in phase.log if row["epoch"] == phase.carried_over_epoch] or phase.log[
        -1:
    ]
    return {kind: row[kind] for row in logged for kind in ("train", "heldout") if kind in row}


def _phases(run: Run) -> Iterator[tuple[tuple[Any, ...], PhaseRecord]]:
    record = run.record
    overrides = " ".join(sorted(record.overrides))
    folders: list[str] = []
    for phase in record.phases:
        folders.append(phase.folder)
        path = "/".join(folders)
        yield (record.recipe, record.scale, overrides, record.seed, record.arm, path), phase


def _framed(rows: Iterable[tuple[Any, ...]], *columns: str) -> "pd.DataFrame":
    import pandas as pd  # it takes a second, and not every command needs it

    return pd.DataFrame(rows, columns=list(columns))


def _figures(splits: dict[str, dict[str, float]]) -> Iterator[tuple[str, str, float, str]]:
    for split, figures in splits.items():
        for name, value in figures.items():
            yield split, name, value, metric(name).unit
