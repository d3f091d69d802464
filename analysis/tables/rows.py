"""What most tables have in their rows and columns: a figure of ours, and the paper's beside it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.arms import CONTROLS
from analysis.groups import Group, paired
from analysis.metrics import metric as metric_of
from analysis.paper import Figure
from analysis.statistics import Interval, Spread, spread, t_interval
from analysis.table import GAIN, SPREAD, TEXT, Column, Kind
from analysis.words import NOTHING, split_name
from dsd.runs.record import PhaseRecord


@dataclass(frozen=True)
class Row:
    """A figure after an arm, or after a path of phases whichever arms take it, over the seeds."""

    group: Group | None  # None: nobody ran it
    split: str
    metric: str
    arm: str = ""
    path: str = ""  # of phases; of an arm by default the whole
    row: str = ""  # what the paper, or its table, calls it
    published: Mapping[str, Figure] = field(default_factory=dict)  # row -> the paper's figure
    phase: PhaseRecord | None = None  # the last of the path
    title: str = ""
    recipe: str | None = None

    @property
    def paper(self) -> Figure | None:
        """Returns the paper's figure."""
        return self.published.get(self.row)

    @property
    def values(self) -> dict[int, float]:
        """Returns {seed: figure}, {} where it was not run."""
        if self.group is None:
            return {}
        if self.arm:
            return self.group.values(self.arm, self.split, self.metric, self.path)
        return self.group.reached(self.path, self.split, self.metric)

    @property
    def ours(self) -> Spread | None:
        """Returns their mean."""
        return spread([*self.values.values()]) if self.values else None

    @property
    def dsd_minus(self) -> tuple[float, ...]:
        """Returns dsd's last figures less these, of the seeds of both; none for dsd's own."""
        if self.group is None or (self.path or self.group.end(self.arm)) == self.group.end("dsd"):
            return ()
        return paired(self.group.values("dsd", self.split, self.metric), self.values)


def _where(_: str, group: Any) -> dict[str, object]:
    """Returns the CSV columns that say which runs these are, empty for none."""
    if group is None:
        return dict.fromkeys(("recipe", "scale", "changed", "corpus"))
    record = group.first
    return {
        "recipe": record.recipe,
        "scale": record.scale,
        "changed": " ".join(sorted(record.overrides)),
        "corpus": record.corpus.get("name"),
    }


def _paper_cells(name: str, figure: Any) -> dict[str, object]:
    return {name: figure and figure.value, f"{name}_confidence": figure and figure.confidence}


def _all_paper_cells(name: str, figure: Any) -> dict[str, object]:
    value, confidence = _paper_cells(name, figure).items()
    more = {f"{name}_sd": figure and figure.sd, f"{name}_runs": figure and figure.runs}
    return dict([value, *more.items(), confidence])


def printed(figure: Figure | None, _: int = 0) -> str:
    """Writes a figure as the paper does, "7.89 ± 0.03† (n 16)"; "-" for None."""
    if figure is None:
        return NOTHING
    sd = "" if figure.sd is None else f" ± {figure.sd:.2f}{'' if figure.sd_seen else '†'}"
    n = f" (n {figure.runs})" if figure.runs else ""
    return f"{figure.printed}{'' if figure.seen else '†'}{sd}{n}"


def at(found: Iterable[Group], table: str, column: str | None) -> list[Group | None]:
    """Returns the groups whose recipe has its figures in one place of the paper; [None]: none."""
    mine = [g for g in found if (g.first.table, g.first.column) == (table, column)]
    return list(mine) if mine else [None]


def decimals(row: Any) -> int:
    """Returns how many decimals the figures of a row's metric have."""
    return metric_of(row.metric).decimals


def interval_of(row: Row) -> Interval | None:
    """Returns the 95 % interval of dsd less a row."""
    return t_interval(row.dsd_minus) if row.dsd_minus else None


PAPER = Kind(printed, _paper_cells)
ALL_OF_PAPER = Kind(printed, _all_paper_cells)  # its deviation and number of runs, too
WHERE: Column[Any] = Column("where", None, lambda row: row.group, TEXT._replace(cells=_where))
CONDITION = (
    WHERE,
    Column[Any]("notes", None, lambda row: row.group and "; ".join(row.group.notes)),
)
METRIC: Column[Any] = Column("metric", None, lambda row: row.metric)
SPLIT: Column[Any] = Column("split", None, lambda row: row.split)
ARM: Column[Any] = Column("arm", None, lambda row: row.arm)
SEEDS: Column[Row] = Column("seeds", None, lambda row: " ".join(map(str, row.values)))
DSD_MINUS = (
    Column[Row](
        "dsd_minus_row", None, lambda row: spread(row.dsd_minus) if row.dsd_minus else None, SPREAD
    ),
    Column[Row]("low", None, lambda row: (interval_of(row) or (None,))[0]),
    Column[Row]("high", None, lambda row: (interval_of(row) or (None,))[-1]),
)
NAMED: Column[Any] = Column(
    "",
    "arm",
    lambda row: (
        f"{row.arm}, {split_name(row.split)}"
        if row.group and len(row.group.splits) > 1
        else row.arm
    ),
)


def ours(name: str = "ours", header: str | None = None, kind: Kind = SPREAD) -> Column[Row]:
    """Returns the column of our figures."""
    return Column(name, header, lambda row: row.ours, kind, decimals)


def gains(header: str | None = "gain over {}", of: str = "") -> tuple[Column[Row], ...]:
    """Returns the columns of an arm's gains over the controls.

    `of`: of this arm on every row, in words alone.
    """

    def column(over: str) -> Column[Row]:
        return Column(
            "" if of else f"gain_over_{over}",
            header and header.format(over),
            lambda row: row.group and row.group.gain(of or row.arm, over, row.split, row.metric),
            GAIN,
            decimals,
        )

    return tuple(map(column, CONTROLS))
