"""The paper's table 5 (captions of Flickr-8K) beside ours, and whether DSD gains."""

from collections.abc import Iterable, Iterator
from typing import Any

from analysis import paper
from analysis.grid import Grid, cells, metric_name, plus_minus, split_name
from analysis.records import Group, Spread, spread
from analysis.significance import (
    CONTROLS,
    after,
    answer,
    listed,
    paired,
    paired_interval,
    what_intervals_are,
)
from analysis.sweeps import borrowed, completed, own
from analysis.tables.conditions import beneath, condition, title
from dsd.suite.folder import Suite

TABLE = "table5_neuraltalk"
ROWS = {  # row -> arm, and the phase after which it is tested ("": the last)
    "baseline": ("baseline", ""),
    "sparse": ("dsd", "sparse"),
    "dsd": ("dsd", ""),
    "finetune": ("finetune", ""),
    "llr": ("llr", ""),
    "random": ("random", ""),
}
BLEU = ("bleu1", "bleu2", "bleu3", "bleu4")
OTHERS = (*(f"standard_{metric}" for metric in BLEU), "length_ratio", "mean_length")


def captioning(groups: Iterable[Group]) -> list[Group]:
    """Returns the groups that belong to table 5, sweeps completed; miniatures do not."""
    return completed(g for g in groups if g.first.table == TABLE and g.first.scale != "mini")


def grids(suite: Suite, group: Group) -> list[Grid]:
    """Returns the table beside the paper's with what follows from it, then the other figures."""
    published = _published(suite)
    header = ["", *(f"paper: {metric_name(metric)}" for metric in BLEU), "our seeds"]
    header += [f"{split_name(split)}: {metric_name(m)}" for split in group.splits for m in BLEU]
    rows = []
    for row in ROWS:
        cells = [_figure(published[metric].get(row)) for metric in BLEU]
        cells.append(_seeds(group, row))
        cells += [_ours(group, row, split, m) for split in group.splits for m in BLEU]
        rows.append((row, *cells))
    why = own(group).reasons_apart(suite)
    apart = [f"Ours are not under the paper's conditions: {'; '.join(why)}."] if why else []
    told = (*answers(group), _papers_gain(published), *_how(group))
    notes = (*told, *borrowed(group), *apart, *beneath(own(group), why))
    return [Grid(title(group), tuple(header), rows, notes), _others(group)]


def csv_rows(suite: Suite, groups: Iterable[Group]) -> Iterator[dict[str, Any]]:
    """Yields the figures as numbers; dsd_minus_row is paired, low and high its 95 % interval."""
    published = _published(suite)
    for group in groups:
        figures = [(split, metric) for split in group.splits for metric in (*BLEU, *OTHERS)]
        for row in ROWS:
            for split, metric in (*figures, ("test", "perplexity")):
                figure = published.get(metric, {}).get(row)
                gain = difference(group, row, split, metric)
                low, high = (gain and paired_interval(gain)) or (None, None)
                yield {
                    **condition(group),
                    "row": row,
                    "split": split,
                    "metric": metric,
                    "paper": figure and figure.value,
                    "paper_confidence": figure and figure.confidence,
                    "seeds": " ".join(map(str, values(group, row, split, metric))),
                    **cells("ours", _spread(group, row, split, metric)),
                    **cells("dsd_minus_row", gain),
                    "low": low,
                    "high": high,
                }


def answers(group: Group) -> list[str]:
    """Returns a line for each beam and control: does dsd beat it, and by how much?"""
    return [_answer(group, split, row) for row in CONTROLS for split in group.splits]


def values(group: Group, row: str, split: str, metric: str) -> dict[int, float]:
    """Returns {seed: figure} of a row of the table, empty where it was not run."""
    arm, phase = ROWS[row]
    return after(group, arm, phase, split, metric)


def difference(group: Group, row: str, split: str, metric: str) -> Spread | None:
    """Returns dsd's figure less the row's, over the seeds of both; None where they share none."""
    if row == "dsd":
        return None
    return paired(values(group, "dsd", split, metric), values(group, row, split, metric))


def _answer(group: Group, split: str, row: str) -> str:
    found = {metric_name(metric): difference(group, row, split, metric) for metric in BLEU}
    return answer(split_name(split).capitalize(), row, found)


def _published(suite: Suite) -> dict[str, dict[str, paper.Figure]]:
    """Returns {metric: {row: figure}} of the paper."""
    folder = suite.root / "results" / "paper"
    rows_of = {**paper.ROWS, "sparse": "sparse"}
    return {m: paper.figures(folder, TABLE, None, m, rows_of=rows_of)[1] for m in BLEU}


def _papers_gain(published: dict[str, dict[str, paper.Figure]]) -> str:
    gains = [
        f"{metric_name(m)} {paper.gain(rows['baseline'].value, rows['dsd'].value, m):+.1f}"
        for m, rows in published.items()
    ]
    return f"The paper's dsd minus its baseline: {', '.join(gains)}."


def _how(group: Group) -> tuple[str, ...]:
    """Returns how the figures were made and what the intervals are."""
    record = group.first
    images = record.corpus.get("images", {}).get("test")
    papers = record.settings["task"].get("features") == "vgg16"  # others: in the corpus' notes
    splits = listed([split_name(split) for split in group.splits])
    return (
        what_intervals_are("images"),
        *(["Features: VGG-16 fc7, as the paper's."] if papers else []),
        f"Decoding: beam search, {splits} (1: the likeliest word at each step). The paper does not "
        "state its beam.",
        "BLEU: of the whole test set"
        + (f" ({images} images)" if images else "")
        + ", without brevity penalty, as NeuralTalk's multi-bleu.perl counts it.",
        "sparse: our dsd run after its sparse phase.",
    )


def _others(group: Group) -> Grid:
    header = ("", "our seeds", *map(metric_name, OTHERS), "perplexity")
    rows = [
        (
            f"{row}, {split_name(split)}",
            _seeds(group, row),
            *(_ours(group, row, split, metric) for metric in OTHERS),
            _ours(group, row, "test", "perplexity"),
        )
        for row in ROWS
        for split in group.splits
    ]
    notes = (
        "Standard BLEU: with brevity penalty, unsmoothed, by nltk. Length ratio: words over those "
        "of the closest references. Perplexity: of the references' words, whatever the beam.",
    )
    return Grid(f"{title(group)}: standard BLEU, length, perplexity", header, rows, notes)


def _spread(group: Group, row: str, split: str, metric: str) -> Spread | None:
    found = values(group, row, split, metric)
    return spread(found.values()) if found else None


def _ours(group: Group, row: str, split: str, metric: str) -> str:
    found = _spread(group, row, split, metric)
    return plus_minus(found) if found else "-"


def _seeds(group: Group, row: str) -> str:
    count = len(group.arms.get(ROWS[row][0], {}))
    return str(count or "not run")


def _figure(figure: paper.Figure | None) -> str:
    return f"{figure.value:.1f}{'' if figure.seen else '†'}" if figure else "-"
