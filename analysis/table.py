"""A table is a list of columns over rows; each column is written once, for words and for CSV."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from analysis.grid import Grid
from analysis.words import interval, mean_sd, p_value, plus_minus, signed

Row = TypeVar("Row")
NOTHING = "-"  # in words


class Kind(NamedTuple):
    """How the values of a column are written; None is a value of every kind."""

    text: Callable[[Any], str]
    cells: Callable[[str, Any], dict[str, object]]  # (name, value) -> columns of the CSV


def _one(name: str, value: object) -> dict[str, object]:
    return {name: value}


def _spread(name: str, value: Any) -> dict[str, object]:
    mean, sd, n = value or (None, None, 0)
    return {name: mean, f"{name}_sd": sd, f"{name}_n": n}


def _gain(name: str, value: Any) -> dict[str, object]:
    return _spread(name, value and value.difference) | {f"{name}_pct": value and value.relative_pct}


def _ends(name: str, value: Any) -> dict[str, object]:
    low, high = value or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def number(form: str) -> Kind:
    """Returns the kind of numbers that a format like "{:.2f}" writes."""
    return Kind(lambda value: NOTHING if value is None else form.format(value), _one)


TEXT = Kind(lambda value: NOTHING if value in (None, "") else str(value), _one)
SPREAD = Kind(mean_sd, _spread)  # 8.12 ± 0.05 (n 3)
PLUS_MINUS = Kind(lambda value: plus_minus(value) if value else NOTHING, _spread)
GAIN = Kind(signed, _gain)  # +0.37 ± 0.05 (+4.5 %, n 3)
INTERVAL = Kind(interval, _ends)
P_VALUE = Kind(p_value, _one)


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column; it is left out of the CSV without a name, of words without a header.

    A header with {} stands for several columns, see Table.across.
    """

    name: str
    header: str
    value: Callable[[Row], Any]
    kind: Kind = TEXT


@dataclass(frozen=True)
class Table(Generic[Row]):
    """Rows under columns, a title, and what must be said beneath."""

    title: str
    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    notes: tuple[str, ...] = ()
    line: Callable[[Row], Hashable] = id  # in words, rows that are alike in this share a line
    across: Callable[[Row], str] | None = None  # what sets these apart, for the {} of headers

    def grid(self) -> Grid:
        """Returns the table in words; what a line has no row for is "-"."""
        keys = list(dict.fromkeys(map(self.across, self.rows))) if self.across else []
        shown: list[tuple[Column[Row], str | None]] = []
        for column in self.columns:
            if column.header and "{}" in column.header:
                shown += [(column, key) for key in keys]
            elif column.header or column is self.columns[0]:
                shown.append((column, None))
        lines: dict[Hashable, list[Row]] = {}
        for row in self.rows:
            lines.setdefault(self.line(row), []).append(row)
        cells = [
            tuple(self._cell(column, key, rows) for column, key in shown) for rows in lines.values()
        ]
        header = tuple(column.header.format(key) for column, key in shown)
        return Grid(self.title, header, cells, self.notes)

    def csv_rows(self) -> list[dict[str, object]]:
        """Returns a dict a row, of the CSV's columns; numbers are not rounded."""
        return [
            {
                key: cell
                for column in self.columns
                if column.name
                for key, cell in column.kind.cells(column.name, column.value(row)).items()
            }
            for row in self.rows
        ]

    def only(self, keep: Callable[[Row], bool], **changes: Any) -> "Table[Row]":
        """Returns the table of some of the rows, for instance with a title of its own."""
        return replace(self, rows=[row for row in self.rows if keep(row)], **changes)

    def _cell(self, column: Column[Row], key: str | None, rows: Sequence[Row]) -> str:
        for row in rows:
            if key is None or (self.across and self.across(row) == key):
                return column.kind.text(column.value(row))
        return NOTHING
