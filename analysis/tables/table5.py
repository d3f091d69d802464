"""The paper's table 5 (captions of Flickr-8K) beside ours, and whether DSD gains."""

from collections.abc import Mapping

from analysis.arms import CONTROLS, USUAL, ordered
from analysis.groups import Group
from analysis.paper import Figure, gain
from analysis.results import Results
from analysis.significance import INTERVALS, answer
from analysis.sweeps import borrowed, own
from analysis.table import MEAN, Column, Table
from analysis.tables.notes import beneath, title
from analysis.tables.rows import DSD_MINUS, METRIC, PAPER, SEEDS, SPLIT, WHERE, Row
from analysis.words import listed, metric_name, split_name

TABLE = "table5_neuraltalk"
SPARSE = "dense/sparse"
BLEU = ("bleu1", "bleu2", "bleu3", "bleu4")
OTHERS = (*(f"standard_{metric}" for metric in BLEU), "length_ratio", "mean_length")
OTHER_FIGURES = (
    "Standard BLEU: with brevity penalty, unsmoothed, by nltk. Length ratio: words over those of "
    "the closest references. Perplexity: of the references' words, whatever the beam."
)


def tables(results: Results) -> list[Table]:
    """Returns two tables of each group of captions: beside the paper's, then the other figures."""
    mine = [group for group in results.completed if group.first.table == TABLE]
    return [table for group in mine for table in _tables(results, group)]


def _tables(results: Results, group: Group) -> list[Table]:
    published = {m: results.paper.figures(TABLE, None, m) for m in BLEU}
    figures = [(split, metric) for split in group.splits for metric in (*BLEU, *OTHERS)]
    rows = [
        Row(group, split, metric, arm, path, row, published.get(metric, {}))
        for row, (arm, path) in _rows(group).items()
        for split, metric in (*figures, ("test", "perplexity"))
    ]
    seeds = Column(header="our seeds", value=lambda row: len(row.values) or "not run")
    ours = Column("ours", "{}", MEAN)
    columns = (
        *(WHERE, Column("row", ""), SPLIT, METRIC),  # the notes are in other_conditions.csv
        *(_papers(metric, published[metric]) for metric in BLEU),
        *(Column("paper", None, PAPER), SEEDS, seeds, ours, *DSD_MINUS),
    )
    perplexity = {row.row: row.ours for row in rows if row.metric == "perplexity"}
    of_row = Column(header="", value=lambda row: f"{row.row}, {split_name(row.split)}")
    its = Column("", "perplexity", MEAN, lambda row: perplexity[row.row])
    why = results.why(group)
    apart = [f"Ours are not under the paper's conditions: {'; '.join(why)}."] if why else []
    notes = (
        *(answer(group, over, split, BLEU) for over in CONTROLS for split in group.splits),
        "The paper's dsd minus its baseline: "
        + ", ".join(
            f"{metric_name(m)} {gain(of['baseline'].value, of['dsd'].value, m):+.1f}"
            for m, of in published.items()
        )
        + ".",
        *_how(group),
        *borrowed(group),
        *apart,
        *beneath(own(group), why),
    )
    main = Table(
        title(group),
        columns,
        rows,
        notes,
        line=lambda row: row.row,
        across=lambda row: f"{split_name(row.split)}: {metric_name(row.metric)}",
        in_words=lambda row: row.metric in BLEU,
    )
    others = Table(
        f"{title(group)}: standard BLEU, length, perplexity",
        *((of_row, seeds, ours, its), rows, (OTHER_FIGURES,)),
        line=lambda row: (row.row, row.split),
        across=lambda row: metric_name(row.metric),
        in_words=lambda row: row.metric in OTHERS,
        in_csv=lambda row: False,
    )
    return [main, others]


def _rows(group: Group) -> dict[str, tuple[str, str]]:
    """Returns {row: arm, phases that lead to it}: the paper's, then our other arms."""
    papers = {"baseline": ("baseline", ""), "sparse": ("dsd", SPARSE), "dsd": ("dsd", "")}
    arms = [arm for arm in ordered({*USUAL, *group.arms}) if arm not in papers]
    kept = {"sparse_second_half": ("sparse", "")} if "sparse" in group.arms else {}
    return {**papers, **{arm: (arm, "") for arm in arms}, **kept}


def _papers(metric: str, published: Mapping[str, Figure]) -> Column:
    return Column("", f"paper: {metric_name(metric)}", PAPER, lambda row: published.get(row.row))


def _how(group: Group) -> tuple[str, ...]:
    """Returns how the figures were made and what the intervals are."""
    record = group.first
    images = record.corpus.get("images", {}).get("test")
    papers = record.settings.task.get("features") == "vgg16"  # others: in the corpus' notes
    splits = listed([split_name(split) for split in group.splits])
    return (
        INTERVALS,
        *(["Features: VGG-16 fc7, as the paper's."] if papers else []),
        f"Decoding: beam search, {splits} (1: the likeliest word at each step). The paper does not "
        "state its beam.",
        "BLEU: of the whole test set"
        + (f" ({images} images)" if images else "")
        + ", without brevity penalty, as NeuralTalk's multi-bleu.perl counts it.",
        "sparse: our dsd run after its sparse phase.",
    )
