"""A table is a list of columns over rows; each column is written once, for words and for CSV."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from analysis.grid import Grid
from analysis.metrics import metric
from analysis.words import NOTHING, interval, mean_sd, p_value, plus_minus, signed, signed_mean


class Kind(NamedTuple):
    """How the values of a column are written; None is a value of every kind."""

    text: Callable[[Any, int], str]  # (value, decimals of the row's metric)
    cells: Callable[[str, Any], dict[str, object]] = lambda name, value: {name: value}


def _spread(name: str, value: Any) -> dict[str, object]:
    mean, sd, n = value or (None, None, 0)
    return {name: mean, f"{name}_sd": sd, f"{name}_n": n}


def _gain(name: str, value: Any) -> dict[str, object]:
    pct = {f"{name}_pct": value and value.relative_pct}
    return _spread(name, value and value.difference) | pct


def _ends(name: str, value: Any) -> dict[str, object]:
    low, high = value or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def text(write: Callable[[Any], str] = str) -> Kind:
    """Returns the kind of values that a function writes, "-" where there is none."""
    return Kind(lambda value, _: NOTHING if value in (None, "") else write(value))


TEXT = text()
SPREAD = Kind(mean_sd, _spread)  # 8.12 ± 0.05 (n 3)
MEAN = Kind(lambda value, n: plus_minus(value, n) if value else NOTHING, _spread)  # 8.12 ± 0.05
SIGNED = Kind(signed_mean, _spread)  # +0.37 ± 0.05
GAIN = Kind(signed, _gain)  # +0.37 ± 0.05 (+4.5 %, n 3)
INTERVAL = Kind(interval, _ends)
P_VALUE = text(p_value)


@dataclass(frozen=True)
class Column:
    """One column; it is left out of the CSV without a name, of words without a header.

    A header with {} stands for several columns, see Table.across. By default the values are the
    rows' attribute of the column's name.
    """

    name: str = ""
    header: str | None = None
    kind: Kind = TEXT
    value: Callable[[Any], Any] | None = None

    def of(self, row: Any) -> Any:
        """Returns the column's value in a row."""
        return self.value(row) if self.value else attrgetter(self.name)(row)


@dataclass(frozen=True)
class Table:
    """Rows under columns, a title, and what must be said beneath.

    In words, rows that are alike in `line` share a line, and columns whose header has {} are there
    once for each `across`; some rows are in words or in the CSV alone.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Any]
    notes: Sequence[str] = ()
    line: Callable[[Any], Hashable] = id
    across: Callable[[Any], str] = lambda row: ""
    in_words: Callable[[Any], bool] = lambda row: True
    in_csv: Callable[[Any], bool] = lambda row: True

    def grid(self) -> Grid:
        """Returns the table in words; what a line has no row for is "-"."""
        lines: dict[Hashable, dict[str | None, Any]] = {}
        for row in filter(self.in_words, self.rows):
            cells = lines.setdefault(self.line(row), {None: row})  # None: any row of the line
            cells.setdefault(self.across(row), row)
        keys = list(dict.fromkeys(key for cells in lines.values() for key in list(cells)[1:]))
        shown = [
            (column, key)
            for column in self.columns
            if column.header is not None
            for key in (keys if "{}" in column.header else [None])
        ]
        header = tuple(str(column.header).format(key) for column, key in shown)
        rows = [
            tuple(_cell(column, cells.get(key)) for column, key in shown)
            for cells in lines.values()
        ]
        return Grid(self.title, header, rows, tuple(self.notes))

    def csv_rows(self) -> list[dict[str, object]]:
        """Returns a dict a row, of the CSV's columns; numbers are not rounded."""
        columns = [column for column in self.columns if column.name]
        found: list[dict[str, object]] = []
        for row in filter(self.in_csv, self.rows if columns else ()):
            found.append({})
            for column in columns:
                found[-1] |= column.kind.cells(column.name, column.of(row))
        return found


def _cell(column: Column, row: Any) -> str:
    if row is None:
        return NOTHING
    name, group = getattr(row, "metric", ""), getattr(row, "group", None)
    decimals = group.decimals(name) if group else metric(name).decimals
    return column.kind.text(column.of(row), decimals)
