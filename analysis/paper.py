"""The paper's figures, from results/paper/<table>.csv, each with how far it is verified."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import TypeVar

from analysis.metrics import metric as metric_of
from analysis.words import listed
from dsd.errors import UserError

Value = TypeVar("Value", float, Decimal)
ARMS = {  # row of a table -> arm; model_zoo has the arms in its columns
    "baseline": "baseline",
    "dsd": "dsd",
    "dense_2": "dsd",  # of two iterations
    "finetune_second_half": "finetune",
    "llr": "llr",
}
TESTS = {"eval92": "wsj92", "eval93": "wsj93"}  # test set -> prefix of its columns
QUOTED = "bleu4"  # of the four orders
PLAN = ("sparsity_pct", "epochs", "lr")
GAINS = {"improve_abs": "improvement", "improve_rel_pct": "improvement (%)"}  # rows, in words

ZOO = "model_zoo"
PLACES = {  # network -> the table and column that its recipe names
    "alexnet": (ZOO, "AlexNet"),
    "googlenet": ("table2_googlenet", None),
    "resnet18": ("table4_resnet", "resnet18"),
    "resnet50": ("table4_resnet", "resnet50"),
    "squeezenet": (ZOO, "SqueezeNet"),
    "vgg16": ("table3_vgg16", None),
    "neuraltalk": ("table5_neuraltalk", None),
    "deepspeech": ("table7_deepspeech", None),
    "deepspeech2": ("table9_deepspeech2", None),
}

# What each file must hold: its columns, before "confidence", and what is in the first of them.
_PLAN, _GAINS, _ERRORS = " ".join(PLAN), " ".join(GAINS), "top1_error_pct top5_error_pct"
_IMAGES = f"baseline sparse dsd llr {_GAINS}"
_SPEECH = f"dense_0 sparse_1 dense_1 sparse_2 dense_2 baseline {_GAINS}"
FILES = {
    "appendix_cifar10_resnet20": (
        f"row mean_top1_error_pct sd_pct runs {_PLAN}",
        f"baseline finetune_first_half finetune_second_half dsd_sparse dsd {_GAINS}",
    ),
    ZOO: (
        "network " + " ".join(f"{a}_top{k}_error_pct" for a in ("baseline", "dsd") for k in (1, 5)),
        "AlexNet VGG16 GoogleNet SqueezeNet ResNet18 ResNet50",
    ),
    "table1_overview": (
        f"network domain dataset type metric baseline dsd {_GAINS}",
        "GoogLeNet VGG-16 ResNet-18 ResNet-50 NeuralTalk DeepSpeech DeepSpeech-2",
    ),
    "table2_googlenet": (f"row {_ERRORS} {_PLAN}", _IMAGES),
    "table3_vgg16": (f"row {_ERRORS} {_PLAN}", _IMAGES),
    "table4_resnet": (
        "row "
        + " ".join(f"resnet{d}_top{k}_error_pct" for d in (18, 50) for k in (1, 5))
        + f" {_PLAN}",
        _IMAGES,
    ),
    "table5_neuraltalk": (f"row bleu1 bleu2 bleu3 bleu4 {_PLAN}", f"baseline sparse dsd {_GAINS}"),
    "table6_deepspeech_architecture": ("layer type parameters", "0 1 2 3 4 5"),
    "table7_deepspeech": (f"row wsj92_wer_pct wsj93_wer_pct {_PLAN}", _SPEECH),
    "table8_deepspeech2_architecture": ("layer type parameters", "0 1 2 3 4 5 6 7 8 9 10"),
    "table9_deepspeech2": (f"row wsj92_wer_pct wsj93_wer_pct {_PLAN}", _SPEECH),
}
WORDS = {"row", "network", "layer", "domain", "dataset", "type", "metric", "confidence"}
COLUMN = re.compile(r"((?P<of>\w+?)_)?(?P<metric>top[15]_error_pct|wer_pct|bleu[1-4])")


@dataclass(frozen=True)
class Figure:
    """One published figure; `printed`: as the paper writes it."""

    printed: str
    confidence: str  # "seen", "unverified", or in words what of it was seen
    sd: float | None = None
    runs: int | None = None

    @property
    def value(self) -> float:
        """Returns the figure as a number."""
        return float(self.printed)

    @property
    def seen(self) -> bool:
        """Returns whether the value was read in a copy of the paper."""
        return self.confidence.startswith(("seen", "mean seen"))

    @property
    def sd_seen(self) -> bool:
        """Returns whether the standard deviation was read in a copy of the paper."""
        return self.confidence.startswith("seen")


@dataclass(frozen=True)
class Paper:
    """All of the paper's tables, as they are in their files: `load` checks them."""

    folder: Path
    tables: Mapping[str, list[dict[str, str]]]

    def rows(self, table: str) -> list[dict[str, str]]:
        """Returns a table's rows. Raises UserError where a recipe names one that there is not."""
        if table not in self.tables:
            raise UserError(f"{self.folder / table}.csv: missing; name another table in the recipe")
        return self.tables[table]

    def figures(
        self, table: str, column: str | None, metric: str, split: str = ""
    ) -> dict[str, Figure]:
        """Returns {row: figure} of one network and metric; {arm: figure} of the model zoo.

        `column` prefixes the columns of a table on several networks; in model_zoo it names the row.
        `split` picks the columns of a table on several test sets. Raises UserError that names the
        file.
        """
        known, place = self._places(table), column or TESTS.get(split, "")
        if (place, metric) not in known:
            there = ", ".join(" ".join(filter(None, one)) for one in known)
            raise UserError(
                f"{self.folder / table}.csv: no column holds {metric} of "
                f"{column or split or 'the recipe'}; there are {there}"
            )
        return known[place, metric]

    def of_arms(
        self, table: str, column: str | None, metric: str | None, split: str = ""
    ) -> tuple[str, dict[str, Figure]]:
        """Returns the metric and {arm: figure}, for the arms that the paper has.

        Without a metric it is BLEU-4 or the table's first. Raises UserError as `figures` does.
        """
        place = column or TESTS.get(split, "")
        metrics = [metric for known, metric in self._places(table) if known == place]
        metric = metric or (QUOTED if QUOTED in metrics else next(iter(metrics), "a metric"))
        found = self.figures(table, column, metric, split)
        return metric, {ARMS[row]: figure for row, figure in found.items() if row in ARMS}

    def test_sets(self, table: str) -> list[str]:
        """Returns the test sets that have columns of their own, [""] where there is one alone."""
        places = {place for place, _ in self._places(table)}
        return [split for split, test in TESTS.items() if test in places] or [""]

    def _places(self, table: str) -> dict[tuple[str, str], dict[str, Figure]]:
        """Returns {(network or test set, metric): {row: figure}}; "" where there is one alone."""
        found: dict[tuple[str, str], dict[str, Figure]] = {}
        for row in self.rows(table):
            for name, printed in row.items():
                if column := COLUMN.fullmatch(name):
                    prefix = (column["of"] or "").replace("mean", "")
                    of, place = row.get("row", prefix), row.get("network", prefix)
                    sd, runs = row.get("sd_pct"), row.get("runs")
                    more = float(sd) if sd else None, int(runs) if runs else None
                    key = place, column["metric"]
                    found.setdefault(key, {})[of] = Figure(printed, row["confidence"], *more)
        return found


def place(network: str) -> tuple[str, str | None]:
    """Returns the table and column of a network; "ResNet-18" and "ResNet18" are the same."""
    return PLACES[network.lower().replace("-", "")]


def load(root: Path) -> Paper:
    """Reads the paper's tables in a suite's folder.

    Raises UserError that names the file where one is missing or damaged.
    """
    folder = root / "results" / "paper"
    return Paper(folder, {table: _read(folder / f"{table}.csv", *FILES[table]) for table in FILES})


def gain(baseline: Value, dsd: Value, metric: str) -> Value:
    """Returns by how much DSD is better than the baseline; BLEU rises, error rates fall."""
    return baseline - dsd if metric_of(metric).lower_is_better else dsd - baseline


def doubts(figures: Mapping[str, Figure]) -> list[str]:
    """Returns what is known of the paper's figures where it is more than seen or not."""
    names: dict[str, list[str]] = {}
    for name, figure in figures.items():
        names.setdefault(figure.confidence, []).append(name.replace("_", " "))
    return [
        f"the paper's {listed(of)}: {said}"
        for said, of in names.items()
        if said not in ("seen", "unverified")
    ]


def _read(path: Path, columns: str, names: str) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows or [*rows[0]] != [*columns.split(), "confidence"]:
            raise ValueError(f"its columns are not {', '.join(columns.split())}, confidence")
        if [next(iter(row.values())) for row in rows] != names.split():
            raise ValueError(f"its rows are not {', '.join(names.split())}")
        for row in rows:
            _check_row(row)
        return rows
    except FileNotFoundError:
        raise UserError(f"{path}: missing; restore it") from None
    except (OSError, ValueError) as error:  # one is raised for bytes that are no text, too
        raise UserError(f"{path}: {error}; restore the file") from None


def _check_row(row: dict[str, str]) -> None:
    """Raises ValueError where a cell is missing, or holds no number where one must be."""
    name = next(iter(row.values()))
    if None in row or None in row.values():
        raise ValueError(f"the row {name!r} has more or fewer cells than the header")
    for column, cell in row.items():
        optional = column in ("sd_pct", "runs") or (column in PLAN and name in GAINS)
        if cell == "" and optional:
            continue
        number = int if column in ("runs", "parameters") else float
        if cell == "" or (column not in WORDS and not isfinite(number(cell))):
            raise ValueError(f"the row {name!r} has {cell!r} in the column {column}")
