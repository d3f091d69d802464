"""What the files of the paper's figures must hold; results/paper/ has one a table."""

from math import isfinite
from pathlib import Path

from analysis import paper
from dsd.errors import UserError

PLAN = ("sparsity_pct", "epochs", "lr")
COLUMNS = {  # of each file in results/paper/, before "confidence"
    "appendix_cifar10_resnet20": ("row", "mean_top1_error_pct", "sd_pct", "runs", *PLAN),
    "model_zoo": (
        "network",
        *(f"{arm}_top{k}_error_pct" for arm in ("baseline", "dsd") for k in (1, 5)),
    ),
    "table1_overview": (
        *("network", "domain", "dataset", "type", "metric"),
        *("baseline", "dsd", "improve_abs", "improve_rel_pct"),
    ),
    "table2_googlenet": ("row", "top1_error_pct", "top5_error_pct", *PLAN),
    "table3_vgg16": ("row", "top1_error_pct", "top5_error_pct", *PLAN),
    "table4_resnet": (
        "row",
        *(f"resnet{depth}_top{k}_error_pct" for depth in (18, 50) for k in (1, 5)),
        *PLAN,
    ),
    "table5_neuraltalk": ("row", "bleu1", "bleu2", "bleu3", "bleu4", *PLAN),
    "table6_deepspeech_architecture": ("layer", "type", "parameters"),
    "table7_deepspeech": ("row", "wsj92_wer_pct", "wsj93_wer_pct", *PLAN),
    "table8_deepspeech2_architecture": ("layer", "type", "parameters"),
    "table9_deepspeech2": ("row", "wsj92_wer_pct", "wsj93_wer_pct", *PLAN),
}
SPEECH = ("dense_0", "sparse_1", "dense_1", "sparse_2", "dense_2", "baseline")
ROWS = {  # that a table of ours cannot do without
    **dict.fromkeys(
        ("table2_googlenet", "table3_vgg16", "table4_resnet", "appendix_cifar10_resnet20"),
        ("baseline", "dsd", "improve_abs", "improve_rel_pct"),
    ),
    "table5_neuraltalk": ("baseline", "sparse", "dsd"),
    **dict.fromkeys(
        ("table7_deepspeech", "table9_deepspeech2"),
        (*SPEECH, "improve_abs", "improve_rel_pct"),
    ),
}
WORDS = {"row", "network", "layer", "domain", "dataset", "type", "metric", "confidence"}


def check(folder: Path) -> None:
    """Raises UserError that names the file where one of the paper's tables is damaged."""
    for table, columns in COLUMNS.items():
        try:
            rows = paper.read(folder, table)
            if not rows or [*rows[0]] != [*columns, "confidence"]:
                raise ValueError(f"its columns are not {', '.join(columns)}, confidence")
            missing = set(ROWS.get(table, ())) - {row.get("row") for row in rows}
            if missing:
                raise ValueError(f"it has no row {min(missing)}")
            for row in rows:
                _check_row(row)
        except ValueError as error:  # one is raised for bytes that are no text, too
            raise UserError(f"{folder / table}.csv: {error}; restore the file") from None


def _check_row(row: dict[str, str]) -> None:
    """Raises ValueError where a cell is missing, or holds no number where one must be."""
    name = next(iter(row.values()))
    if None in row or None in row.values():
        raise ValueError(f"the row {name!r} has more or fewer cells than the header")
    for column, cell in row.items():
        optional = column in ("sd_pct", "runs") or (column in PLAN and name.startswith("improve"))
        if cell == "" and optional:
            continue
        if cell == "" or (column not in WORDS and not isfinite(float(cell))):
            raise ValueError(f"the row {name!r} has {cell!r} in the column {column}")
