"""The paper's tables 2 to 4 and its CIFAR-10 appendix beside ours, step by step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.groups import Group
from analysis.paper import GAINS, PLAN, Paper, doubts
from analysis.results import Results
from analysis.statistics import Spread
from analysis.table import GAIN, SPREAD, Column, Table
from analysis.tables.notes import beneath
from analysis.tables.rows import ALL_OF_PAPER, CONDITION, METRIC, SEEDS, Row, at, decimals
from analysis.tables.table1 import FIGURES, misprints
from analysis.words import metric_name

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
Plans = Mapping[str, Mapping[str, str]]  # row -> its cells as the paper prints them
PLAN_NAMES = dict(zip(PLAN, ("sparsity (%)", "epochs", "rate"), strict=True))


@dataclass(frozen=True)
class Printed:
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


def tables(results: Results, one: Printed) -> list[Table[Row]]:
    """Returns a table beside each group of its recipe, or alone where nobody ran it."""
    mine = at(results.beside, one.file, one.column)
    return [_table(results.paper, one, group) for group in mine]


def _table(paper: Paper, one: Printed, group: Group | None) -> Table[Row]:
    plans = {row["row"]: row for row in paper.rows(one.file)}
    rows_of = {row: row for row in (*PATHS, *GAINS)}
    published = {
        metric: paper.figures(one.file, one.column, metric, rows_of=rows_of)[1]
        for metric in one.metrics
    }
    rows = [
        Row(group, SPLIT, metric, path=PATHS.get(row, ""), row=row, published=published[metric])
        for row in (*_steps(plans), *GAINS)
        for metric in one.metrics
    ]

    def gain(row: Row) -> object:
        """Returns dsd's gain over the arm that ends with a row, None where none does."""
        ends = (
            [arm for arm in row.group.arms if row.group.end(arm) == row.path] if row.group else []
        )
        return row.group.gain("dsd", ends[0], SPLIT, row.metric) if row.group and ends else None

    columns = (
        Column[Row]("table", None, lambda row: one.title),
        Column[Row]("row", None, lambda row: row.row),
        Column[Row]("path", None, lambda row: row.path),
        METRIC,
        *plan_columns(plans),
        Column[Row]("paper", "paper: {}", lambda row: row.paper, ALL_OF_PAPER),
        *(_planned(f"paper_{key}", None, key, plans) for key in PLAN),
        *CONDITION,
        SEEDS,
        Column[Row]("ours", "ours: {}", ours_or_gain, SPREAD, decimals),
        Column[Row]("dsd_gain_over_row", None, gain, GAIN),
    )
    notes = [
        "Sparsity, epochs and rate: the paper's. finetune, random and sparse: the epochs and rates "
        "of both phases of dsd; the paper has no random mask.",
        "Improvement: the baseline less dsd; ours is paired over the seeds.",
    ]
    for metric in one.metrics:
        shown = {key: published[metric][key].printed for key in FIGURES}
        notes += misprints(one.title.partition(": ")[2], shown, metric)
    notes += [doubt for metric in one.metrics[:1] for doubt in doubts(published[metric])]
    return Table(
        one.title,
        columns,
        rows,
        [*notes, *(beneath(group) if group else ())],
        line=lambda row: row.row,
        across=lambda row: metric_name(row.metric),
        in_csv=lambda row: row.row in PATHS,
    )


def ours_or_gain(row: Row) -> Spread | None:
    """Returns our figure of a row; of the improvements, dsd's gain over the baseline."""
    if row.row not in GAINS:
        return row.ours
    gain = row.group.gain("dsd", "baseline", row.split, row.metric) if row.group else None
    if gain is None or row.row == "improve_abs":
        return gain.difference if gain else None
    return Spread(gain.relative_pct, None, gain.difference.n)


def plan_columns(plans: Plans) -> tuple[Column[Row], ...]:
    """Returns the columns of the paper's steps in words: name, sparsity, epochs and rate."""
    name = Column[Row]("", "", lambda row: GAINS.get(row.row, row.row.replace("_", " ")))
    return (name, *(_planned("", words, key, plans) for key, words in PLAN_NAMES.items()))


def _planned(name: str, header: str | None, key: str, plans: Plans) -> Column[Row]:
    return Column(name, header, lambda row: plans.get(row.row, {}).get(key))


def _steps(printed: Iterable[str]) -> list[str]:
    """Returns the paper's rows, then those of our controls that lead where none of these does."""
    rows = [row for row in printed if row in PATHS]
    reached = [PATHS[row] for row in rows]
    return [*rows, *(row for row, path in PATHS.items() if path not in reached)]
