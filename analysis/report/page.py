"""`dsd report`: one HTML file that holds all there is to say of the records, and asks for nothing.

The page has its style, its script and its pictures inside; its content security policy lets a
browser load nothing else. Text from records is escaped.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from analysis.figures import forest, plots, sparsity
from analysis.records import Run, groups
from analysis.report.inline import svg
from analysis.report.sections import Picture, Section, anchor, captioned, section, short
from analysis.significance import Comparison
from analysis.tables import paper_table, significance_table, weights_table
from analysis.tables.files import LEGEND
from dsd.suite.folder import Suite

HERE = Path(__file__).parent
TITLE = "Dense-Sparse-Dense training, reproduced"
INTRO = (
    "DSD trains a network dense, prunes each layer's smallest weights and retrains under that "
    "mask, then drops the mask and retrains dense (Han et al., ICLR 2017). The paper reports "
    "better accuracy at no cost at inference. Here are our runs, with the controls that the "
    "paper's reviewers asked for. Where DSD does not win, this page says so."
)
AGAINST = {
    "finetune": "Against the matched fine-tuning (the same phases and rates, no mask)",
    "baseline": "Against the baseline (which trains for fewer epochs)",
}
NONE_BESIDE = (
    "None of these runs was made under the paper's conditions: smaller corpora, shorter schedules "
    "or other starting weights, named beside each. They neither confirm nor refute the paper's own "
    "figures."
)
FOOTER = "Made by `dsd report` from the run records; the same records give the same page."


def build(
    suite: Suite, runs: Sequence[Run], galleries: Sequence[tuple[list[Run], Path]] = ()
) -> str:
    """Returns the page of these runs.

    `galleries`: records of one seed whose captions are shown, each with the folder of its corpus.
    """
    found = groups(runs)
    beside = [group for group in found if not group.reasons_apart(suite)]
    with plots.style():
        sections = [section(suite, group, sweep) for group, sweep in sparsity.with_sweeps(found)]
        comparisons = [one for section in sections for one in section.comparisons]
        picture = _forest(comparisons)
    for captions, root in galleries:
        _add_gallery(sections, captions, root)
    script, style = (_file(name) for name in ("script.js", "style.css"))
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_file("page.html.jinja"))
    return template.render(
        title=TITLE,
        intro=INTRO,
        against=tuple(AGAINST),
        summary=[*summary(comparisons), *([] if beside else [NONE_BESIDE])],
        forest=picture,
        paper=paper_table.grid("Under the paper's conditions", paper_table.lines(suite, beside)),
        sections=sections,
        legend=(*LEGEND, *significance_table.NOTES, *weights_table.NOTES),
        footer=FOOTER,
        script=Markup(script),
        style=Markup(style),
        script_hash=_hash(script),
    )


def summary(comparisons: Sequence[Comparison]) -> list[str]:
    """Returns in a few lines how often dsd wins: the first thing a reader sees."""
    told = []
    for over, words in AGAINST.items():
        verdicts = [one.verdict for one in comparisons if one.over == over]
        if verdicts:
            count = verdicts.count
            told.append(
                f"{words}, over {len(verdicts)} test figures: DSD is better in {count('better')}, "
                f"worse in {count('worse')}; no difference is shown in {count('none')}; "
                f"{count('one seed')} have one seed and no verdict."
            )
    return told


def _forest(comparisons: Sequence[Comparison]) -> Picture | None:
    figure = forest.picture(comparisons)
    title = (
        "DSD's gain in percent of the other arm's figure: mean and 95 % interval over seeds. "
        "Hollow: no interval, for want of seeds or of spread. An arrow: beyond the axis."
    )
    return Picture(title, svg(figure, "forest", title)) if figure else None


def _add_gallery(sections: list[Section], runs: list[Run], root: Path) -> None:
    """Puts captions into the section of their runs, or into one of their own."""
    name = anchor(runs[0])
    own = [one for one in sections if one.anchor == name]
    if not own:
        title = f"{short(runs[0])}: captions"
        own = [Section(name, title, title)]
        sections += own
    own[0].gallery = captioned(runs, root)


def _hash(script: str) -> str:
    """Returns what the content security policy calls the script that stands in the page."""
    inside = f"\n{script}\n".encode()
    return "sha256-" + base64.b64encode(hashlib.sha256(inside).digest()).decode()


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
