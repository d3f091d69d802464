"""Runs under other conditions than the paper's: a table each, and for README a line each."""

from analysis.arms import USUAL, ordered
from analysis.groups import Group
from analysis.results import Results
from analysis.statistics import Spread
from analysis.table import Column, Kind, Table, spread_cells
from analysis.tables.notes import beneath, title
from analysis.tables.rows import ARM, CONDITION, METRIC, NAMED, SEEDS, SPLIT, Row, gains, ours
from analysis.words import metric_name, plus_minus, split_name


def table(results: Results, group: Group) -> Table[Row]:
    """Returns the arms' last figures and gains, and why they are apart from the paper's."""
    why = results.why(group)
    metric = group.first.metric
    rows = [Row(group, split, metric, arm) for arm in group.arms for split in group.splits]
    columns = (*CONDITION, METRIC, SPLIT, ARM, NAMED, SEEDS, ours(header="{}"), *gains())
    apart = f"Not beside the paper's figures: {'; '.join(why)}."
    return Table(
        title(group),
        columns,
        rows,
        (apart, *beneath(group, why)),
        across=lambda row: metric_name(row.metric),
    )


def overview(results: Results) -> Table[Row]:
    """Returns a line for each condition and test set, but for sweeps, which are on their page."""
    apart = [group for group in results.apart if not group.first.overrides]
    rows = [
        Row(group, split, group.first.metric, arm)
        for group in apart
        for split in group.splits
        for arm in ordered({*USUAL, *(arm for other in apart for arm in other.arms)})
    ]

    def why(row: Row) -> str:
        found = results.why(row.group) if row.group else []
        scale = f"scale {row.group.first.scale}" if row.group else ""
        return "; ".join([one for one in found if one != scale] or found)

    def seeds(row: Row) -> str:
        counts = sorted({len(runs) for runs in row.group.arms.values()} if row.group else ())
        return " to ".join(map(str, counts[:1] + counts[1:][-1:]))

    columns = (
        Column[Row]("", "", lambda row: row.group and row.group.first.title),
        Column[Row]("", "corpus", lambda row: row.group and row.group.first.corpus.get("name")),
        Column[Row]("", "scale", lambda row: row.group and _scale(row.group)),
        Column[Row]("", "test set", lambda row: split_name(row.split)),
        Column[Row]("", "metric", lambda row: metric_name(row.metric)),
        Column[Row]("", "seeds", seeds),
        ours("", "{}", Kind(_mean, spread_cells)),
        *gains("dsd's gain over {}", of="dsd"),
        Column[Row]("", "why apart", why),
    )
    return Table(
        "Under other conditions",
        columns,
        rows,
        line=lambda row: (id(row.group), row.split),
        across=lambda row: row.arm,
    )


def _scale(group: Group) -> str:
    return " ".join([group.first.scale, *sorted(group.first.overrides)])


def _mean(found: Spread | None, decimals: int) -> str:
    return plus_minus(found, decimals) if found else "not run"
