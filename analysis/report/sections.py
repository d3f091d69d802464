"""What the page says of one recipe under one set of conditions."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis import significance
from analysis.figures import budgets, curves, gallery, plots, sparsity
from analysis.grid import Grid, metric_name, split_name
from analysis.records import Group, Run
from analysis.report import made as how_made
from analysis.report.inline import svg
from analysis.report.transcripts import Heard, heard
from analysis.report.weights import Histograms, histograms
from analysis.tables import conditions, significance_table, speech_tables, table5, weights_table
from dsd.runs.record import label
from dsd.suite.folder import Suite

IMAGES, BEAM = 12, 20  # of the gallery


@dataclass(frozen=True)
class Picture:
    """A figure inside the page."""

    title: str
    svg: str


@dataclass(frozen=True)
class Photographs:
    """Test images with what the arms say of them."""

    notes: list[str]
    shown: list[gallery.Shown]


@dataclass
class Section:
    """One section of the page; what is empty is left out."""

    anchor: str
    title: str
    short: str  # its name in the list of sections
    why: list[str] = field(default_factory=list)  # apart from the paper's figures
    comparisons: list[significance.Comparison] = field(default_factory=list)
    tables: list[Grid] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    histograms: Histograms | None = None
    heard: str = ""
    transcripts: list[Heard] = field(default_factory=list)
    gallery: Photographs | None = None
    more: list[Grid] = field(default_factory=list)
    made: Grid | None = None

    def verdicts(self, against: Collection[str] = ()) -> list[tuple[str, str]]:
        """Returns what each comparison shows (against some arms alone): its kind, in a sentence."""
        return [
            (
                one.verdict.replace(" ", "-"),
                significance.sentence(one).replace(" = ", "\u00a0=\u00a0"),
            )
            for one in self.comparisons
            if not against or one.over in against
        ]


def section(suite: Suite, group: Group, sweep: Sequence[Group]) -> Section:
    """Returns a group's section; `sweep`: the same recipe and scale at other sparsities."""
    why = group.reasons_apart(suite)
    found = Section(anchor(group.runs[0]), conditions.title(group), short(group.runs[0]), why)
    found.comparisons = significance.comparisons(group)
    # the notes are the same beneath both
    phases = replace(conditions.phases_grid(group), notes=())
    found.tables = [conditions.arms_grid(group, why), phases]
    found.pictures = _pictures(group, sweep, found.anchor)
    if "dsd" in group.arms:
        runs = group.arms["dsd"]
        found.histograms = histograms(runs[min(runs)])
    _hear(found, group)
    found.more = [*significance_table.grids([group]), *_papers(suite, group)]
    found.more += weights_table.grids([group])
    found.more += [conditions.arms_grid(one, one.reasons_apart(suite)) for one in sweep]
    found.made = how_made.grid([group, *sweep])
    return found


def captioned(runs: list[Run], root: Path) -> Photographs:
    """Returns what runs of one seed say of every k-th test image in a corpus' folder."""
    said = gallery.captions(runs, BEAM)
    shown, how = gallery.choose(runs, said, root, IMAGES)
    beam = "; ".join([f"Beam {BEAM}", f"seed {runs[0].record.seed}", *plots.caption(runs[0])])
    return Photographs([*how, f"{beam}."], shown)


def anchor(run: Run) -> str:
    """Returns what a link to the run's section ends with."""
    record = run.record
    name = label(record.recipe, record.scale, tuple(record.overrides))
    return re.sub(r"[^\w.-]", "_", name)


def short(run: Run) -> str:
    """Returns the network's and the corpus' name, and the scale."""
    record = run.record
    scale = "" if record.scale == "full" else f", {record.scale}"
    return ", ".join([record.title + scale, *record.overrides])


def _pictures(group: Group, sweep: Sequence[Group], prefix: str) -> list[Picture]:
    runs = curves.of_first_seed(group)
    metric = metric_name(group.first.metric)
    drawn = {
        f"Learning curves, seed {runs[0].record.seed}: training, held-out and test figures over "
        "all phases; lines mark the phases' borders.": curves.picture(runs, curves.segments(runs)),
        f"{metric} against epochs spent: compare arms at equal budgets.": budgets.picture(group),
    }
    if sweep:
        title = f"{metric} against the sparsity of the mask (0: the matched fine-tuning)."
        drawn[title] = sparsity.picture([group, *sweep])
    return [
        Picture(title, svg(figure, f"{prefix}-{i}", title))
        for i, (title, figure) in enumerate(drawn.items())
    ]


def _hear(found: Section, group: Group) -> None:
    """Adds the transcripts of the first test set whose texts the records hold."""
    runs = curves.of_first_seed(group)
    for split in group.splits:
        found.transcripts = heard(runs, split)
        if found.transcripts:
            found.heard = (
                f"{len(found.transcripts)} utterances of {split_name(split)}, evenly spaced; none "
                f"is picked by hand. Seed {runs[0].record.seed}, the likeliest symbol of "
                "each frame, no language model."
            )
            return


def _papers(suite: Suite, group: Group) -> list[Grid]:
    """Returns the tables that only captions or only speech has."""
    if table5.captioning([group]):
        return table5.grids(suite, group)
    speech = [table for table in speech_tables.TABLES if speech_tables.of_table(table, [group])]
    return [speech_tables.phases_grid(suite, group)] if speech else []
