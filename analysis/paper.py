"""The paper's figures, read from results/paper/<table>.csv, each with how far it is verified."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dsd.errors import UserError

ROWS = {  # arm -> row of a table; model_zoo has the arms in its columns
    "baseline": "baseline",
    "dsd": "dsd",
    "finetune": "finetune_second_half",
    "llr": "llr",
}
LAST = "dense_2"  # dsd's row in the tables of two iterations
TESTS = {"eval92": "wsj92", "eval93": "wsj93"}  # test set -> prefix of its columns
QUOTED = "bleu4"  # of the four orders
NO_METRIC = {"row", "network", "sd_pct", "runs", "sparsity_pct", "epochs", "lr", "confidence"}


@dataclass(frozen=True)
class Figure:
    """One published figure."""

    value: float
    sd: float | None
    runs: int | None
    confidence: str  # "seen", "unverified", or in words what of it was seen

    @property
    def seen(self) -> bool:
        """Tells whether the value was read in a copy of the paper."""
        return self.confidence.startswith(("seen", "mean seen"))

    @property
    def sd_seen(self) -> bool:
        """Tells whether the standard deviation was read in a copy of the paper."""
        return self.confidence.startswith("seen")


def figures(
    folder: Path,
    table: str,
    column: str | None,
    metric: str | None = None,
    split: str = "",
    rows_of: Mapping[str, str] = ROWS,
) -> tuple[str, dict[str, Figure]]:
    """Returns the metric and {arm: figure} of one recipe's row, for the arms that the paper has.

    `column` prefixes the columns of a table on several networks; in model_zoo it names the row.
    `split` picks the columns of a table on several test sets. Without a metric BLEU-4 or the
    table's first counts. Raises UserError that names the file.
    """
    path, rows = folder / f"{table}.csv", read(folder, table)
    header = [name for name in rows[0] if name not in NO_METRIC]
    metric = metric or (QUOTED if QUOTED in header else None)
    if "network" in rows[0]:
        mine = [row for row in rows if row["network"] == column]
        if not mine:
            known = ", ".join(row["network"] for row in rows)
            raise UserError(f"{path}: no network {column!r}; a recipe's column is one of {known}")
        metric = metric or header[0].removeprefix("baseline_")
        cells = {arm: (mine[0], f"{arm}_{metric}") for arm in rows_of}
    else:
        name, metric = _column(path, header, column, metric, split)
        by_row = {row["row"]: row for row in rows}
        if LAST in by_row:
            by_row["dsd"] = by_row[LAST]
        cells = {arm: (by_row[row], name) for arm, row in rows_of.items() if row in by_row}
    return metric, {
        arm: _figure(path, *cell) for arm, cell in cells.items() if cell[0].get(cell[1])
    }


def test_sets(folder: Path, table: str) -> list[str]:
    """Returns the test sets that have columns of their own, [""] where a table has one alone."""
    header = read(folder, table)[0]
    found = [
        split for split, test in TESTS.items() if any(h.startswith(f"{test}_") for h in header)
    ]
    return found or [""]


def read(folder: Path, table: str) -> list[dict[str, str]]:
    """Returns a table's rows. Raises UserError that names the file when it is missing."""
    path = folder / f"{table}.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError:
        raise UserError(
            f"{path}: missing; restore it, or name another table in the recipe"
        ) from None


def gain(baseline: float, dsd: float, metric: str) -> float:
    """Returns by how much DSD is better than the baseline; BLEU rises, error rates fall."""
    return dsd - baseline if metric.startswith("bleu") else baseline - dsd


def _column(
    path: Path, header: list[str], column: str | None, metric: str | None, split: str
) -> tuple[str, str]:
    """Returns the name of a metric's column, and the metric."""
    own = column or TESTS.get(split)
    prefixes = [f"{own}_"] if own else ["", "mean_"]
    for name in header:
        for prefix in prefixes:
            found = name.removeprefix(prefix)
            if name.startswith(prefix) and metric in (None, found):
                return name, found.removeprefix("mean_")
    wanted = metric or "a metric"
    raise UserError(
        f"{path}: no column holds {wanted} of {column or 'the recipe'}; "
        f"the columns are {', '.join(header)}"
    )


def _figure(path: Path, row: dict[str, str], name: str) -> Figure:
    try:
        return Figure(
            value=float(row[name]),
            sd=float(row["sd_pct"]) if row.get("sd_pct") else None,
            runs=int(row["runs"]) if row.get("runs") else None,
            confidence=row["confidence"],
        )
    except (ValueError, KeyError) as error:
        raise UserError(f"{path}: {name}: {error}; restore the file") from None
