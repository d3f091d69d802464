"""The paper's tables 2 to 4 and its CIFAR-10 appendix beside ours, step by step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from analysis.groups import Gain, Group
from analysis.paper import GAINS, PLAN, doubts
from analysis.results import Results
from analysis.statistics import Spread
from analysis.table import GAIN, SPREAD, Column, Table
from analysis.tables.notes import beneath
from analysis.tables.rows import ALL_OF_PAPER, CONDITION, METRIC, PATH, ROW, SEEDS, Row, at
from analysis.tables.table1 import FIGURES, misprints
from analysis.words import capital, metric_name

TOP1, TOP5 = "top1_error_pct", "top5_error_pct"
SPLIT = "test"
PATHS = {  # row -> the phases that lead to it; the paper's two names for one step are both here
    "baseline": "dense",
    "sparse": "dense/sparse",
    "dsd_sparse": "dense/sparse",
    "dsd": "dense/sparse/redense",
    "llr": "dense/llr",
    "finetune_first_half": "dense/sparse-unmasked",
    "finetune_second_half": "dense/sparse-unmasked/redense",
    "random_first_half": "dense/sparse-random",
    "random_second_half": "dense/sparse-random/redense",
    "sparse_second_half": "dense/sparse/redense-masked",
}
PLAN_NAMES = dict(zip(PLAN, ("sparsity (%)", "epochs", "rate"), strict=True))
NOTES = (
    "Sparsity, epochs and rate: the paper's. finetune, random and sparse: the epochs and rates of "
    "both phases of dsd; the paper has no random mask.",
    "Improvement: the baseline less dsd; ours is paired over the seeds.",
)
Plans = Mapping[str, Mapping[str, str]]  # row -> its cells as the paper prints them


class Printed(NamedTuple):
    """One network of one of the tables: its page, its file in results/paper/ and its columns."""

    page: str
    title: str
    file: str
    column: str | None = None
    metrics: tuple[str, ...] = (TOP1, TOP5)


TABLES = (
    Printed("table2", "Table 2: GoogLeNet on ImageNet", "table2_googlenet"),
    Printed("table3", "Table 3: VGG-16 on ImageNet", "table3_vgg16"),
    Printed("table4", "Table 4: ResNet-18 on ImageNet", "table4_resnet", "resnet18"),
    Printed("table4", "Table 4: ResNet-50 on ImageNet", "table4_resnet", "resnet50"),
    Printed(
        *("appendix", "Appendix: ResNet-20 on CIFAR-10", "appendix_cifar10_resnet20"),
        metrics=(TOP1,),
    ),
)


def tables(results: Results, one: Printed) -> list[Table]:
    """Returns a table beside each group of its recipe, or alone where nobody ran it."""
    mine = at(results.beside, one.file, one.column)
    return [_table(results, one, group) for group in mine]


def _table(results: Results, one: Printed, group: Group | None) -> Table:
    plans = {row["row"]: row for row in results.paper.rows(one.file)}
    figures = results.paper.figures
    published = {metric: figures(one.file, one.column, metric) for metric in one.metrics}
    rows = [
        Row(group, SPLIT, metric, path=PATHS.get(row, ""), row=row, published=published[metric])
        for row in (*_steps(plans), *GAINS)
        for metric in one.metrics
    ]
    columns = (
        *(Column("table", value=lambda row: one.title), ROW, PATH, METRIC),
        *(*steps_columns(plans), Column("paper", None, ALL_OF_PAPER)),
        *(_planned(f"paper_{key}", None, key, plans) for key in PLAN),
        *(*CONDITION, SEEDS, Column("ours", None, SPREAD)),
        Column("dsd_gain_over_row", None, GAIN, _gain),
    )
    notes = [*NOTES]
    for metric in one.metrics:
        shown = {key: published[metric][key].printed for key in FIGURES}
        notes += misprints(one.title.partition(": ")[2], shown, metric)
    notes += map(capital, doubts(published[one.metrics[0]]))
    notes += beneath(group) if group else ()
    return steps_table(one.title, columns, rows, notes, lambda row: metric_name(row.metric))


def steps_table(
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    notes: Sequence[str],
    across: Callable[[Row], str],
) -> Table:
    """Returns a table of the paper's steps; the improvements beneath them are in words alone."""
    return Table(
        *(title, columns, rows, notes),
        line=lambda row: row.row,
        across=across,
        in_csv=lambda row: row.row not in GAINS,
    )


def steps_columns(plans: Plans) -> list[Column]:
    """Returns the columns in words: a step's name, its sparsity, epochs and rate, the figures."""
    return [
        Column(header="", value=lambda row: GAINS.get(row.row, row.row.replace("_", " "))),
        *(_planned("", words, key, plans) for key, words in PLAN_NAMES.items()),
        Column("", "paper: {}", ALL_OF_PAPER, lambda row: row.paper),
        Column("", "ours: {}", SPREAD, _ours),
    ]


def _ours(row: Row) -> Spread | None:
    """Returns our figure of a row; of the improvements, dsd's gain over the baseline."""
    if row.row not in GAINS:
        return row.ours
    gain = row.group.gain("dsd", "baseline", row.split, row.metric) if row.group else None
    if gain is None or row.row == "improve_abs":
        return gain.difference if gain else None
    return Spread(gain.relative_pct, None, gain.difference.n)


def _gain(row: Row) -> Gain | None:
    """Returns dsd's gain over the arm that ends with a row, None where none does."""
    for arm in row.group.arms if row.group else ():
        if row.group and row.group.end(arm) == row.path:
            return row.group.gain("dsd", arm, row.split, row.metric)
    return None


def _planned(name: str, header: str | None, key: str, plans: Plans) -> Column:
    return Column(name, header, value=lambda row: plans.get(row.row, {}).get(key))


def _steps(printed: Iterable[str]) -> list[str]:
    """Returns the paper's rows, then those of our controls that lead where none of these does."""
    rows = [row for row in printed if row in PATHS]
    reached = [PATHS[row] for row in rows]
    return [*rows, *(row for row, path in PATHS.items() if path not in reached)]
