"""A table is a list of columns over rows; each column is written once, for words and for CSV."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from analysis.grid import Grid
from analysis.words import NOTHING, interval, mean_sd, p_value, plus_minus, signed, signed_mean

Row = TypeVar("Row")


class Kind(NamedTuple):
    """How the values of a column are written; None is a value of every kind."""

    text: Callable[[Any, int], str]  # (value, decimals)
    cells: Callable[[str, Any], dict[str, object]]  # (name, value) -> columns of the CSV


def spread_cells(name: str, value: Any) -> dict[str, object]:
    """Returns a spread as the columns <name>, <name>_sd, <name>_n."""
    mean, sd, n = value or (None, None, 0)
    return {name: mean, f"{name}_sd": sd, f"{name}_n": n}


def _gain_cells(name: str, value: Any) -> dict[str, object]:
    pct = {f"{name}_pct": value and value.relative_pct}
    return spread_cells(name, value and value.difference) | pct


def _ends(name: str, value: Any) -> dict[str, object]:
    low, high = value or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _one(name: str, value: object) -> dict[str, object]:
    return {name: value}


def _known(write: Callable[[Any, int], str]) -> Callable[[Any, int], str]:
    return lambda value, decimals: NOTHING if value in (None, "") else write(value, decimals)


def number(form: str) -> Kind:
    """Returns the kind of numbers that a format like "{:g}" writes."""
    return Kind(_known(lambda value, _: form.format(value)), _one)


TEXT = Kind(_known(lambda value, _: str(value)), _one)
SPREAD = Kind(mean_sd, spread_cells)  # 8.12 ± 0.05 (n 3)
PLUS_MINUS = Kind(_known(plus_minus), spread_cells)  # 8.12 ± 0.05
SIGNED = Kind(signed_mean, spread_cells)  # +0.37 ± 0.05
GAIN = Kind(signed, _gain_cells)  # +0.37 ± 0.05 (+4.5 %, n 3)
INTERVAL = Kind(interval, _ends)
P_VALUE = Kind(lambda value, _: p_value(value), _one)


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column; it is left out of the CSV without a name, of words without a header.

    A header with {} stands for several columns, see Table.across. `decimals`: in words.
    """

    name: str
    header: str | None
    value: Callable[[Row], Any]
    kind: Kind = TEXT
    decimals: Callable[[Row], int] = lambda row: 2


@dataclass(frozen=True)
class Table(Generic[Row]):
    """Rows under columns, a title, and what must be said beneath.

    In words, rows that are alike in `line` share a line, and columns whose header has {} are there
    once for each `across`; some rows are in words or in the CSV alone.
    """

    title: str
    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    line: Callable[[Row], Hashable] = id
    across: Callable[[Row], str] = lambda row: ""
    in_words: Callable[[Row], bool] = lambda row: True
    in_csv: Callable[[Row], bool] = lambda row: True

    def grid(self) -> Grid:
        """Returns the table in words; what a line has no row for is "-"."""
        lines: dict[Hashable, dict[str, Row]] = {}
        for row in filter(self.in_words, self.rows):
            lines.setdefault(self.line(row), {}).setdefault(self.across(row), row)
        keys = list(dict.fromkeys(key for cells in lines.values() for key in cells))
        shown: list[tuple[Column[Row], str | None]] = []
        for column in self.columns:
            if column.header is not None:
                shown += [(column, key) for key in (keys if "{}" in column.header else [None])]
        header = tuple(str(column.header).format(key) for column, key in shown)
        cells = [tuple(_cell(column, key, of) for column, key in shown) for of in lines.values()]
        return Grid(self.title, header, cells, tuple(self.notes))

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
            if self.in_csv(row)
        ]


def never(row: object) -> bool:
    """Leaves every row out of words or of the CSV."""
    return False


def _cell(column: Column[Row], key: str | None, rows: dict[str, Row]) -> str:
    row = rows.get(key) if key is not None else next(iter(rows.values()))
    return NOTHING if row is None else column.kind.text(column.value(row), column.decimals(row))
