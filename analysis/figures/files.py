"""Pictures as files: `dsd figures` draws the standard ones, other commands one each.

A PNG holds the checksum of the SVG that the same picture gives: whether it is stale can be seen
without the SVG, and does not depend on how a machine renders dots.
"""

import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from analysis.figures import budgets, curves, histograms, plots, sparsity
from analysis.groups import groups
from analysis.records import Run, read_all
from dsd.errors import UserError
from dsd.runs.files import write_atomically
from dsd.suite.folder import Suite

DRAWN_FROM = "Drawn-From"  # in a PNG: the SVG's SHA-256
MINIATURES = 6  # images of the miniature in its gallery
Draw = Callable[[], Figure]


def save(figure: Figure, folder: Path, name: str, svg: bool = False) -> Path:
    """Writes <name>.png, or .svg, the same bytes each time; returns its path."""
    path = folder / f"{name}.{'svg' if svg else 'png'}"
    _write(figure, path)
    return path


def draw(
    suite: Suite, out: Path | None = None, svg: bool = False, records: Path | None = None
) -> list[Path]:
    """Draws the standard figures to `out`; returns what changed.

    records: another folder of records than results/runs/. Without `out` the pictures go into
    figures/ beside the records' folder.
    """
    folder = out or (records.absolute().parent if records else suite.root / "results") / "figures"
    drawn = {
        folder / f"{name}.{'svg' if svg else 'png'}": make
        for name, make in standard(suite, records).items()
    }
    return [path for path, make in drawn.items() if _write(make(), path)]


def check(suite: Suite) -> None:
    """Raises UserError that names the PNGs in results/figures/ which are not what the records give.

    A picture that README.md or a page in docs/ shows has to be there.
    """
    folder, made = suite.root / "results" / "figures", standard(suite)
    names = sorted({path.stem for path in folder.glob("*.png")} | _shown(suite))
    if unknown := [name for name in names if name not in made]:
        raise UserError(f"{_listed(unknown)}: no record gives this; remove it, and from the pages")
    if stale := [n for n in names if not _is(folder / f"{n}.png", plots.svg(made[n]()))]:
        raise UserError(f"{_listed(stale)}: stale; draw again with: dsd figures")


def standard(suite: Suite, records: Path | None = None) -> dict[str, Draw]:
    """Returns {file name without an ending: what draws the picture} of the committed records.

    Or of those of another folder. Of each recipe and scale: learning curves, test figures at equal
    budgets, dsd's histograms; a sweep over sparsities where there is one. Of committed miniatures
    the captions alone.
    """
    seen: Counter[str] = Counter()
    drawn: dict[str, Draw] = {}
    for name, make in _standard(suite, records):
        seen[name] += 1  # two groups of one label differ in their precision or data
        drawn[f"{name}.{seen[name]}" if seen[name] > 1 else name] = make
    return drawn


def _standard(suite: Suite, records: Path | None) -> Iterator[tuple[str, Draw]]:
    results = suite.root / "results"
    found = groups(read_all(records or results / "runs"))
    if not records:
        found = [group for group in found if group.first.scale != "mini"]
    for group, _ in sparsity.with_sweeps(found):
        runs = curves.of_first_seed(group)
        yield curves.name(runs), partial(curves.picture, runs)
        yield budgets.name(group), partial(budgets.picture, group)
        for run in [*group.arms.get("dsd", {}).values()][:1]:
            for number, _ in enumerate(histograms.rounds(run), start=1):
                given = (run, None, number)
                yield histograms.name(*given), partial(histograms.picture, *given)
    for sweep in sparsity.sweeps(found):
        yield sparsity.name(sweep), partial(sparsity.picture, sweep)
    if records:
        return
    for group in groups(read_all(results / "miniature")):
        from analysis.figures import gallery  # reads the corpus, which a suite of one's own lacks

        runs = curves.of_first_seed(group)
        yield gallery.name(runs[0]), partial(_gallery, suite, runs)


def _gallery(suite: Suite, runs: list[Run]) -> Figure:
    from analysis.figures import gallery

    root = gallery.folder(suite, runs[0].record)
    return gallery.picture(gallery.of_runs(runs, root, MINIATURES))


def _shown(suite: Suite) -> set[str]:
    """Returns the names of the pictures that pages show."""
    pages = [*suite.root.glob("README.md"), *suite.root.glob("docs/*.md")]
    texts = (page.read_text(encoding="utf-8") for page in pages)
    return {name for text in texts for name in re.findall(r"results/figures/(\S+)\.png", text)}


def _write(figure: Figure, path: Path) -> bool:
    """Writes a picture unless it is there; returns whether it was not."""
    text = plots.svg(figure)  # first: each drawing moves the layout a little
    if _is(path, text):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".svg":
        write_atomically(path, text)
        return True
    file = io.BytesIO()
    with plots.style():
        figure.savefig(file, dpi=150, metadata={"Software": None, DRAWN_FROM: _digest(text)})
    write_atomically(path, file.getvalue())
    return True


def _is(path: Path, svg: bytes) -> bool:
    """Returns whether a file is whole and shows the same as an SVG."""
    if path.suffix == ".svg":
        return path.exists() and path.read_bytes() == svg
    try:
        with Image.open(path) as png:
            known = png.info.get(DRAWN_FROM)
            png.verify()
    except (OSError, SyntaxError):  # Pillow's for a broken PNG
        return False
    return known == _digest(svg)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _listed(names: list[str]) -> str:
    return ", ".join(f"results/figures/{name}.png" for name in names)
