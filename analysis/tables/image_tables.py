"""The paper's tables 2 to 4 and its CIFAR-10 appendix beside ours, step by step."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from analysis import paper
from analysis.grid import Grid, cells, mean_sd, metric_name
from analysis.paper_files import PLAN
from analysis.records import Gain, Group, spread
from analysis.steps import steps
from analysis.tables.conditions import beneath, condition
from analysis.tables.paper_table import at, by_metric, figure
from analysis.tables.table1 import FIGURES, misprints
from dsd.errors import UserError
from dsd.suite.folder import Suite

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
ENDS = {  # row -> the arm that ends with it, with which dsd is compared
    "baseline": "baseline",
    "llr": "llr",
    "finetune_second_half": "finetune",
    "random_second_half": "random",
    "sparse_second_half": "sparse",
}
GAINS = {"improve_abs": "improvement", "improve_rel_pct": "improvement (%)"}
PLAN_NAMES = ("sparsity (%)", "epochs", "rate")


@dataclass(frozen=True)
class Table:
    """One network of one of the tables: its page, its file in results/paper/ and its columns."""

    page: str
    title: str
    name: str
    column: str | None = None
    metrics: tuple[str, ...] = (TOP1, TOP5)


TABLES = (
    Table("table2", "Table 2: GoogLeNet on ImageNet", "table2_googlenet"),
    Table("table3", "Table 3: VGG-16 on ImageNet", "table3_vgg16"),
    Table("table4", "Table 4: ResNet-18 on ImageNet", "table4_resnet", "resnet18"),
    Table("table4", "Table 4: ResNet-50 on ImageNet", "table4_resnet", "resnet50"),
    Table(
        "appendix",
        "Appendix: ResNet-20 on CIFAR-10",
        "appendix_cifar10_resnet20",
        metrics=(TOP1,),
    ),
)


def grids(suite: Suite, table: Table, beside: Iterable[Group]) -> list[Grid]:
    """Returns the table beside each group of its recipe, or alone where nobody ran it.

    `beside`: the groups that were run under the paper's conditions. Raises UserError when the
    paper's file is missing or damaged.
    """
    return [_grid(suite, table, group) for group in _ours(table, beside)]


def csv_rows(suite: Suite, table: Table, beside: Iterable[Group]) -> Iterator[dict[str, Any]]:
    """Yields the figures as numbers; dsd_gain_over_row is paired over the seeds."""
    printed, published = _printed(suite, table), _published(suite, table)
    for group in _ours(table, beside):
        for row in _steps(printed):
            for metric in table.metrics:
                papers = published[metric].get(row)
                found = _values(group, row, metric)
                gain = _gain(group, ENDS.get(row), metric)
                yield {
                    "table": table.title,
                    "row": row,
                    "path": PATHS[row],
                    "metric": metric,
                    "paper": papers and papers.value,
                    "paper_sd": papers and papers.sd,
                    "paper_runs": papers and papers.runs,
                    "paper_confidence": papers and papers.confidence,
                    **{f"paper_{key}": printed.get(row, {}).get(key) for key in PLAN},
                    **condition(group),
                    "seeds": " ".join(map(str, found)),
                    **cells("ours", spread(found.values()) if found else None),
                    **cells("dsd_gain_over_row", gain and gain.difference),
                    "dsd_gain_over_row_pct": gain and gain.relative_pct,
                }


def _grid(suite: Suite, table: Table, group: Group | None) -> Grid:
    printed, published = _printed(suite, table), _published(suite, table)
    rows = []
    for row in _steps(printed):
        plan = [printed.get(row, {}).get(key) or "-" for key in PLAN]
        papers = [figure(published[metric].get(row)) for metric in table.metrics]
        found = [_values(group, row, metric) for metric in table.metrics]
        ours = [mean_sd(spread(one.values()) if one else None) for one in found]
        rows.append((row.replace("_", " "), *plan, *papers, *ours))
    names = [_column(table, metric, printed) for metric in table.metrics]
    gains = [_gain(group, "baseline", metric) for metric in table.metrics]
    absolute = [mean_sd(gain and gain.difference) for gain in gains]
    relative = [f"{gain.relative_pct:.2f}" if gain else "not run" for gain in gains]
    for row, ours in (("improve_abs", absolute), ("improve_rel_pct", relative)):
        papers = [
            printed[row][name] + ("" if published[metric][row].seen else "†")
            for metric, name in zip(table.metrics, names, strict=True)
        ]
        rows.append((GAINS[row], "-", "-", "-", *papers, *ours))
    metrics = [metric_name(metric) for metric in table.metrics]
    header = ("", *PLAN_NAMES, *(f"{whose}: {m}" for whose in ("paper", "ours") for m in metrics))
    notes = [
        "Sparsity, epochs and rate: the paper's. finetune, random and sparse: the epochs and rates "
        "of both phases of dsd; the paper has no random mask.",
        "Improvement: the baseline less dsd; ours is paired over the seeds.",
    ]
    for metric, name in zip(table.metrics, names, strict=True):
        notes += misprints(
            table.title.partition(": ")[2], {key: printed[key][name] for key in FIGURES}, metric
        )
    notes += [f"The paper's {row.replace('_', ' ')}: {said}" for row, said in _doubts(printed)]
    return Grid(table.title, header, rows, (*notes, *(beneath(group) if group else ())))


def _ours(table: Table, beside: Iterable[Group]) -> list[Group | None]:
    found: list[Group | None] = [*at(beside, table.name, table.column)]
    return found or [None]


def _printed(suite: Suite, table: Table) -> dict[str, dict[str, str]]:
    """Returns {row: its cells} as the paper prints them, all rows that must be there."""
    folder = suite.root / "results" / "paper"
    rows = {row.get("row", ""): row for row in paper.read(folder, table.name)}
    wrong = [row for row in FIGURES if row not in rows]
    wrong += [row for row in rows if row not in (*PATHS, *GAINS)]
    if wrong:
        raise UserError(
            f"{folder / table.name}.csv: row {wrong[0]!r} is missing or not known; restore the file"
        )
    return rows


def _published(suite: Suite, table: Table) -> dict[str, dict[str, paper.Figure]]:
    """Returns {metric: {row: figure}} of the paper."""
    folder = suite.root / "results" / "paper"
    rows_of = {row: row for row in (*PATHS, *GAINS)}
    return {
        metric: paper.figures(folder, table.name, table.column, metric, rows_of=rows_of)[1]
        for metric in table.metrics
    }


def _column(table: Table, metric: str, printed: dict[str, dict[str, str]]) -> str:
    """Returns the name of a metric's column; paper.figures has found it before."""
    prefix = f"{table.column}_" if table.column else "mean_"
    return next(name for name in printed["dsd"] if name.removeprefix(prefix) == metric)


def _steps(printed: Iterable[str]) -> list[str]:
    """Returns the paper's rows, then those of our controls that lead where none of these does."""
    rows = [row for row in printed if row in PATHS]
    reached = [PATHS[row] for row in rows]
    return [*rows, *(row for row, path in PATHS.items() if path not in reached)]


def _values(group: Group | None, row: str, metric: str) -> dict[int, float]:
    """Returns {seed: figure} after the step that a row stands for, empty where it was not run."""
    step = steps(group).get(PATHS[row]) if group else None
    tests = step.tests if step else {}
    return {
        seed: figures[SPLIT][metric]
        for seed, figures in tests.items()
        if metric in figures.get(SPLIT, {})
    }


def _gain(group: Group | None, over: str | None, metric: str) -> Gain | None:
    return by_metric(group, metric).gain("dsd", over, SPLIT) if group and over else None


def _doubts(printed: dict[str, dict[str, str]]) -> list[tuple[str, str]]:
    """Returns (row, what is known of it) where that is more than seen or not."""
    told = [(row, cells["confidence"]) for row, cells in printed.items()]
    return [(row, said) for row, said in told if said not in ("seen", "unverified")]
