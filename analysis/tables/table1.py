"""The paper's table 1, its overview, beside ours; and improvements that it misprints."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from itertools import product
from typing import NamedTuple

from analysis.groups import Gain, Group
from analysis.paper import GAINS, TESTS, Figure, gain, place
from analysis.records import once
from analysis.results import Results
from analysis.statistics import Spread
from analysis.table import SPREAD, Column, Kind, Table, text
from analysis.tables.notes import made
from analysis.tables.rows import CONDITION, METRIC, SPLIT, at, printed
from analysis.words import metric_name, split_name

TABLE = "table1_overview"
FIGURES = {"baseline": "baseline", "dsd": "DSD", **GAINS}  # in words
SPLITS = {prefix: split for split, prefix in TESTS.items()}  # wsj93 -> eval93


class Line(NamedTuple):
    """A row of the table, and our runs on one of its test sets where there are any."""

    row: Mapping[str, str]  # as the paper prints it
    group: Group | None
    split: str

    @property
    def metric(self) -> str:
        """Returns the paper's metric of this network."""
        return self.row["metric"]

    @property
    def gain(self) -> Gain | None:
        """Returns our dsd's gain over our baseline."""
        if self.group is None:
            return None
        return self.group.gain("dsd", "baseline", self.split, self.metric)

    def ours(self, arm: str) -> Spread | None:
        """Returns our arm's last figure."""
        return self.group.mean(arm, self.split, self.metric) if self.group else None


def table(results: Results) -> Table:
    """Returns the paper's rows, each once for every group and test set of ours beside it."""
    lines = [line for row in results.paper.rows(TABLE) for line in _lines(row, results)]
    columns = (
        *(_said("network"), _said("domain"), _said("dataset", None)),
        Column(header="dataset", value=_dataset),
        *(_said("type"), Column(header="metric", value=lambda line: metric_name(line.metric))),
        *(METRIC, *map(_papers, FIGURES), _said("paper_confidence", None, "confidence")),
        *(*CONDITION, SPLIT),
        Column("ours_baseline", "ours: baseline", SPREAD, lambda line: line.ours("baseline")),
        Column("ours_dsd", "ours: DSD", SPREAD, lambda line: line.ours("dsd")),
        Column("ours_improve_abs", "ours: improvement", SPREAD, _improvement),
        Column(
            *("ours_improve_rel_pct", "ours: improvement (%)", text("{:.1f}".format)),
            lambda line: line.gain and line.gain.relative_pct,
        ),
    )
    notes = []
    for line in lines:
        network = line.row["network"]
        notes += misprints(network, line.row, line.metric)
        if line.group:
            notes += [f"{network}: {note}" for note in [*line.group.notes, made(line.group)]]
    return Table("Table 1: overview", columns, lines, once(notes))


def _lines(row: Mapping[str, str], results: Results) -> list[Line]:
    wanted = SPLITS.get(row["dataset"].lower().replace("'", ""))
    return [
        Line(row, group, split)
        for group in at(results.beside, *place(row["network"]))
        for split in (group.splits if group else [wanted or ""])
        if wanted in (None, split)
    ]


def _dataset(line: Line) -> str:
    """Returns the dataset, with the beam where ours was scored with several."""
    several = line.group and len(line.group.splits) > 1 and line.split not in TESTS
    return line.row["dataset"] + (f", {split_name(line.split)}" if several else "")


def _improvement(line: Line) -> Spread | None:
    return line.gain.difference if line.gain else None


def _said(name: str, header: str | None = "", key: str = "") -> Column:
    words = name if header == "" else header
    return Column(name, words, value=lambda line: line.row[key or name])


def _papers(key: str) -> Column:
    return Column(
        *(f"paper_{key}", f"paper: {FIGURES[key]}"),
        Kind(printed, lambda name, figure: {name: figure.value}),
        lambda line: Figure(line.row[key], line.row["confidence"]),
    )


def misprints(what: str, printed: Mapping[str, str], metric: str) -> list[str]:
    """Returns a note for each printed improvement that is not what the printed figures give.

    `printed`: the texts of the four FIGURES.
    """
    baseline, dsd, *improvements = (Decimal(printed[key]) for key in FIGURES)
    possible = [
        _improvements(*ends, metric) for ends in product(_ends(baseline), _ends(dsd))
    ]  # of the figures before they were rounded
    notes = []
    for i, (stated, unit) in enumerate(zip(improvements, ("", " %"), strict=True)):
        found = _improvements(baseline, dsd, metric)[i].quantize(stated, ROUND_HALF_UP)
        low, high = _ends(stated)
        of_rounding = min(p[i] for p in possible) <= high and low <= max(p[i] for p in possible)
        if found != stated:
            notes.append(
                f"{what}, {metric_name(metric)}: the paper prints an improvement of "
                f"{stated}{unit}; its printed figures give {found}{unit}, "
                + ("which their rounding explains." if of_rounding else "so they do not agree.")
            )
    return notes


def _improvements(baseline: Decimal, dsd: Decimal, metric: str) -> tuple[Decimal, Decimal]:
    """Returns the absolute improvement and the one in percent of the baseline."""
    found = gain(baseline, dsd, metric)
    return found, 100 * found / baseline


def _ends(printed: Decimal) -> tuple[Decimal, Decimal]:
    """Returns between which values a printed one was rounded."""
    half = Decimal(5).scaleb(int(printed.as_tuple().exponent) - 1)
    return printed - half, printed + half
