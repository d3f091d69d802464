"""The paper's figures beside ours, where ours were made under its conditions; its model zoo."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from analysis.arms import USUAL, ordered
from analysis.groups import Group
from analysis.paper import ZOO, Figure, doubts, gain, place
from analysis.records import once
from analysis.results import Results
from analysis.table import SPREAD, Column, Table
from analysis.tables.notes import made
from analysis.tables.rows import ALL_OF_PAPER, ARM, METRIC, SEEDS, SPLIT, Row, at, gains
from analysis.words import metric_name, split_name

RECIPE = Column("recipe")


def table(results: Results) -> Table:
    """Returns a line for each test set of the recipes that have a row in the paper, run or not."""
    suite, paper = results.suite, results.paper
    rows: list[Row] = []
    for name in suite.recipes:
        recipe = suite.recipe(name)
        if not recipe.table:
            continue
        mine: list[Group | None] = [g for g in results.beside if g.first.recipe == name]
        for group in mine or [None]:
            splits = group.splits if group else paper.test_sets(recipe.table)
            wanted = group.first.metric if group else None
            for split in splits:
                metric, published = paper.of_arms(recipe.table, recipe.column, wanted, split)
                several = f", {split_name(split)}" if len(splits) > 1 else ""
                title = f"{recipe.title}{several}"
                rows += _arms(Row(group, split, metric, title=title, recipe=name), published)
    return _table("Under the paper's conditions", [RECIPE], rows)


def brief(results: Results) -> Table:
    """Returns the same lines with the arms that matter most, without notes."""
    arms = ("baseline", "dsd", "finetune")
    columns = [*_columns([]), *gains("our dsd's gain over {}", of="dsd")[1:]]
    return replace(table(results), columns=columns, notes=(), in_words=lambda row: row.arm in arms)


def zoo(results: Results) -> Table:
    """Returns the model zoo: a line for each network and metric, run or not."""
    rows: list[Row] = []
    for printed_row in results.paper.rows(ZOO):
        network = printed_row["network"]
        for group in at(results.beside, *place(network)):
            for metric in ("top1_error_pct", "top5_error_pct"):
                published = results.paper.figures(ZOO, network, metric)
                recipe = group.first.recipe if group else None
                row = Row(group, "test", metric, title=network, recipe=recipe)
                rows += _arms(row, published)
    first = [Column("network", value=lambda row: row.title), RECIPE]
    return _table("Model zoo, ImageNet", first, rows)


def _arms(row: Row, published: Mapping[str, Figure]) -> list[Row]:
    arms = ordered({*USUAL, *published, *(row.group.arms if row.group else ())})
    return [replace(row, arm=arm, row=arm, published=published) for arm in arms]


def _table(title: str, first: Sequence[Column], rows: Sequence[Row]) -> Table:
    """Returns rows as a table: the paper's baseline and DSD, and all arms of ours."""
    columns = (*_columns(first), *gains("our dsd's gain over {}", of="dsd"))
    notes = []
    for row in rows:
        compared = {arm: row.published[arm] for arm in ("baseline", "dsd") if arm in row.published}
        notes += [f"{row.title}, {doubt}" for doubt in doubts(compared)]
        if row.group:
            said = [*row.group.notes, made(row.group)]
            notes += [f"{row.group.first.title}: {note}" for note in said]
    return Table(
        *(title, columns, rows, once(notes)),
        line=lambda row: (row.title, row.metric, row.split, id(row.group)),
        across=lambda row: row.arm,
    )


def _columns(first: Sequence[Column]) -> tuple[Column, ...]:
    return (
        *first,
        Column(header="", value=lambda row: row.title),
        Column(header="metric", value=lambda row: metric_name(row.metric)),
        *(METRIC, SPLIT, ARM, Column("paper", None, ALL_OF_PAPER)),
        Column("", "paper: baseline", ALL_OF_PAPER, lambda row: row.published.get("baseline")),
        Column("", "paper: DSD", ALL_OF_PAPER, lambda row: row.published.get("dsd")),
        Column("", "paper: gain", value=_papers_gain),
        *(SEEDS, Column("ours", "ours: {}", SPREAD), *gains(header=None)),
    )


def _papers_gain(row: Row) -> str:
    baseline, dsd = row.published.get("baseline"), row.published.get("dsd")
    if not baseline or not dsd:
        return ""
    found = gain(baseline.value, dsd.value, row.metric)
    mark = "" if baseline.seen and dsd.seen else "†"
    return f"{found:+.2f}{mark} ({100 * found / baseline.value:+.1f} %)"
