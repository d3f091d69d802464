"""The paper's tables 7 and 9 (Deep Speech on WSJ) beside ours, phase by phase, and DSD's gain."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from analysis import paper
from analysis.grid import Grid, cells, mean_sd, metric_name, number, plus_minus, split_name
from analysis.records import Group, spread
from analysis.significance import (
    CONTROLS,
    after,
    answer,
    paired,
    paired_interval,
    total_epochs,
    what_intervals_are,
)
from analysis.steps import Step, steps
from analysis.sweeps import borrowed, completed, own
from analysis.tables.conditions import beneath, condition, title
from dsd.suite.folder import Suite

METRICS = WER, CER = "wer_pct", "cer_pct"
PATHS = {  # row of the paper's tables -> the phases that lead to it
    "dense_0": "dense",
    "sparse_1": "dense/sparse1",
    "dense_1": "dense/sparse1/redense1",
    "sparse_2": "dense/sparse1/redense1/sparse2",
    "dense_2": "dense/sparse1/redense1/sparse2/redense2",
    "baseline": "dense/dense_on",
}
GAINS = {"improve_abs": "improvement", "improve_rel_pct": "improvement (%)"}
WSJ = [test.replace("wsj", "WSJ'") for test in paper.TESTS.values()]
PLAN = ("", "sparsity (%)", "epochs", "rate")
GREEDY = (
    "Decoding: the likeliest symbol of each frame, no language model. WER and CER: errors in "
    "percent of the reference's words and characters, over the whole test set."
)


@dataclass(frozen=True)
class Table:
    """One of the two tables: its network, its file in results/paper/, what must be said of it."""

    number: int
    title: str
    network: str
    name: str
    note: str


TABLES = (
    Table(
        7,
        "Table 7: DeepSpeech on WSJ",
        "deepspeech",
        "table7_deepspeech",
        "The paper prints 27.90 and 27.45 twice for WSJ'92 and 32.99 twice for WSJ'93: perhaps "
        "misprints.",
    ),
    Table(
        9,
        "Table 9: DeepSpeech 2 on WSJ",
        "deepspeech2",
        "table9_deepspeech2",
        "The paper trained on 2100 hours that are not public. What we train on WSJ or LibriSpeech "
        "has tables of its own and never stands in these columns.",
    ),
)


def of_table(table: Table, groups: Iterable[Group]) -> list[Group]:
    """Returns the groups of a table's network, sweeps completed; miniatures do not belong."""
    mine = (g for g in groups if g.first.settings["task"].get("network") == table.network)
    return completed(g for g in mine if g.first.scale != "mini")


def papers_grids(suite: Suite, table: Table, groups: Sequence[Group]) -> list[Grid]:
    """Returns the paper's table beside each of the groups that were run under its conditions."""
    return [_papers_grid(suite, table, group) for group in _beside(suite, groups) or [None]]


def phases_grid(suite: Suite, group: Group) -> Grid:
    """Returns WER and CER after every phase of every arm, and whether dsd gains."""
    done = steps(group).values()
    figures = [(split, metric) for split in group.splits for metric in METRICS]
    names = [f"{split_name(split)}: {metric_name(metric)}" for split, metric in figures]
    rows = [
        (
            step.name,
            f"{100 * step.sparsity:g}",
            f"{step.phase.epochs:g}",
            number(step.phase.lr),
            str(len(step.tests)),
            *(plus_minus(spread(step.values(*figure).values())) for figure in figures),
        )
        for step in done
    ]
    epochs = {arm: total_epochs(group, arm) for arm in group.arms}
    why = own(group).reasons_apart(suite)
    tests = group.first.corpus.get("utterances", {})
    sizes = [f"{split_name(split)} {tests[split]}" for split in group.splits if split in tests]
    notes = (
        *(_answer(group, split, row) for row in CONTROLS for split in group.splits),
        what_intervals_are("utterances"),
        f"All arms begin with the first row. {_listed(epochs)}.",
        GREEDY,
        *([f"Test utterances: {', '.join(sizes)}."] if sizes else []),
        *borrowed(group),
        *([f"Not beside the paper's figures: {'; '.join(why)}."] if why else []),
        *beneath(own(group), why),
    )
    return Grid(title(group), (*PLAN, "our seeds", *names), rows, notes)


def csv_rows(suite: Suite, table: Table, groups: Sequence[Group]) -> Iterator[dict[str, Any]]:
    """Yields the figures as numbers; dsd_minus_row is paired, low and high its 95 % interval.

    The paper's figures stand in rows of their own where nothing ran under its conditions.
    """
    published = _published(suite, table)
    beside = _beside(suite, groups)
    if not beside:
        for row, path in PATHS.items():
            for split, figures in published.items():
                yield _csv_row(None, path, None, split, WER, figures[row])
    rows = {path: row for row, path in PATHS.items()}
    for group in groups:
        for path, step in steps(group).items():
            for split in group.splits:
                for metric in METRICS:
                    papers = group in beside and metric == WER and path in rows
                    figure = published[split][rows[path]] if papers else None
                    yield _csv_row(group, path, step, split, metric, figure)


def _csv_row(
    group: Group | None,
    path: str,
    step: Step | None,
    split: str,
    metric: str,
    figure: paper.Figure | None,
) -> dict[str, Any]:
    found = step.values(split, metric) if step else {}
    dsd = after(group, "dsd", "", split, metric) if group else {}
    gain = None if path == PATHS["dense_2"] else paired(dsd, found)
    low, high = (gain and paired_interval(gain)) or (None, None)
    return {
        **condition(group),
        "row": {path: row for row, path in PATHS.items()}.get(path, ""),
        "path": path,
        "arm": step and step.arm,
        "mask": step and step.phase.mask,
        "sparsity": step and step.sparsity,
        "epochs": step and step.phase.epochs,
        "lr": step and step.phase.lr,
        "split": split,
        "metric": metric,
        "paper": figure and figure.value,
        "paper_confidence": figure and figure.confidence,
        "seeds": " ".join(map(str, found)),
        **cells("ours", spread(found.values()) if found else None),
        **cells("dsd_minus_row", gain),
        "low": low,
        "high": high,
    }


def _papers_grid(suite: Suite, table: Table, group: Group | None) -> Grid:
    published, done = _published(suite, table), steps(group) if group else {}
    rows = []
    epochs: dict[str, float] = {"dsd": 0, "baseline": 0}
    for row in paper.read(suite.root / "results" / "paper", table.name):
        name = row["row"]
        plan = [row[key] or "-" for key in ("sparsity_pct", "epochs", "lr")]
        papers = [_figure(figures[name]) for figures in published.values()]
        if name in PATHS:
            epochs["baseline" if name == "baseline" else "dsd"] += float(row["epochs"])
            step = done.get(PATHS[name])
            found = [step.values(split, WER) if step else {} for split in published]
            ours = [mean_sd(spread(one.values()) if one else None) for one in found]
        else:
            ours = [_gain(group, split, name) for split in published]
        rows.append((GAINS.get(name, name.replace("_", " ")), *plan, *papers, *ours))
    names = [f"{whose}: {test} {metric_name(WER)}" for whose in ("paper", "ours") for test in WSJ]
    notes = (
        f"Sparsity, epochs and rate: the paper's. {_listed(epochs)}.",
        "Improvement: the baseline less dense 2; ours is paired over the seeds.",
        table.note,
    )
    return Grid(table.title, (*PLAN, *names), rows, notes)


def _beside(suite: Suite, groups: Iterable[Group]) -> list[Group | None]:
    return [group for group in groups if not own(group).reasons_apart(suite)]


def _published(suite: Suite, table: Table) -> dict[str, dict[str, paper.Figure]]:
    """Returns {test set: {row: figure}} of the paper."""
    folder = suite.root / "results" / "paper"
    rows_of = {name: name for name in (*PATHS, *GAINS)}
    return {
        split: paper.figures(folder, table.name, None, WER, split, rows_of)[1]
        for split in paper.TESTS
    }


def _gain(group: Group | None, split: str, name: str) -> str:
    found = group.gain("dsd", "baseline", split) if group else None
    if found is None:
        return "not run"
    return f"{found.relative_pct:.2f}" if name == "improve_rel_pct" else mean_sd(found.difference)


def _answer(group: Group, split: str, row: str) -> str:
    found = {
        metric_name(metric).removesuffix(" (%)"): paired(
            after(group, "dsd", "", split, metric), after(group, row, "", split, metric)
        )
        for metric in METRICS
    }
    return answer(split_name(split), row, found, lower_is_better=True)


def _listed(epochs: dict[str, float]) -> str:
    return "Epochs in all: " + ", ".join(f"{arm} {n:g}" for arm, n in epochs.items())


def _figure(figure: paper.Figure) -> str:
    return f"{figure.value:.2f}{'' if figure.seen else '†'}"
