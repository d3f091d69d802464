"""`dsd tables`: what it prints, what it writes, and whether what was written is still true."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console

from analysis import paper
from analysis.grid import Grid, csv_text
from analysis.groups import Group, groups
from analysis.records import read_all
from analysis.table import Table
from analysis.tables import (
    other_conditions,
    paper_versus_ours,
    phases,
    recipes_page,
    significance,
    table1,
    table2_table3_table4_appendix,
    table5,
    table6_table8,
    table7_table9,
    weights,
)
from dsd.errors import UserError
from dsd.suite.folder import Suite

BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"
GAIN = (
    "Gain: positive is better. Mean ± sd of the differences between runs of the same seed (in "
    "percent of the other arm's mean, n pairs). Tests: results/tables/significance.md."
)
UNVERIFIED = "†: not verified in a copy of the paper."
LEGEND = (
    "Ours: mean ± sample standard deviation (n seeds). Not run: there is no record.",
    GAIN,
    "finetune: dsd's phases and rates without a mask. random: with a random mask. llr: the dense "
    "training goes on at a low rate.",
    UNVERIFIED,
)
WITH_INTERVALS = [line for line in LEGEND if line != GAIN]  # where intervals say more
PAPERS = (LEGEND[0], UNVERIFIED)
ALL_OF_IT = (
    "Phases, notes and sweeps: "
    "[results/tables/other_conditions.md](results/tables/other_conditions.md)."
)
TEX_NEEDS = "% written by `dsd tables --latex`; needs \\usepackage{booktabs,graphicx}\n"
MADE_BY = "<!-- written by `dsd tables`; do not edit -->\n"


@dataclass(frozen=True)
class Page:
    """One of the pages in results/tables/, from which its files follow."""

    name: str
    title: str
    beside: Sequence[Table[Any]] = ()  # with the paper's figures, run or not
    ours: Sequence[Table[Any]] = ()  # of our records
    legend: Sequence[str] = LEGEND

    def grids(self, papers: bool = True) -> list[Grid]:
        """Returns its tables in words, with the paper's or without."""
        grids = [table.grid() for table in [*(self.beside if papers else ()), *self.ours]]
        return [grid for grid in grids if grid.rows]

    def files(self, folder: Path) -> dict[Path, str]:
        """Returns what the page's Markdown and CSV should hold."""
        grids = self.grids()
        body = _joined(grids, self.legend) if grids else "No runs yet.\n"
        rows = chain.from_iterable(table.csv_rows() for table in [*self.beside, *self.ours])
        return {
            folder / f"{self.name}.md": f"{MADE_BY}# {self.title}\n\n{body}",
            folder / f"{self.name}.csv": csv_text(rows),
        }

    def latex(self) -> str:
        """Returns the tables as LaTeX. A float leaves its place: each takes the legend along."""
        floats = [replace(one, notes=(*one.notes, *self.legend)) for one in self.grids()]
        return "\n".join([TEX_NEEDS, *(one.latex() for one in floats)])


def show(suite: Suite, records: Path, scale: str | None, console: Console) -> None:
    """Prints the tables of a folder's records, of all scales or of one.

    Raises UserError when there is no record of the scale, or a record cannot be used.
    """
    for page in _pages_of(suite, records, scale):
        for grid in page.grids(papers=scale in (None, "full")):
            grid.show(console)
    for line in LEGEND:
        console.print(line, style="dim")


def write_latex(suite: Suite, records: Path, scale: str | None, folder: Path) -> list[Path]:
    """Writes the same as LaTeX, a file a page that has tables, and returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in _pages_of(suite, records, scale):
        if page.grids():
            written.append(folder / f"{page.name}.tex")
            written[-1].write_text(page.latex(), encoding="utf-8")
    return written


def pages(suite: Suite, found: Sequence[Group]) -> list[Page]:
    """Returns every page, of records put into groups.

    Raises UserError that names the file when one of the paper's tables is missing or damaged.
    """
    papers = paper.load(suite.root)
    beside, apart = _sort_out(suite, found)
    return [
        Page(
            "paper_versus_ours",
            "The paper's figures and ours",
            [paper_versus_ours.table(suite, papers, beside)],
        ),
        Page(
            "other_conditions",
            "Under other conditions than the paper's",
            ours=[other_conditions.table(group, why) for group, why in apart],
        ),
        Page("table1", "Table 1 beside ours", [table1.table(papers, beside)], legend=PAPERS),
        *_images(papers, beside),
        Page(
            "model_zoo",
            "The model zoo beside ours",
            [paper_versus_ours.zoo(papers, beside)],
            legend=(*LEGEND, "Sparsities, epochs and rates: docs/recipes.md."),
        ),
        Page(
            "table5",
            "Table 5 beside ours",
            ours=[
                table
                for group in table5.captioning(found)
                for table in table5.tables(suite, papers, group)
            ],
            legend=WITH_INTERVALS,
        ),
        *(
            Page(
                f"table{one.number}",
                f"Table {one.number} beside ours",
                [table6_table8.table(papers, one)],
                legend=[UNVERIFIED],
            )
            for one in table6_table8.TABLES
        ),
        *(
            Page(
                f"table{one.number}",
                f"Table {one.number} beside ours",
                table7_table9.papers_tables(suite, papers, one, found),
                table7_table9.phases_tables(suite, papers, one, found),
                WITH_INTERVALS,
            )
            for one in table7_table9.TABLES
        ),
        Page("phases", "After every phase", ours=[phases.table(group) for group in found]),
        Page(
            "significance",
            "Does DSD beat the other arms?",
            ours=significance.tables(found),
            legend=significance.NOTES,
        ),
        Page(
            "weights",
            "What became of the weights",
            ours=[*weights.tables(found), weights.layer_table(found)],
            legend=weights.NOTES,
        ),
    ]


def files(suite: Suite) -> dict[Path, str]:
    """Returns what each generated file should hold, from the committed records and the recipes."""
    found = groups(read_all(suite.root / "results" / "runs"))
    folder = suite.root / "results" / "tables"
    wanted: dict[Path, str] = {}
    for page in pages(suite, found):
        wanted |= page.files(folder)
    wanted[suite.root / "docs" / "recipes.md"] = MADE_BY + recipes_page.page(suite)
    readme = suite.root / "README.md"
    if readme.exists() and BEGIN in (text := readme.read_text(encoding="utf-8")):
        wanted[readme] = _between_markers(readme, text, _short(suite, found))
    return wanted


def stale(wanted: dict[Path, str]) -> list[Path]:
    """Returns the generated files that are missing or hold something else than they should."""
    return [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_bytes() != text.encode()
    ]


def check(suite: Suite) -> None:
    """Raises UserError that names the generated files that are stale."""
    names = [str(path.relative_to(suite.root)) for path in stale(files(suite))]
    if names:
        raise UserError(f"{', '.join(names)}: stale; write anew with: dsd tables")


def write(suite: Suite) -> list[Path]:
    """Writes the generated files that are stale and returns them."""
    wanted = files(suite)
    changed = stale(wanted)
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted[path].encode())
    return changed


def _pages_of(suite: Suite, records: Path, scale: str | None) -> list[Page]:
    found = groups(read_all(records, scale))
    if not found and scale not in (None, "full"):
        example = next(iter(suite.recipes))
        raise UserError(
            f"{records}: no record of scale {scale}; make some, for example with: "
            f"dsd run {example} --scale {scale} --arm all"
        )
    return pages(suite, found)


def _images(papers: paper.Paper, beside: Sequence[Group]) -> list[Page]:
    """Returns tables 2 to 4 and the appendix; two networks may share a page."""
    made: dict[str, list[Table[Any]]] = {}
    for one in table2_table3_table4_appendix.TABLES:
        tables = table2_table3_table4_appendix.tables(papers, one, beside)
        made.setdefault(one.page, []).extend(tables)
    return [
        Page(
            name, f"{name.replace('table', 'Table ').capitalize()} beside ours", tables, (), PAPERS
        )
        for name, tables in made.items()
    ]


def _short(suite: Suite, found: Sequence[Group]) -> str:
    """Returns README's tables: the paper's conditions, and a line each of the others."""
    beside, apart = _sort_out(suite, found)
    main = paper_versus_ours.table(suite, paper.load(suite.root), beside).grid()
    # Sweeps are left to results/tables/.
    whole = [(group, why) for group, why in apart if not group.first.overrides]
    others = [other_conditions.overview(whole).grid()] if whole else []
    return _joined([main, *others], [*LEGEND, ALL_OF_IT])


def _sort_out(
    suite: Suite, found: Sequence[Group]
) -> tuple[list[Group], list[tuple[Group, list[str]]]]:
    """Returns the groups that may stand beside the paper's figures, and the others with reasons."""
    judged = [(group, group.reasons_apart(suite)) for group in found]
    return [group for group, why in judged if not why], [(g, why) for g, why in judged if why]


def _joined(grids: Sequence[Grid], legend: Sequence[str]) -> str:
    lines = "".join(f"{line}<br>\n" for line in legend)
    return "\n".join([*(grid.markdown() for grid in grids), lines])


def _between_markers(path: Path, text: str, block: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise UserError(f"{path}: has {BEGIN} but no {END} after it; add it")
    return f"{before}{BEGIN}\n{block}{END}{after}"
