"""`dsd tables`: what it prints, what it writes, and whether what was written is still true."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console

from analysis import paper_files
from analysis.grid import Grid, csv_text
from analysis.records import Group, groups, read_all
from analysis.tables import (
    architectures,
    conditions,
    image_tables,
    paper_table,
    recipes_page,
    significance_table,
    speech_tables,
    table1,
    table5,
    weights_table,
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
TEX_MADE_BY = "% written by `dsd tables`; do not edit; needs \\usepackage{booktabs,graphicx}\n"
MADE_BY = "<!-- written by `dsd tables`; do not edit -->\n"


@dataclass(frozen=True)
class Page:
    """One of the pages in results/tables/, from which its three files follow."""

    name: str
    title: str
    beside: list[Grid]  # with the paper's figures, run or not
    ours: list[Grid]  # of our records
    rows: Iterable[dict[str, Any]]  # the same as numbers
    legend: Sequence[str] = LEGEND

    def files(self, folder: Path) -> dict[Path, str]:
        """Returns what the page's Markdown, CSV and LaTeX should hold."""
        grids = [*self.beside, *self.ours]
        body = _joined(grids, self.legend) if grids else "No runs yet.\n"
        # A float leaves its place: each takes the legend along.
        floats = [replace(grid, notes=(*grid.notes, *self.legend)).latex() for grid in grids]
        return {
            folder / f"{self.name}.md": f"{MADE_BY}# {self.title}\n\n{body}",
            folder / f"{self.name}.csv": csv_text(self.rows),
            folder / f"{self.name}.tex": "\n".join([TEX_MADE_BY, *floats]),
        }


def show(suite: Suite, records: Path, scale: str | None, console: Console) -> None:
    """Prints the tables of a folder's records, of all scales or of one.

    Raises UserError when there is no record of the scale, or a record cannot be used.
    """
    found = groups(read_all(records, scale))
    if not found and scale not in (None, "full"):
        example = next(iter(suite.recipes))
        raise UserError(
            f"{records}: no record of scale {scale}; make some, for example with: "
            f"dsd run {example} --scale {scale} --arm all"
        )
    for page in pages(suite, found):
        beside = page.beside if scale in (None, "full") else []
        for grid in [*beside, *page.ours]:
            grid.show(console)
    for line in LEGEND:
        console.print(line, style="dim")


def pages(suite: Suite, found: Sequence[Group]) -> list[Page]:
    """Returns every page, of records put into groups.

    Raises UserError that names the file when one of the paper's tables is missing or damaged.
    """
    paper_files.check(suite.root / "results" / "paper")
    beside, apart = _sort_out(suite, found)
    lines, zoo = list(paper_table.lines(suite, beside)), list(table1.zoo(suite, beside))
    captions = table5.captioning(found)
    return [
        Page(
            "paper_versus_ours",
            "The paper's figures and ours",
            [paper_table.grid("Under the paper's conditions", lines)],
            [],
            paper_table.rows(lines),
        ),
        Page(
            "other_conditions",
            "Under other conditions than the paper's",
            [],
            [conditions.arms_grid(group, why) for group, why in apart],
            chain.from_iterable(conditions.arms_rows(group) for group, _ in apart),
        ),
        Page(
            "table1",
            "Table 1 beside ours",
            [table1.grid(suite, beside)],
            [],
            table1.csv_rows(suite, beside),
            PAPERS,
        ),
        *_images(suite, beside),
        Page(
            "model_zoo",
            "The model zoo beside ours",
            [paper_table.grid("Model zoo, ImageNet", zoo)],
            [],
            ({"network": line.title, **row} for line in zoo for row in paper_table.rows([line])),
            (*LEGEND, "Sparsities, epochs and rates: docs/recipes.md."),
        ),
        Page(
            "table5",
            "Table 5 beside ours",
            [],
            [grid for group in captions for grid in table5.grids(suite, group)],
            table5.csv_rows(suite, captions),
            WITH_INTERVALS,
        ),
        *_sizes(suite),
        *_speech(suite, found),
        Page(
            "phases",
            "After every phase",
            [],
            [conditions.phases_grid(group) for group in found],
            chain.from_iterable(map(conditions.phases_rows, found)),
        ),
        Page(
            "significance",
            "Does DSD beat the other arms?",
            [],
            significance_table.grids(found),
            significance_table.csv_rows(found),
            significance_table.NOTES,
        ),
        Page(
            "weights",
            "What became of the weights",
            [],
            weights_table.grids(found),
            weights_table.csv_rows(found),
            weights_table.NOTES,
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


def _images(suite: Suite, beside: Sequence[Group]) -> list[Page]:
    """Returns tables 2 to 4 and the appendix; two networks may share a page."""
    found = []
    for name in dict.fromkeys(table.page for table in image_tables.TABLES):
        tables = [table for table in image_tables.TABLES if table.page == name]
        grids = [grid for table in tables for grid in image_tables.grids(suite, table, beside)]
        rows = [row for table in tables for row in image_tables.csv_rows(suite, table, beside)]
        title = f"{name.replace('table', 'Table ').capitalize()} beside ours"
        found.append(Page(name, title, grids, [], rows, PAPERS))
    return found


def _sizes(suite: Suite) -> list[Page]:
    return [
        Page(
            f"table{table.number}",
            f"Table {table.number} beside ours",
            [architectures.grid(suite, table)],
            [],
            architectures.csv_rows(suite, table),
            [UNVERIFIED],
        )
        for table in architectures.TABLES
    ]


def _speech(suite: Suite, found: Sequence[Group]) -> list[Page]:
    pages = []
    for table in speech_tables.TABLES:
        mine = speech_tables.of_table(table, found)
        pages.append(
            Page(
                f"table{table.number}",
                f"Table {table.number} beside ours",
                speech_tables.papers_grids(suite, table, mine),
                [speech_tables.phases_grid(suite, group) for group in mine],
                speech_tables.csv_rows(suite, table, mine),
                WITH_INTERVALS,
            )
        )
    return pages


def _short(suite: Suite, found: Sequence[Group]) -> str:
    """Returns README's tables: the paper's conditions, and a line each of the others."""
    beside, apart = _sort_out(suite, found)
    main = paper_table.grid("Under the paper's conditions", paper_table.lines(suite, beside))
    # Sweeps are left to results/tables/.
    whole = [(group, why) for group, why in apart if not group.first.overrides]
    others = [conditions.overview_grid(whole)] if whole else []
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
