"""The paper's overviews, table 1 and the model zoo, beside ours."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import product
from pathlib import Path
from typing import Any

from analysis import paper
from analysis.grid import Grid, cells, mean_sd, metric_name, split_name
from analysis.records import Gain, Group, Spread, spread
from analysis.tables import paper_table
from analysis.tables.conditions import condition, made
from analysis.tables.paper_table import at, by_metric
from dsd.errors import UserError
from dsd.suite.folder import Suite

TABLE = "table1_overview"
PLACES = {  # network -> the table and column that its recipe names
    "alexnet": ("model_zoo", "AlexNet"),
    "googlenet": ("table2_googlenet", None),
    "resnet18": ("table4_resnet", "resnet18"),
    "resnet50": ("table4_resnet", "resnet50"),
    "squeezenet": ("model_zoo", "SqueezeNet"),
    "vgg16": ("table3_vgg16", None),
    "neuraltalk": ("table5_neuraltalk", None),
    "deepspeech": ("table7_deepspeech", None),
    "deepspeech2": ("table9_deepspeech2", None),
}
ZOO = "model_zoo"
KIND = ("network", "domain", "dataset", "type")
FIGURES = ("baseline", "dsd", "improve_abs", "improve_rel_pct")
SPLITS = {prefix: split for split, prefix in paper.TESTS.items()}  # wsj93 -> eval93


@dataclass(frozen=True)
class Line:
    """A row of the table, and our runs on one of its test sets where there are any."""

    row: Mapping[str, str]  # as the paper prints it
    dataset: str  # and the beam, where ours was scored with several
    group: Group | None
    split: str

    def ours(self, arm: str) -> Spread | None:
        """Returns our arm's final figure."""
        values = self.group.final(arm, self.split) if self.group else {}
        return spread(values.values()) if values else None

    @property
    def gain(self) -> Gain | None:
        """Returns our dsd's gain over our baseline."""
        return self.group.gain("dsd", "baseline", self.split) if self.group else None


def grid(suite: Suite, beside: Sequence[Group]) -> Grid:
    """Returns the table. `beside`: the groups that were run under the paper's conditions."""
    found = list(lines(suite, beside))
    rows: list[tuple[str, ...]] = []
    notes: dict[str, None] = {}
    for line in found:
        row, group = line.row, line.group
        mark = "" if row["confidence"].startswith("seen") else "†"
        rows.append(
            (
                *(row["network"], row["domain"], line.dataset, row["type"]),
                metric_name(row["metric"]),
                *(row[key] + mark for key in FIGURES),
                *(mean_sd(line.ours(arm)) for arm in ("baseline", "dsd")),
                mean_sd(line.gain and line.gain.difference),
                f"{line.gain.relative_pct:.1f}" if line.gain else "not run",
            )
        )
        notes |= dict.fromkeys(misprints(row["network"], row, row["metric"]))
        if group:
            notes |= dict.fromkeys(f"{row['network']}: {n}" for n in [*group.notes, made(group)])
    names = ("baseline", "DSD", "improvement", "improvement (%)")
    header = (
        *KIND,
        "metric",
        *(f"{whose}: {name}" for whose in ("paper", "ours") for name in names),
    )
    return Grid("Table 1: overview", header, rows, tuple(notes))


def csv_rows(suite: Suite, beside: Sequence[Group]) -> Iterator[dict[str, Any]]:
    """Yields the same as numbers; ours is empty where nothing ran under the paper's conditions."""
    for line in lines(suite, beside):
        gain = line.gain
        yield {
            **{key: line.row[key] for key in (*KIND, "metric")},
            **{f"paper_{key}": float(line.row[key]) for key in FIGURES},
            "paper_confidence": line.row["confidence"],
            **condition(line.group),
            "split": line.split,
            **cells("ours_baseline", line.ours("baseline")),
            **cells("ours_dsd", line.ours("dsd")),
            **cells("ours_improve_abs", gain and gain.difference),
            "ours_improve_rel_pct": gain and gain.relative_pct,
        }


def lines(suite: Suite, beside: Sequence[Group]) -> Iterator[Line]:
    """Yields the paper's rows, each once for every group and test set of ours that belong to it.

    Raises UserError when the paper's file is missing or damaged.
    """
    folder = suite.root / "results" / "paper"
    for row in paper.read(folder, TABLE):
        dataset, where = row["dataset"], place(folder / f"{TABLE}.csv", row["network"])
        wanted = SPLITS.get(dataset.lower().replace("'", ""))
        found = [
            Line(row, dataset if wanted else _with_beam(dataset, group, split), group, split)
            for group in (by_metric(group, row["metric"]) for group in at(beside, *where))
            for split in group.splits
            if wanted in (None, split)
        ]
        yield from found or [Line(row, dataset, None, wanted or "")]


def zoo(suite: Suite, beside: Sequence[Group]) -> Iterator[paper_table.Line]:
    """Yields the model zoo's lines, a network and metric each, run or not; `beside` as above."""
    folder = suite.root / "results" / "paper"
    for row in paper.read(folder, ZOO):
        network, where = row["network"], place(folder / f"{ZOO}.csv", row["network"])
        mine: list[Group | None] = [*at(beside, *where)]
        for group in mine or [None]:
            for metric in ("top1_error_pct", "top5_error_pct"):
                _, published = paper.figures(folder, ZOO, network, metric)
                recipe = group.first.recipe if group else None
                ours = by_metric(group, metric) if group else None
                yield paper_table.Line(network, recipe, metric, published, ours, "test")


def place(path: Path, network: str) -> tuple[str, str | None]:
    """Returns the table and column of a network; "ResNet-18" and "ResNet18" are the same.

    Raises UserError that names the file at `path` when no recipe trains it.
    """
    name = network.lower().replace("-", "")
    if name not in PLACES:
        raise UserError(f"{path}: no recipe trains {network!r}; restore the file")
    return PLACES[name]


def misprints(what: str, printed: Mapping[str, str], metric: str) -> list[str]:
    """Returns a note for each printed improvement that is not what the printed figures give.

    `printed`: the texts of the four FIGURES.
    """
    baseline, dsd, *improvements = (Decimal(printed[key]) for key in FIGURES)
    notes = []
    for i, unit in enumerate(("", " %")):
        found = _improvements(baseline, dsd, metric)[i].quantize(improvements[i], ROUND_HALF_UP)
        if found == improvements[i]:
            continue
        possible = [
            _improvements(*ends, metric)[i] for ends in product(_ends(baseline), _ends(dsd))
        ]
        low, high = _ends(improvements[i])
        explained = min(possible) <= high and low <= max(possible)
        notes.append(
            f"{what}, {metric_name(metric)}: the paper prints an improvement of "
            f"{improvements[i]}{unit}; its printed figures give {found}{unit}"
            + (", which their rounding explains." if explained else ", so they do not agree.")
        )
    return notes


def _improvements(baseline: Decimal, dsd: Decimal, metric: str) -> tuple[Decimal, Decimal]:
    """Returns the absolute improvement and the one in percent of the baseline."""
    gain = dsd - baseline if metric.startswith("bleu") else baseline - dsd
    return gain, 100 * gain / baseline


def _ends(printed: Decimal) -> tuple[Decimal, Decimal]:
    """Returns between which values a printed one was rounded."""
    half = Decimal(5).scaleb(int(printed.as_tuple().exponent) - 1)
    return printed - half, printed + half


def _with_beam(dataset: str, group: Group, split: str) -> str:
    return f"{dataset}, {split_name(split)}" if len(group.splits) > 1 else dataset
