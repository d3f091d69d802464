"""Where a report's records and photographs come from, and where it goes.

A page is kept in runs/cache/ under a checksum of all that it is made from, and not made twice.
"""

import hashlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import dsd
from dsd.errors import UserError
from dsd.runs.files import write_atomically
from dsd.suite.folder import Suite

if TYPE_CHECKING:
    from analysis.figures.gallery import Gallery
    from analysis.groups import Group
    from analysis.records import Run

CODE = ("data", "recipes", "results/paper", "results/miniature")  # beside dsd and analysis
CAPTIONED = ("captions", "flickr8k")  # the corpora whose captions are shown
LIBRARIES = ("jinja2", "jiwer", "matplotlib", "numpy", "pillow", "pydantic", "scipy")


def write(suite: Suite, records: Path, scale: str | None, out: Path | None) -> Path:
    """Writes the report of a folder's records, of all scales or of one; returns its path.

    Where FLICKR8K or CAPTIONS points at the photographs, captions of them are shown, and the page
    stays out of results/; else the miniature's captions, of results/miniature/.
    """
    photographs = scale != "mini" and any(map(_given, CAPTIONED))
    committed = records == suite.root / "results" / "runs" and not (scale or photographs)
    default = suite.root / ("results" if committed else "runs") / "report.html"
    path = out or default
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = suite.root / "runs" / "cache" / f"report.{_checksum(suite, records, scale)}.html"
    if photographs or not kept.exists():
        text = page(suite, records, scale).encode()
        if not photographs:
            _keep(kept, text)
    else:
        text = kept.read_bytes()
    write_atomically(path, text)
    return path


def page(suite: Suite, records: Path, scale: str | None) -> str:
    """Returns the page itself. Raises UserError where there is no record."""
    from analysis import results  # here: what a kept page can do without takes a second
    from analysis.cache import kept
    from analysis.report.page import build

    with kept(suite.root):
        found = results.read(suite, records, scale)
        if not found.groups:
            raise UserError(f"{records}: no record; run some")
        captioned = {*map(_corpus, found.groups)} & {*CAPTIONED}
        if not captioned:  # the corpora's code, which a suite of one's own lacks, is not needed
            return build(found)
        here = {corpus for corpus in captioned if scale == "mini" or _given(corpus)}
        pictured = results.read(suite, suite.root / "results" / "miniature").groups
        shown = [g for g in found.groups if _corpus(g) in here]
        shown += [g for g in pictured if _corpus(g) in captioned - here]
        return build(found, galleries(suite, shown))


def galleries(suite: Suite, groups: "Sequence[Group]") -> "list[tuple[Run, Gallery]]":
    """Returns captions of each group of captioning runs, of one seed, with one of the runs."""
    from analysis.figures import gallery
    from analysis.figures.curves import of_first_seed

    of_groups = [of_first_seed(group) for group in groups if not group.first.overrides]
    return [
        (runs[0], gallery.of_runs(runs, gallery.folder(suite, runs[0].record)))
        for runs in of_groups
    ]


def _corpus(group: "Group") -> str:
    return group.first.recipe.partition("-")[0]


def _given(corpus: str) -> bool:
    """Returns whether a corpus's variable, such as FLICKR8K, names a folder."""
    return bool(os.environ.get(corpus.upper()))


def _checksum(suite: Suite, records: Path, scale: str | None) -> str:
    """Returns a checksum of what a page is made from: records, code, libraries, what is asked."""
    asked = [str(records), str(scale), sys.version, *map(version, LIBRARIES)]
    found = hashlib.sha256("\n".join(asked).encode())
    packages = [Path(dsd.__file__).parent, Path(__file__).parents[1]]
    for folder in (records, *packages, *(suite.root / name for name in CODE)):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                found.update(f"{path}\n{path.stat().st_size}\n".encode())
                found.update(path.read_bytes())
    return found.hexdigest()[:32]


def _keep(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob("report.*.html"):
        old.unlink()
    write_atomically(path, text)
