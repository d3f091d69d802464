"""Every test figure after every phase of every arm."""

from analysis.groups import Group
from analysis.table import SPREAD, Column, Table
from analysis.tables.notes import beneath, title
from analysis.tables.rows import ARM, METRIC, NAMED, SPLIT, WHERE, Row, on_phase, steps
from analysis.words import metric_name, phase_name


def table(group: Group) -> Table:
    """Returns the recipe's metric in words, all metrics in the CSV."""
    metric = group.first.metric
    rows = [
        Row(group, split, metric, arm, path, phase=phase)
        for arm, path, phase in steps(group)
        for split, figures in phase.test.items()
        for metric in figures
    ]
    masks = {arm: phase.mask for arm, _, phase in steps(group) if phase.sparsity}
    columns = (
        *(WHERE, ARM, NAMED),  # the notes are in other_conditions.csv, once for an arm
        Column(header="mask", value=lambda row: masks.get(row.arm)),
        Column("phase", value=lambda row: row.phase.name),
        Column("round", value=_round),
        *on_phase("mask", "epochs", "lr", "sparsity"),
        *(SPLIT, METRIC, Column("test", "after {}", SPREAD, lambda row: row.ours)),
    )
    return Table(
        f"{title(group)}: {metric_name(metric)} after every phase",
        *(columns, rows, beneath(group)),
        line=lambda row: (row.arm, row.split),
        across=_after,
        in_words=lambda row: row.metric == metric,
    )


def _round(row: Row) -> int:
    folders = row.path.split("/")
    return folders.count(folders[-1])


def _after(row: Row) -> str:
    name = phase_name(row.phase.name) if row.phase else ""
    return f"{name}, round {_round(row)}" if _round(row) > 1 else name
