"""What the page says of one recipe under one set of conditions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

from analysis.figures import budgets, curves, sparsity
from analysis.figures.gallery import Gallery
from analysis.grid import Grid
from analysis.groups import Group
from analysis.records import Run
from analysis.report import made
from analysis.report.inline import svg
from analysis.report.transcripts import Heard, heard
from analysis.report.weights import Histograms, histograms
from analysis.results import Results
from analysis.scales import scale
from analysis.tables import (
    notes,
    other_conditions,
    paper_versus_ours,
    phases,
    table5,
    table7_table9,
    weights,
)
from analysis.tables import significance as tests
from analysis.tables.files import legend
from analysis.words import metric_name, split_name


def reading(results: Results) -> Sequence[str]:
    """Returns how the tables of the sections are to be read."""
    return (*legend(results), *tests.NOTES, *weights.NOTES)


class Picture(NamedTuple):
    """A figure inside the page."""

    title: str
    svg: str
    narrow: str = ""  # the same for a phone


@dataclass
class Section:
    """One section of the page; what is empty is left out."""

    anchor: str
    title: str
    short: str  # its name in the list of sections
    why: Sequence[str] = ()  # apart from the paper's figures
    compared: Grid | None = None
    tables: Sequence[Grid] = ()
    pictures: Sequence[Picture] = ()
    histograms: Histograms | None = None
    heard: str = ""
    transcripts: Sequence[Heard] = ()
    gallery: Gallery | None = None
    more: Sequence[Grid] = ()
    made: Grid | None = None
    aside: bool = False  # other runs of the recipe enter the verdicts


def section(
    results: Results,
    group: Group,
    sweep: Sequence[Group],
    prefix: str,
    *,
    aside: bool = False,
) -> Section:
    """Returns a group's section; `sweep`: the same recipe and scale at other sparsities.

    `prefix`: sets the ids in its pictures apart from those of other sections. `aside`: other runs
    of the recipe enter the verdicts, and this section does without every layer's histograms.
    """
    run, dsd = group.runs[0], group.arms.get("dsd")
    how, transcripts = _transcripts(group)
    return Section(
        anchor(run),
        notes.title(group),
        short(run),
        results.why(group) if results.of_paper else (),
        tests.brief([group]).grid(),
        _tables(results, group),
        _pictures(group, sweep, prefix),
        histograms(dsd[min(dsd)]) if dsd and not aside else None,
        how,
        transcripts,
        more=_more(results, group, sweep),
        made=made.grid([group, *sweep]),
        aside=aside,
    )


def papers(results: Results) -> Grid:
    """Returns the paper's figures beside those of the groups that were run as the paper's were."""
    return replace(paper_versus_ours.table(results), title="Under the paper's conditions").grid()


def anchor(run: Run) -> str:
    """Returns what a link to the run's section ends with."""
    return re.sub(r"[^\w.-]", "_", run.label)


def short(run: Run) -> str:
    """Returns the network's and the corpus' name, and the scale."""
    record = run.record
    return ", ".join([record.title, *filter(None, [scale(record)]), *record.overrides])


def _tables(results: Results, group: Group) -> list[Grid]:
    """Returns what is shown at once; the notes are the same beneath both."""
    last, all_phases = other_conditions.table(results, group), phases.table(group)
    return [last.grid(), replace(all_phases, notes=()).grid()]


def _more(results: Results, group: Group, sweep: Sequence[Group]) -> list[Grid]:
    """Returns what a click shows: tests, what only captions or only speech has, weights, sweeps."""
    mine = replace(results, groups=[group])
    speech = (table7_table9.of_groups(mine, one) for one in table7_table9.TABLES)
    tables = [*tests.tables(mine), *table5.tables(mine), *chain(*speech), *weights.tables([group])]
    tables += [other_conditions.table(results, one) for one in sweep]
    return [table.grid() for table in tables]


def _pictures(group: Group, sweep: Sequence[Group], prefix: str) -> list[Picture]:
    runs = curves.of_first_seed(group)
    metric = metric_name(group.first.metric)
    drawn = {
        f"Learning curves, seed {runs[0].record.seed}: training, held-out and test figures over "
        "all phases; lines mark the phases' borders.": curves.picture(runs),
        f"{metric} against epochs spent: compare arms at equal budgets.": budgets.picture(group),
    }
    if sweep:
        title = f"{metric} against the sparsity of the mask (0: the matched fine-tuning)."
        drawn[title] = sparsity.picture([group, *sweep])
    return [
        Picture(title, svg(figure, f"{prefix}-{i}", title))
        for i, (title, figure) in enumerate(drawn.items())
    ]


def _transcripts(group: Group) -> tuple[str, list[Heard]]:
    """Returns how and what is heard of the first test set whose texts the records hold."""
    runs = curves.of_first_seed(group)
    for split in group.splits:
        if found := heard(runs, split):
            how = (
                "evenly spaced; none is picked by hand. Seed {}, the likeliest symbol of each frame"
            )
            how = how.format(runs[0].record.seed)
            return (
                f"{len(found)} utterances of {split_name(split)}, {how}, no language model.",
                found,
            )
    return "", []
