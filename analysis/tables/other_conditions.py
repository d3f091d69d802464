"""Runs under other conditions than the paper's: a table each, and for README a line each."""

from analysis.arms import USUAL, ordered
from analysis.groups import Group
from analysis.results import Results
from analysis.scales import scale, words
from analysis.table import SPREAD, Column, Kind, Table
from analysis.tables.notes import beneath, title
from analysis.tables.rows import ARM, CONDITION, METRIC, NAMED, SEEDS, SPLIT, Row, gains
from analysis.words import metric_name, plus_minus, split_name


def table(results: Results, group: Group) -> Table:
    """Returns the arms' last figures and gains, and why they are apart from the paper's."""
    why = results.why(group)
    metric = group.first.metric
    rows = [Row(group, split, metric, arm) for arm in group.arms for split in group.splits]
    ours = Column("ours", metric_name(metric), SPREAD)
    columns = (*CONDITION, METRIC, SPLIT, ARM, NAMED, SEEDS, ours, *gains())
    if not results.of_paper:
        corpus = f"Corpus: {group.first.corpus.get('name')}."
        return Table(title(group), columns, rows, (corpus, *beneath(group)))
    apart = f"Not beside the paper's figures: {'; '.join(why)}."
    return Table(title(group), columns, rows, (apart, *beneath(group, why)))


def overview(results: Results) -> Table:
    """Returns a line for each condition and test set, but for sweeps, which are on their page."""
    apart = [group for group in results.apart if not group.first.overrides]
    arms = ordered({*USUAL, *(arm for group in apart for arm in group.arms)})
    rows = [
        Row(group, split, group.first.metric, arm)
        for group in apart
        for split in group.splits
        for arm in arms
    ]

    def why(row: Row) -> str:
        found = results.why(row.group) if row.group else []
        more = [reason for reason in found if row.group and reason != scale(row.group.first)]
        return "; ".join(more or found)

    def seeds(row: Row) -> str:
        counts = sorted({len(runs) for runs in row.group.arms.values()} if row.group else ())
        return " to ".join(map(str, counts[:1] + counts[1:][-1:]))

    columns = (
        Column(header="", value=lambda row: row.group.first.title),
        Column(header="corpus", value=lambda row: row.group.first.corpus.get("name")),
        Column(header="scale", value=lambda row: words(row.group.first)),
        Column(header="test set", value=lambda row: split_name(row.split)),
        Column(header="metric", value=lambda row: metric_name(row.metric)),
        Column(header="seeds", value=seeds),
        Column(
            header="{}",
            value=lambda row: row.ours,
            kind=Kind(lambda value, n: plus_minus(value, n) if value else "not run"),
        ),
        *gains("dsd's gain over {}", of="dsd"),
        *([Column(header="why apart", value=why)] if results.of_paper else []),
    )
    name = "Under other conditions" if results.of_paper else "The last figures of every arm"
    return Table(
        *(name, columns, rows),
        line=lambda row: (id(row.group), row.split),
        across=lambda row: row.arm,
    )
