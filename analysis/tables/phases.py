"""Every test figure after every phase of every arm."""

from collections.abc import Iterator

from analysis.groups import Group
from analysis.table import Column, Table
from analysis.tables.notes import beneath, title
from analysis.tables.rows import ARM, CONDITION, METRIC, NAMED, SPLIT, Row, ours
from analysis.words import metric_name, phase_name


def table(group: Group) -> Table[Row]:
    """Returns the recipe's metric in words, all metrics in the CSV."""
    metric = group.first.metric
    masks = {row.arm: row.phase.mask for row in _rows(group) if row.phase and row.phase.sparsity}
    columns = (
        *CONDITION,
        ARM,
        NAMED,
        Column[Row]("", "mask", lambda row: masks.get(row.arm)),
        Column[Row]("phase", None, lambda row: row.phase and row.phase.name),
        Column[Row]("round", None, _round),
        *(phase_column(name) for name in ("mask", "epochs", "lr", "sparsity")),
        SPLIT,
        METRIC,
        ours("test", "after {}"),
    )
    return Table(
        f"{title(group)}: {metric_name(metric)} after every phase",
        columns,
        [*_rows(group)],
        beneath(group),
        line=lambda row: (row.arm, row.split),
        across=_after,
        in_words=lambda row: row.metric == metric,
    )


def phase_column(name: str) -> Column[Row]:
    """Returns a CSV column of what the record says of a row's phase."""
    return Column(name, None, lambda row: row.phase and getattr(row.phase, name))


def _rows(group: Group) -> Iterator[Row]:
    for arm, runs in group.arms.items():
        path = ""
        for phase in next(iter(runs.values())).record.phases:
            path = f"{path}/{phase.folder}".strip("/")
            for split, figures in phase.test.items():
                for metric in figures:
                    yield Row(group, split, metric, arm, path, phase=phase)


def _round(row: Row) -> int:
    folders = row.path.split("/")
    return folders.count(folders[-1])


def _after(row: Row) -> str:
    name = phase_name(row.phase.name) if row.phase else ""
    return f"{name}, round {_round(row)}" if _round(row) > 1 else name
