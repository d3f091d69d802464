"""The paper's tables 7 and 9 (Deep Speech on WSJ) beside ours, phase by phase, and DSD's gain."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from analysis.arms import CONTROLS
from analysis.groups import Group
from analysis.paper import GAINS, TESTS, Figure, Paper
from analysis.records import once
from analysis.results import Results
from analysis.significance import answer, total_epochs, what_intervals_are
from analysis.sweeps import borrowed, own
from analysis.table import PLUS_MINUS, SPREAD, Column, Table, number
from analysis.tables.notes import beneath, title
from analysis.tables.phases import phase_column
from analysis.tables.rows import (
    CONDITION,
    DSD_MINUS,
    METRIC,
    PAPER,
    SEEDS,
    SPLIT,
    Row,
    decimals,
    ours,
)
from analysis.tables.table2_table3_table4_appendix import ours_or_gain, plan_columns
from analysis.words import metric_name, phase_name, split_name
from analysis.words import number as written

Published = Mapping[str, Mapping[str, Figure]]  # test set -> row -> figure
METRICS = WER, CER = "wer_pct", "cer_pct"
PATHS = {  # row of the paper's tables -> the phases that lead to it
    "dense_0": "dense",
    "sparse_1": "dense/sparse1",
    "dense_1": "dense/sparse1/redense1",
    "sparse_2": "dense/sparse1/redense1/sparse2",
    "dense_2": "dense/sparse1/redense1/sparse2/redense2",
    "baseline": "dense/dense_on",
}
WSJ = {split: test.replace("wsj", "WSJ'") for split, test in TESTS.items()}
ROWS = {path: row for row, path in PATHS.items()}
GREEDY = (
    "Decoding: the likeliest symbol of each frame, no language model. WER and CER: errors in "
    "percent of the reference's words and characters, over the whole test set."
)


@dataclass(frozen=True)
class Printed:
    """One of the two tables: its network, its file in results/paper/, what must be said of it."""

    number: int
    title: str
    network: str
    file: str
    note: str


TABLES = (
    Printed(
        7,
        "Table 7: DeepSpeech on WSJ",
        "deepspeech",
        "table7_deepspeech",
        "The paper prints 27.90 and 27.45 twice for WSJ'92 and 32.99 twice for WSJ'93: perhaps "
        "misprints.",
    ),
    Printed(
        9,
        "Table 9: DeepSpeech 2 on WSJ",
        "deepspeech2",
        "table9_deepspeech2",
        "The paper trained on 2100 hours that are not public. What we train on WSJ or LibriSpeech "
        "has tables of its own and never stands in these columns.",
    ),
)


def tables(results: Results, one: Printed) -> tuple[list[Table[Row]], list[Table[Row]]]:
    """Returns the paper's table beside each group under its conditions; every group's phases.

    The paper's figures stand in the CSV of a group's phases, in a table of their own without one.
    """
    mine = [g for g in results.completed if g.first.settings["task"].get("network") == one.network]
    beside: list[Group | None] = [group for group in mine if not results.why(group)]
    papers = [_papers_table(results.paper, one, group) for group in beside or [None]]
    return papers, [_phases_table(results, one, group) for group in mine]


def _phases_table(results: Results, one: Printed, group: Group) -> Table[Row]:
    """Returns WER and CER after every phase of every arm, and whether dsd gains."""
    why = results.why(group)
    rows = [*_rows(group, {} if why else _published(results.paper, one))]
    tests = group.first.corpus.get("utterances", {})
    sizes = [f"{split_name(split)} {tests[split]}" for split in group.splits if split in tests]
    epochs = ", ".join(f"{arm} {total_epochs(group, arm):g}" for arm in group.arms)
    notes = (
        *(answer(group, over, split, METRICS) for over in CONTROLS for split in group.splits),
        what_intervals_are("utterances"),
        f"All arms begin with the first row. Epochs in all: {epochs}.",
        GREEDY,
        *([f"Test utterances: {', '.join(sizes)}."] if sizes else []),
        *borrowed(group),
        *([f"Not beside the paper's figures: {'; '.join(why)}."] if why else []),
        *beneath(own(group), why),
    )
    return Table(
        title(group),
        _columns(group),
        rows,
        notes,
        line=lambda row: row.path,
        across=lambda row: f"{split_name(row.split)}: {metric_name(row.metric)}",
    )


def _rows(group: Group, published: Published) -> Iterator[Row]:
    """Yields every path of phases once, arm by arm; arms that begin alike share their first."""
    for path, arm in _takers(group).items():
        phases = next(iter(group.arms[arm].values())).record.phases
        phase = phases[path.count("/")]
        words = [arm, phase_name(phase.name)] if "/" in path else [phase_name(phase.name)]
        for split in group.splits:
            for metric in METRICS:
                papers = published.get(split, {}) if metric == WER else {}
                title = ", ".join(once(words))
                yield Row(group, split, metric, "", path, ROWS.get(path, ""), papers, phase, title)


def _takers(group: Group | None) -> dict[str, str]:
    """Returns {path of phases: the first arm that takes it}."""
    takers: dict[str, str] = {}
    for arm in group.arms if group else ():
        folders = group.end(arm).split("/") if group else []
        for i in range(len(folders)):
            takers.setdefault("/".join(folders[: i + 1]), arm)
    return takers


def _columns(group: Group | None) -> tuple[Column[Row], ...]:
    takers = _takers(group)
    return (
        *CONDITION,
        Column("row", None, lambda row: row.row),
        Column("path", None, lambda row: row.path),
        Column("arm", None, lambda row: takers.get(row.path)),
        phase_column("mask"),
        Column("", "", lambda row: row.title),
        Column("", "sparsity (%)", lambda row: 100 * (_sparsity(row) or 0), number("{:g}")),
        Column("", "epochs", lambda row: row.phase and row.phase.epochs, number("{:g}")),
        Column("", "rate", lambda row: row.phase and written(row.phase.lr)),
        Column("sparsity", None, _sparsity),
        phase_column("epochs"),
        phase_column("lr"),
        SPLIT,
        METRIC,
        Column("paper", None, lambda row: row.paper, PAPER),
        SEEDS,
        Column("", "our seeds", lambda row: len(row.values)),
        ours(header="{}", kind=PLUS_MINUS),
        *DSD_MINUS,
    )


def _papers_table(paper: Paper, one: Printed, group: Group | None) -> Table[Row]:
    plans = {row["row"]: row for row in paper.rows(one.file)}
    published = _published(paper, one)
    rows = [
        Row(group, split, WER, path=PATHS.get(row, ""), row=row, published=published[split])
        for row in plans
        for split in TESTS
    ]
    dsd = sum(float(plans[row]["epochs"]) for row in PATHS if row != "baseline")
    notes = (
        "Sparsity, epochs and rate: the paper's. Epochs in all: "
        f"dsd {dsd:g}, baseline {plans['baseline']['epochs']}.",
        "Improvement: the baseline less dense 2; ours is paired over the seeds.",
        one.note,
    )
    return Table(
        one.title,
        (
            *(replace(column, header=None) for column in _columns(group)),
            *plan_columns(plans),
            Column[Row]("", "paper: {}", lambda row: row.paper, PAPER),
            Column[Row]("", "ours: {}", ours_or_gain, SPREAD, decimals),
        ),
        rows,
        notes,
        line=lambda row: row.row,
        across=lambda row: f"{WSJ[row.split]} {metric_name(WER)}",
        in_csv=lambda row: group is None and row.row in PATHS,
    )


def _sparsity(row: Row) -> float | None:
    """Returns the fraction of zeros, 0 without a mask."""
    if row.phase is None:
        return None
    return 0.0 if row.phase.mask == "none" else row.phase.sparsity


def _published(paper: Paper, one: Printed) -> Published:
    rows_of = {name: name for name in (*PATHS, *GAINS)}
    return {split: paper.figures(one.file, None, WER, split, rows_of)[1] for split in TESTS}
