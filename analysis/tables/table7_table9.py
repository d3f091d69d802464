"""The paper's tables 7 and 9 (Deep Speech on WSJ) beside ours, phase by phase, and DSD's gain."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from analysis.arms import CONTROLS
from analysis.groups import Group
from analysis.paper import TESTS, Figure, Paper
from analysis.records import once
from analysis.results import Results
from analysis.significance import INTERVALS, answer, total_epochs
from analysis.sweeps import borrowed, own
from analysis.table import MEAN, SPREAD, Column, Table
from analysis.tables.notes import beneath, title
from analysis.tables.rows import (
    CONDITION,
    DSD_MINUS,
    METRIC,
    PAPER,
    PATH,
    ROW,
    SEEDS,
    SPLIT,
    Row,
    on_phase,
    steps,
)
from analysis.tables.table2_table3_table4_appendix import steps_columns, steps_table
from analysis.words import metric_name, number, phase_name, split_name
from dsd.runs.phase_file import PhaseRecord

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


class Printed(NamedTuple):
    """One of the two tables: its network, its file in results/paper/, what must be said of it."""

    page: str
    title: str
    network: str
    file: str
    note: str


TABLES = (
    Printed(
        *("table7", "Table 7: DeepSpeech on WSJ", "deepspeech", "table7_deepspeech"),
        "The paper prints 27.90 and 27.45 twice for WSJ'92 and 32.99 twice for WSJ'93: perhaps "
        "misprints.",
    ),
    Printed(
        *("table9", "Table 9: DeepSpeech 2 on WSJ", "deepspeech2", "table9_deepspeech2"),
        "The paper trained on 2100 hours that are not public. What we train on WSJ or LibriSpeech "
        "has tables of its own and never stands in these columns.",
    ),
)


def tables(results: Results, one: Printed) -> tuple[list[Table], list[Table]]:
    """Returns the paper's table beside each group under its conditions; every group's phases.

    The paper's figures stand in the CSV of a group's phases, in a table of their own without one.
    """
    beside: list[Group | None] = [g for g in _groups(results, one) if not results.why(g)]
    papers = [_papers_table(results.paper, one, group) for group in beside or [None]]
    return papers, of_groups(results, one)


def of_groups(results: Results, one: Printed) -> list[Table]:
    """Returns the phases of every group of the network."""
    return [_phases_table(results, one, group) for group in _groups(results, one)]


def _groups(results: Results, one: Printed) -> list[Group]:
    return [g for g in results.completed if g.first.settings.task.get("network") == one.network]


def _phases_table(results: Results, one: Printed, group: Group) -> Table:
    """Returns WER and CER after every phase of every arm, and whether dsd gains."""
    why = results.why(group)
    rows = [*_rows(group, {} if why else _published(results.paper, one))]
    tests = group.first.corpus.get("utterances", {})
    sizes = [f"{split_name(split)} {tests[split]}" for split in group.splits if split in tests]
    epochs = ", ".join(f"{arm} {total_epochs(group, arm):g}" for arm in group.arms)
    notes = (
        *(answer(group, over, split, METRICS) for over in CONTROLS for split in group.splits),
        INTERVALS,
        f"All arms begin with the first row. Epochs in all: {epochs}.",
        GREEDY,
        *([f"Test utterances: {', '.join(sizes)}."] if sizes else []),
        *borrowed(group),
        *(
            [f"Not beside the paper's figures: {'; '.join(why)}."]
            if why and results.of_paper
            else []
        ),
        *beneath(own(group), why if results.of_paper else ()),
    )
    phase = (
        Column(header="", value=lambda row: row.title),
        Column(header="sparsity (%)", value=lambda row: f"{100 * (_sparsity(row) or 0):g}"),
        Column(header="epochs", value=lambda row: f"{row.phase.epochs:g}"),
        Column(header="rate", value=lambda row: number(row.phase.lr)),
        Column(header="our seeds", value=lambda row: len(row.values)),
        Column("", "{}", MEAN, lambda row: row.ours),
    )
    return Table(
        *(title(group), [*_columns(group), *phase], rows, notes),
        line=lambda row: row.path,
        across=lambda row: f"{split_name(row.split)}: {metric_name(row.metric)}",
    )


def _rows(group: Group, published: Published) -> Iterator[Row]:
    """Yields every path of phases once, arm by arm; arms that begin alike share their first."""
    for path, (arm, phase) in _takers(group).items():
        name = phase_name(phase.name)
        title = ", ".join(once([arm, name] if "/" in path else [name]))
        for split in group.splits:
            for metric in METRICS:
                papers = published.get(split, {}) if metric == WER else {}
                yield Row(group, split, metric, "", path, ROWS.get(path, ""), papers, phase, title)


def _takers(group: Group) -> dict[str, tuple[str, PhaseRecord]]:
    """Returns {path of phases: the first arm that takes it, its last phase}."""
    takers: dict[str, tuple[str, PhaseRecord]] = {}
    for arm, path, phase in steps(group):
        takers.setdefault(path, (arm, phase))
    return takers


def _columns(group: Group | None) -> list[Column]:
    """Returns the CSV's columns."""
    takers = _takers(group) if group else {}
    arm = Column("arm", value=lambda row: takers[row.path][0] if takers else None)
    sparsity = Column("sparsity", value=_sparsity)
    return [
        *(*CONDITION, ROW, PATH, arm, *on_phase("mask"), sparsity, *on_phase("epochs", "lr")),
        *(SPLIT, METRIC, Column("paper", None, PAPER), SEEDS, Column("ours", None, SPREAD)),
        *DSD_MINUS,
    ]


def _papers_table(paper: Paper, one: Printed, group: Group | None) -> Table:
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
    columns = [*([] if group else _columns(group)), *steps_columns(plans)]

    def across(row: Row) -> str:
        return f"{WSJ[row.split]} {metric_name(WER)}"

    return steps_table(one.title, columns, rows, notes, across)


def _sparsity(row: Row) -> float | None:
    """Returns the fraction of zeros, 0 without a mask."""
    if row.phase is None:
        return None
    return 0.0 if row.phase.mask == "none" else row.phase.sparsity


def _published(paper: Paper, one: Printed) -> Published:
    return {split: paper.figures(one.file, None, WER, split) for split in TESTS}
