"""`dsd tables`: what it prints, what it writes, and whether what was written is still true."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from analysis.grid import Grid, csv_text
from analysis.records import Group, groups, read_all
from analysis.tables import (
    architectures,
    conditions,
    paper_table,
    recipes_page,
    speech_tables,
    table5,
)
from dsd.errors import UserError
from dsd.suite import Suite

BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"
GAIN = (
    "Gain: positive is better. Mean ± sd of the differences between runs of the same seed (in "
    "percent of the other arm's mean, n pairs). No test of significance."
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
MADE_BY = "<!-- written by `dsd tables`; do not edit -->\n"


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
    beside, apart = _sort_out(suite, found)
    if scale in (None, "full"):
        paper_table.grid(suite, beside).show(console)
    for group, why in apart:
        conditions.arms_grid(group, why).show(console)
    for grid in _table5(suite, found):
        grid.show(console)
    for table in speech_tables.TABLES:
        for group in speech_tables.of_table(table, found):
            speech_tables.phases_grid(suite, group).show(console)
    for group in found:
        conditions.phases_grid(group).show(console)
    for line in LEGEND:
        console.print(line, style="dim")


def files(suite: Suite) -> dict[Path, str]:
    """Returns what each generated file should hold, from the committed records and the recipes."""
    found = groups(read_all(suite.root / "results" / "runs"))
    beside, apart = _sort_out(suite, found)
    main = paper_table.grid(suite, beside)
    folder = suite.root / "results" / "tables"
    others = [conditions.arms_grid(group, why) for group, why in apart]
    phases = [conditions.phases_grid(group) for group in found]
    wanted = {
        folder / "paper_versus_ours.md": _page("The paper's figures and ours", [main]),
        folder / "paper_versus_ours.csv": csv_text(paper_table.rows(suite, beside)),
        folder / "other_conditions.md": _page("Under other conditions than the paper's", others),
        folder / "other_conditions.csv": csv_text(
            row for group, _ in apart for row in conditions.arms_rows(group)
        ),
        folder / "phases.md": _page("After every phase", phases),
        folder / "phases.csv": csv_text(
            row for group in found for row in conditions.phases_rows(group)
        ),
        folder / "table5.md": _page("Table 5 beside ours", _table5(suite, found), WITH_INTERVALS),
        folder / "table5.csv": csv_text(table5.csv_rows(suite, table5.captioning(found))),
        **_speech(suite, folder, found),
        suite.root / "docs" / "recipes.md": MADE_BY + recipes_page.page(suite),
    }
    readme = suite.root / "README.md"
    if readme.exists() and BEGIN in (text := readme.read_text(encoding="utf-8")):
        whole = [
            grid
            for grid, (group, _) in zip(others, apart, strict=True)
            if not group.first.overrides  # sweeps are left to results/tables/
        ]
        wanted[readme] = _between_markers(readme, text, _joined([main, *whole]))
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


def _sort_out(
    suite: Suite, found: list[Group]
) -> tuple[list[Group], list[tuple[Group, list[str]]]]:
    """Returns the groups that may stand beside the paper's figures, and the others with reasons."""
    judged = [(group, group.reasons_apart(suite)) for group in found]
    return [group for group, why in judged if not why], [(g, why) for g, why in judged if why]


def _table5(suite: Suite, found: list[Group]) -> list[Grid]:
    return [grid for group in table5.captioning(found) for grid in table5.grids(suite, group)]


def _speech(suite: Suite, folder: Path, found: list[Group]) -> dict[Path, str]:
    """Returns what the files of tables 6 to 9 should hold."""
    wanted = {}
    for sizes in architectures.TABLES:
        name, grid = f"table{sizes.number}", architectures.grid(suite, sizes)
        title = f"Table {sizes.number} beside ours"
        wanted[folder / f"{name}.md"] = _page(title, [grid], [UNVERIFIED])
        wanted[folder / f"{name}.csv"] = csv_text(architectures.csv_rows(suite, sizes))
    for table in speech_tables.TABLES:
        name, groups = f"table{table.number}", speech_tables.of_table(table, found)
        grids = speech_tables.papers_grids(suite, table, groups)
        grids += [speech_tables.phases_grid(suite, group) for group in groups]
        title = f"Table {table.number} beside ours"
        wanted[folder / f"{name}.md"] = _page(title, grids, WITH_INTERVALS)
        wanted[folder / f"{name}.csv"] = csv_text(speech_tables.csv_rows(suite, table, groups))
    return wanted


def _page(title: str, grids: list[Grid], legend: Sequence[str] = LEGEND) -> str:
    body = _joined(grids, legend) if grids else "No runs yet.\n"
    return f"{MADE_BY}# {title}\n\n{body}"


def _joined(grids: list[Grid], legend: Sequence[str] = LEGEND) -> str:
    lines = "".join(f"{line}<br>\n" for line in legend)
    return "\n".join([*(grid.markdown() for grid in grids), lines])


def _between_markers(path: Path, text: str, block: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise UserError(f"{path}: has {BEGIN} but no {END} after it; add it")
    return f"{before}{BEGIN}\n{block}{END}{after}"
