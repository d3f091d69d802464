"""`dsd report`: one HTML file that holds all there is to say of the records, and asks for nothing.

The page has its style, its script and its pictures inside; its content security policy lets a
browser load nothing else. Text from records is escaped.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jinja2
from markupsafe import Markup

from analysis.arms import CONTROLS
from analysis.claims import TASKS
from analysis.figures import forest, sparsity
from analysis.figures.gallery import Gallery
from analysis.groups import Group
from analysis.records import Run
from analysis.report import glossary
from analysis.report.inline import svg
from analysis.report.sections import Picture, Section, anchor, papers, reading, section, short
from analysis.results import Results
from analysis.tables import significance, verdicts
from analysis.verdicts import group_of

HERE = Path(__file__).parent
TITLE = "Dense-Sparse-Dense training, reproduced"
INTRO = (
    "DSD trains a network dense, prunes each layer's smallest weights and retrains under that "
    "mask, then drops the mask and retrains dense (Han et al., ICLR 2017). The paper reports "
    "better accuracy at no cost at inference. Here are our runs, with the controls that the "
    "paper's reviewers asked for. Where DSD does not win, this page says so."
)
NONE_BESIDE = (
    "None of these runs was made under the paper's conditions: smaller corpora, shorter schedules "
    "or other starting weights, named beside each. They neither confirm nor refute the paper's own "
    "figures."
)
GAINS = (
    "DSD's gain in percent of the other arm's figure: mean and 95 % interval over seeds. "
    "Hollow: no interval, for want of seeds or of spread. An arrow: beyond the axis."
)
FOOTER = "Made by `dsd report` from the run records; the same records give the same page."


def build(results: Results, galleries: Sequence[tuple[Run, Gallery]] = ()) -> str:
    """Returns the page of these results; `galleries`: captions, each with one of their runs."""
    shown = list(sparsity.with_sweeps(results.groups))
    unswept = [group for group, _ in shown]
    tested = [group for task in TASKS if (group := group_of(task, results.groups))]
    decided = {group.first.recipe for group in tested}
    sections = [
        section(
            results,
            *one,
            prefix=f"s{place}",
            aside=one[0] not in tested and one[0].first.recipe in decided,
        )
        for place, one in enumerate(shown)
    ]
    for run, gallery in galleries:
        _add(sections, run, gallery)
    script, style = (_file(name) for name in ("script.js", "style.css"))
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    environment.filters["linked"] = glossary.linked
    first = verdicts.brief(results) if tested else significance.brief(unswept, CONTROLS)
    if tested:
        first = replace(first, notes=(*first.notes, *verdicts.NOTES))
    summary = verdicts.in_short(results)
    if results.of_paper and not results.beside:
        summary.append(NONE_BESIDE)
    template = environment.from_string(_file("page.html.jinja"))
    return template.render(
        title=TITLE,
        intro=INTRO,
        summary=summary,
        verdicts=first.grid(),
        kinds=[getattr(row, "kind", "open") for row in first.rows],
        all_figures=verdicts.table(results, ran=True).grid() if tested else None,
        losses=verdicts.losses(results).grid() if tested else None,
        forest=_forest(tested or unswept),
        paper=papers(results) if results.of_paper else None,
        sections=sections,
        legend=reading(results),
        mentioned=glossary.mentioned,
        footer=FOOTER,
        script=Markup(script),
        style=Markup(style),
        script_hash=_hash(script),
    )


def _forest(found: Sequence[Group]) -> Picture | None:
    figure, narrow = forest.picture(found), forest.picture(found, narrow=True)
    if not figure or not narrow:
        return None
    return Picture(GAINS, svg(figure, "forest", GAINS), svg(narrow, "narrow", GAINS))


def _add(sections: list[Section], run: Run, gallery: Gallery) -> None:
    """Puts captions into the section of their runs, or into one of their own."""
    own = [one for one in sections if one.anchor == anchor(run)]
    if not own:
        title = f"{short(run)}: captions"
        own = [Section(anchor(run), title, title)]
        sections += own
    own[0].gallery = gallery


def _hash(script: str) -> str:
    """Returns what the content security policy calls the script that stands in the page."""
    inside = f"\n{script}\n".encode()
    return "sha256-" + base64.b64encode(hashlib.sha256(inside).digest()).decode()


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
