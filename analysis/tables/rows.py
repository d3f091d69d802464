"""What most tables have in their rows and columns: a figure of ours, and the paper's beside it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.arms import CONTROLS
from analysis.groups import Group, paired
from analysis.paper import Figure
from analysis.statistics import Spread, spread, t_interval
from analysis.table import GAIN, SPREAD, TEXT, Column, Kind
from analysis.words import NOTHING, split_name
from dsd.runs.phase_file import PhaseRecord


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
    def seeds(self) -> str:
        """Returns the seeds that were run."""
        return " ".join(map(str, self.values))

    @property
    def ours(self) -> Spread | None:
        """Returns the mean over them."""
        return spread([*self.values.values()]) if self.values else None

    @property
    def dsd_minus_row(self) -> tuple[float, ...]:
        """Returns dsd's last figures less these, of the seeds of both; none for dsd's own."""
        if self.group is None or (self.path or self.group.end(self.arm)) == self.group.end("dsd"):
            return ()
        ours = self.group.values("dsd", self.split, self.metric)
        if self.arm and not self.path:
            return paired(ours, self.group.opposite("dsd", self.arm, self.split, self.metric))
        return paired(ours, self.values)


def steps(group: Group) -> Iterator[tuple[str, str, PhaseRecord]]:
    """Yields (arm, path, its last phase) of every phase of every arm."""
    for arm, runs in group.arms.items():
        path = ""
        for phase in next(iter(runs.values())).record.phases:
            path = f"{path}/{phase.folder}".strip("/")
            yield arm, path, phase


def at(found: Iterable[Group], table: str, column: str | None) -> list[Group | None]:
    """Returns the groups whose recipe has its figures in one place of the paper; [None]: none."""
    mine = [g for g in found if (g.first.table, g.first.column) == (table, column)]
    return list(mine) if mine else [None]


def _where(_: str, group: Any) -> dict[str, object]:
    """Returns the CSV columns that say which runs these are, empty for none."""
    if group is None:
        return dict.fromkeys(("recipe", "scale", "changed", "corpus"))
    record = group.first
    changed = " ".join(sorted(record.overrides))
    where = {"recipe": record.recipe, "scale": record.scale, "changed": changed}
    return where | {"corpus": record.corpus.get("name")}


def printed(figure: Figure | None, _: int = 0) -> str:
    """Writes a figure as the paper does, "7.89 ± 0.03† (n 16)"; "-" for None."""
    if figure is None:
        return NOTHING
    sd = "" if figure.sd is None else f" ± {figure.sd:.2f}{'' if figure.sd_seen else '†'}"
    n = f" (n {figure.runs})" if figure.runs else ""
    return f"{figure.printed}{'' if figure.seen else '†'}{sd}{n}"


def _paper(*keys: str) -> Kind:
    """Returns the kind of the paper's figures, of which the CSV has the value and more."""
    return Kind(
        printed,
        lambda name, figure: (
            {name: figure and figure.value}
            | {f"{name}_{key}": figure and getattr(figure, key) for key in keys}
        ),
    )


def _interval(row: Row, end: int) -> float | None:
    found = t_interval(row.dsd_minus_row) if row.dsd_minus_row else None
    return found[end] if found else None


PAPER, ALL_OF_PAPER = _paper("confidence"), _paper("sd", "runs", "confidence")
WHERE = Column("group", kind=TEXT._replace(cells=_where))
NOTES = Column("notes", value=lambda row: "; ".join(row.group.notes) if row.group else None)
CONDITION = (WHERE, NOTES)
METRIC, SPLIT, ARM, SEEDS = (Column(name) for name in ("metric", "split", "arm", "seeds"))
PATH, ROW = Column("path"), Column("row")
NAMED = Column(  # in words: the arm, and the test set where there are several
    header="arm",
    value=lambda row: row.arm + (f", {split_name(row.split)}" if len(row.group.splits) > 1 else ""),
)
DSD_MINUS = (  # and the interval's ends
    Column(
        *("dsd_minus_row", None, SPREAD),
        lambda row: spread(row.dsd_minus_row) if row.dsd_minus_row else None,
    ),
    Column("low", value=lambda row: _interval(row, 0)),
    Column("high", value=lambda row: _interval(row, 1)),
)


def gains(header: str | None = "gain over {}", of: str = "") -> list[Column]:
    """Returns the columns of an arm's gains over the controls; `of`: this arm's, in words alone."""

    def column(over: str) -> Column:
        return Column(
            "" if of else f"gain_over_{over}",
            header and header.format(over),
            GAIN,
            lambda row: row.group and row.group.gain(of or row.arm, over, row.split, row.metric),
        )

    return [column(over) for over in CONTROLS]


def on_phase(*names: str) -> list[Column]:
    """Returns CSV columns of what the record says of a row's phase."""

    def column(name: str) -> Column:
        return Column(name, value=lambda row: row.phase and getattr(row.phase, name))

    return [column(name) for name in names]
