"""`dsd figures`: the standard figures of the committed records, and whether they are still true.

Of each recipe and scale: learning curves, test figures at equal budgets, dsd's histograms; and a
sweep over sparsities where there is one. Miniatures are left out.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from analysis.figures import budgets, curves, histograms, plots, sparsity
from analysis.records import Group, groups, read_all
from dsd.errors import UserError
from dsd.suite.folder import Suite


def draw(suite: Suite, out: Path | None = None) -> list[Path]:
    """Draws the figures that are stale to `out` (default: results/figures/); returns the files."""
    folder = out or suite.root / "results" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    with plots.style():
        for name, figure in figures(suite):
            png, vector = folder / f"{name}.png", folder / f"{name}.svg"
            text = plots.svg(figure)
            if _differs(vector, text) or not png.exists():
                vector.write_bytes(text)
                plots.save_png(figure, png)
                changed += [png, vector]
    return changed


def check(suite: Suite) -> None:
    """Raises UserError that names the SVGs in results/figures/ that are missing or stale."""
    folder = suite.root / "results" / "figures"
    with plots.style():
        drawn = {folder / f"{name}.svg": plots.svg(figure) for name, figure in figures(suite)}
    names = [
        str(path.relative_to(suite.root)) for path, text in drawn.items() if _differs(path, text)
    ]
    if names:
        raise UserError(f"{', '.join(names)}: stale; draw anew with: dsd figures")


def figures(suite: Suite) -> Iterator[tuple[str, Figure]]:
    """Yields (file name without ending, picture), one after another; to be drawn in our style."""
    seen: Counter[str] = Counter()
    for name, figure in _figures(suite):
        seen[name] += 1  # two groups of one label differ in their precision or data
        yield (f"{name}.{seen[name]}" if seen[name] > 1 else name), figure


def _figures(suite: Suite) -> Iterator[tuple[str, Figure]]:
    found = groups(read_all(suite.root / "results" / "runs"))
    found = [group for group in found if group.first.scale != "mini"]
    for group, _ in sparsity.with_sweeps(found):
        yield from _of_group(group)
    for sweep in sparsity.sweeps(found):
        yield sparsity.file(sweep), sparsity.picture(sweep)


def _of_group(group: Group) -> Iterator[tuple[str, Figure]]:
    runs = curves.of_first_seed(group)
    yield curves.file(runs[0]), curves.picture(runs, curves.segments(runs))
    yield budgets.file(group), budgets.picture(group)
    if "dsd" in group.arms:
        run = next(iter(group.arms["dsd"].values()))
        for number in range(1, histograms.rounds(run.record) + 1):
            drawn = histograms.of_record(run, None, number)
            yield drawn.file, histograms.picture(drawn)


def _differs(path: Path, text: bytes) -> bool:
    return not path.exists() or path.read_bytes() != text
