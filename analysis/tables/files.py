"""`dsd tables`: what it prints, what it writes, and whether what was written is still true."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from rich.console import Console

from analysis.arms import ARMS
from analysis.grid import Grid, csv_text
from analysis.results import Results
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
    verdicts,
    weights,
)
from dsd.errors import UserError
from dsd.suite.folder import Suite

BEGIN, END = "<!-- {}:begin -->\n", "<!-- {}:end -->\n"  # in README
GAIN = (
    "Gain: positive is better. Mean ± sd of the differences between runs of the same seed (in "
    "percent of the other arm's mean, n pairs). Tests: results/tables/significance.md."
)
UNVERIFIED = "†: not verified in a copy of the paper."
LEGEND = (
    "Ours: mean ± sample standard deviation (n seeds). Not run: there is no record.",
    GAIN,
    "; ".join(f"{arm.name}: {arm.label}" for arm in ARMS.values()) + ".",
    UNVERIFIED,
)
WITH_INTERVALS = [line for line in LEGEND if line != GAIN]  # where intervals say more
PAPERS = (LEGEND[0], UNVERIFIED)
VERDICTS_WHOLE = (
    "With p values, power, hours and the meaning of the words: "
    "[results/tables/verdicts.md](results/tables/verdicts.md)."
)
PAPER_WHOLE = (
    "Gain: positive is better. †: not verified in a copy of the paper. All arms and notes: "
    "[results/tables/paper_versus_ours.md](results/tables/paper_versus_ours.md); runs under other "
    "conditions: [results/tables/other_conditions.md](results/tables/other_conditions.md)."
)
TEX_NEEDS = "% for lualatex or xelatex with \\usepackage{booktabs,graphicx}\n"
MADE_BY = "<!-- written by `dsd tables`; do not edit -->\n"


@dataclass(frozen=True)
class Page:
    """One of the pages in results/tables/, from which its files follow."""

    name: str
    title: str
    beside: Sequence[Table] = ()  # with the paper's figures, run or not
    ours: Sequence[Table] = ()  # of our records
    legend: Sequence[str] = LEGEND

    @cached_property
    def grids(self) -> list[Grid]:
        """Returns its tables in words, those of the paper first."""
        grids = [table.grid() for table in [*self.beside, *self.ours]]
        return [grid for grid in grids if grid.rows]

    def files(self, folder: Path) -> dict[Path, str]:
        """Returns what the page's Markdown and CSV should hold."""
        body = _joined(self.grids, self.legend) if self.grids else "No runs yet.\n"
        rows = chain.from_iterable(table.csv_rows() for table in [*self.beside, *self.ours])
        return {
            folder / f"{self.name}.md": f"{MADE_BY}# {self.title}\n\n{body}",
            folder / f"{self.name}.csv": csv_text(rows),
        }

    def latex(self) -> str:
        """Returns the tables as LaTeX. A float leaves its place: each takes the legend along."""
        floats = [replace(one, notes=(*one.notes, *self.legend)) for one in self.grids]
        return "\n".join([TEX_NEEDS, *(one.latex() for one in floats)])


def pages(results: Results) -> list[Page]:
    """Returns every page. Raises UserError that names a table of the paper that is damaged."""
    return [*(_papers(results) if results.has_paper else []), *_ours(results)]


def _papers(results: Results) -> list[Page]:
    """Returns the pages of the paper's claims and tables, run or not."""
    papers = {one: table7_table9.tables(results, one) for one in table7_table9.TABLES}
    return [
        Page(
            "verdicts",
            "What our runs say of the paper's claims",
            [verdicts.brief(results), verdicts.table(results)],  # with the paper's: run or not
            legend=verdicts.NOTES,
        ),
        Page("losses", "Losses of every arm", ours=[verdicts.losses(results)], legend=()),
        Page(
            "paper_versus_ours", "The paper's figures and ours", [paper_versus_ours.table(results)]
        ),
        _beside("table1", [table1.table(results)], legend=PAPERS),
        *_images(results),
        Page(
            "model_zoo",
            "The model zoo beside ours",
            [paper_versus_ours.zoo(results)],
            legend=(*LEGEND, "Sparsities, epochs and rates: docs/recipes.md."),
        ),
        _beside("table5", ours=table5.tables(results), legend=WITH_INTERVALS),
        *(
            _beside(one.page, [table6_table8.table(results, one)], legend=[UNVERIFIED])
            for one in table6_table8.TABLES
        ),
        *(_beside(one.page, *both, WITH_INTERVALS) for one, both in papers.items()),
    ]


def _ours(results: Results) -> list[Page]:
    """Returns the pages that any suite's runs have."""
    return [
        Page(
            "other_conditions",
            "Under other conditions than the paper's" if results.of_paper else "All runs",
            ours=[
                other_conditions.overview(results),
                *(other_conditions.table(results, group) for group in results.apart),
            ],
            legend=legend(results),
        ),
        Page(
            "phases",
            "After every phase",
            ours=[phases.table(group) for group in results.groups],
            legend=legend(results),
        ),
        Page(
            "significance",
            "Does DSD beat the other arms?",
            ours=significance.tables(results),
            legend=significance.NOTES,
        ),
        Page(
            "weights",
            "What became of the weights",
            ours=weights.tables(results.groups),
            legend=weights.NOTES,
        ),
    ]


def legend(results: Results) -> Sequence[str]:
    """Returns what is said beneath tables; nothing of the paper where no run is of it."""
    return [line for line in LEGEND if results.of_paper or line != UNVERIFIED]


def summary(results: Results) -> Grid:
    """Returns what came out, in one table: of the paper's claims, or of a suite's own runs."""
    claims = verdicts.by_claim(results).grid()
    return claims if claims.rows else other_conditions.overview(results).grid()


def show(
    pages: Sequence[Page], console: Console, papers: bool = True, legend: Sequence[str] = LEGEND
) -> None:
    """Prints the pages, `papers`: the tables beside the paper's, too."""
    for page in pages:
        for grid in page.grids[0 if papers else len(page.beside) :]:
            grid.show(console)
    for line in legend:
        console.print(line, style="dim")


def write_latex(pages: Sequence[Page], folder: Path) -> list[Path]:
    """Writes a file a page that has tables, and returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in pages:
        if page.grids:
            written.append(folder / f"{page.name}.tex")
            written[-1].write_text(page.latex(), encoding="utf-8")
    return written


def files(results: Results, made: Sequence[Page]) -> dict[Path, str]:
    """Returns what each generated file should hold: of the pages, README and docs/recipes.md."""
    root = results.suite.root
    wanted: dict[Path, str] = {}
    for page in made:
        wanted |= page.files(root / "results" / "tables")
    wanted[root / "docs" / "recipes.md"] = MADE_BY + recipes_page.page(results.suite)
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    for name, block in _readme(results).items() if results.has_paper else ():
        if BEGIN.format(name) in text:
            wanted[readme] = text = _between_markers(readme, text, name, block)
    return wanted


def stale(wanted: dict[Path, str]) -> list[Path]:
    """Returns the generated files that are missing or hold something else than they should."""
    return [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_bytes() != text.encode()
    ]


def check(suite: Suite, wanted: dict[Path, str]) -> None:
    """Raises UserError that names the generated files that are stale."""
    names = [str(path.relative_to(suite.root)) for path in stale(wanted)]
    if names:
        raise UserError(f"{', '.join(names)}: stale; write again with: dsd tables")


def write(wanted: dict[Path, str]) -> list[Path]:
    """Writes the generated files that are stale and returns them."""
    changed = stale(wanted)
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted[path].encode())
    return changed


def _beside(
    name: str,
    papers: Sequence[Table] = (),
    ours: Sequence[Table] = (),
    legend: Sequence[str] = LEGEND,
) -> Page:
    title = name.replace("table", "Table ").capitalize()
    return Page(name, f"{title} beside ours", papers, ours, legend)


def _images(results: Results) -> list[Page]:
    """Returns tables 2 to 4 and the appendix; two networks may share a page."""
    made: dict[str, list[Table]] = {}
    for one in table2_table3_table4_appendix.TABLES:
        tables = table2_table3_table4_appendix.tables(results, one)
        made.setdefault(one.page, []).extend(tables)
    return [_beside(name, tables, legend=PAPERS) for name, tables in made.items()]


def _readme(results: Results) -> dict[str, str]:
    """Returns README's tables by the name in their markers, few columns beneath its headings."""
    ours = verdicts.by_claim(results).grid()
    papers = paper_versus_ours.brief(results).grid()
    ours, papers = replace(ours, title=""), replace(papers, title="")
    short = "".join(f"- {line}\n" for line in verdicts.in_short(results))
    return {
        "verdicts": f"{short}\n" + _joined([ours], [f"{verdicts.BY_CLAIM_NOTE} {VERDICTS_WHOLE}"])
        if ours.rows
        else "No runs yet.\n",
        "table": _joined([papers], [PAPER_WHOLE]),
    }


def _joined(grids: Sequence[Grid], legend: Sequence[str]) -> str:
    lines = "".join(f"{line}<br>\n" for line in legend)
    return "\n".join([*(grid.markdown() for grid in grids), lines])


def _between_markers(path: Path, text: str, name: str, block: str) -> str:
    before, begin, rest = text.partition(BEGIN.format(name))
    _, end, after = rest.partition(END.format(name))
    if not end:
        raise UserError(f"{path}: has no {END.format(name).strip()} after its begin; add it")
    return f"{before}{begin}{block}{end}{after}"
