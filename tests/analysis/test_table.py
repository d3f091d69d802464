"""One list of columns gives words and CSV."""

from typing import NamedTuple

from analysis.groups import Gain
from analysis.statistics import Spread
from analysis.table import GAIN, INTERVAL, MEAN, P_VALUE, SPREAD, Column, Table, text
from tests.analysis.conftest import lines


class Row(NamedTuple):
    name: str
    beam: int
    ours: Spread | None
    metric: str = "wer_pct"


ROWS = (Row("a", 1, Spread(1.5, 0.25, 2)), Row("a", 20, None), Row("b", 1, Spread(2.0, None, 1)))


def test_a_column_without_a_header_is_not_in_words_and_one_without_a_name_not_in_the_csv():
    columns = (Column("name"), Column(header="arm", value=lambda row: row.name.upper()))
    table = Table("t", columns, ROWS[::2])
    assert (table.grid().header, table.grid().rows) == (("arm",), [("A",), ("B",)])
    assert table.csv_rows() == [{"name": "a"}, {"name": "b"}]


def test_rows_alike_share_a_line_and_what_is_not_there_is_a_dash():
    columns = (Column("name", ""), Column("beam"), Column("ours", "beam {}", SPREAD))
    table = Table(
        *("t", columns, ROWS), line=lambda row: row.name, across=lambda row: str(row.beam)
    )
    assert table.grid().header == ("", "beam 1", "beam 20")
    assert [*lines(table.grid()).values()] == [
        {"": "a", "beam 1": "1.50 ± 0.25 (n 2)", "beam 20": "not run"},
        {"": "b", "beam 1": "2.00 (n 1)", "beam 20": "-"},
    ]
    assert [row["ours_n"] for row in table.csv_rows()] == [2, 0, 1]


def test_rows_of_one_kind_alone():
    columns = (Column("name", ""), Column("beam", "beam"))
    table = Table(
        *("t", columns, ROWS), in_words=lambda row: row.beam == 1, in_csv=lambda row: row.beam > 1
    )
    assert table.grid().rows == [("a", "1"), ("b", "1")]
    assert table.csv_rows() == [{"name": "a", "beam": 20}]
    assert Table("t", (Column(header="a", value=len),), ROWS).csv_rows() == []


def test_every_kind_in_words_and_numbers_and_of_nothing():
    gain = Gain((1.0, 1.5), 25.0)
    for kind, value, written, cells in (
        (text("{:g} %".format), 0.5, "0.5 %", {"x": 0.5}),
        (P_VALUE, 0.0004, "< 0.001", {"x": 0.0004}),
        (INTERVAL, (-0.001, 2.0), "+0.00 to +2.00", {"x_low": -0.001, "x_high": 2.0}),
        (MEAN, Spread(1.0, 0.5, 2), "1.00 ± 0.50", {"x": 1.0, "x_sd": 0.5, "x_n": 2}),
        (
            *(GAIN, gain, "+1.25 ± 0.35 (+5.0 %, n 2)"),
            {"x": 1.25, "x_sd": gain.difference.sd, "x_n": 2, "x_pct": 5.0},
        ),
    ):
        column = Column("x", "x", kind, lambda row: row.ours)
        table = Table("t", (column,), [Row("a", 1, value), Row("a", 1, None)])
        assert [row[0] for row in table.grid().rows] == [written, "-"]
        known, nothing = table.csv_rows()
        assert known == cells
        assert nothing.keys() == cells.keys()
        assert set(nothing.values()) <= {None, 0}


def test_decimals_are_the_metrics():
    for metric, written in (("loss", "0.123"), ("wer_pct", "0.12")):
        row = Row("a", 1, Spread(0.1234, None, 1), metric)
        assert Table("t", (Column("ours", "x", MEAN),), [row]).grid().rows == [(written,)]
