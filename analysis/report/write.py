"""Where a report's records and photographs come from, and where it goes."""

import os
from collections.abc import Sequence
from pathlib import Path

from analysis.figures import gallery
from analysis.figures.curves import of_first_seed
from analysis.groups import groups
from analysis.records import Run, read_all
from analysis.report.page import build
from dsd.errors import UserError
from dsd.runs.files import write_atomically
from dsd.suite.folder import Suite


def write(suite: Suite, records: Path, scale: str | None, out: Path | None) -> Path:
    """Writes the report of a folder's records, of all scales or of one; returns its path.

    Where FLICKR8K points at the photographs, captions of them are shown, and the page stays out of
    results/; else the miniature's captions, of results/miniature/.
    """
    runs = read_all(records, scale)
    if not runs:
        raise UserError(f"{records}: no record{f' of scale {scale}' if scale else ''}; run some")
    photographs = bool(os.environ.get("FLICKR8K")) and scale != "mini"
    committed = records == suite.root / "results" / "runs" and not (scale or photographs)
    default = suite.root / ("results" if committed else "runs") / "report.html"
    path = out or default
    path.parent.mkdir(parents=True, exist_ok=True)
    told = runs if photographs or scale == "mini" else read_all(suite.root / "results/miniature")
    write_atomically(path, build(suite, runs, galleries(suite, told)).encode())
    return path


def galleries(suite: Suite, runs: Sequence[Run]) -> list[tuple[Run, gallery.Gallery]]:
    """Returns captions of each group of captioning runs, of one seed, with one of the runs."""
    told = [
        of_first_seed(group)
        for group in groups(runs)
        if group.first.corpus.get("name") == gallery.CORPUS and not group.first.overrides
    ]
    return [
        (runs[0], gallery.of_runs(runs, gallery.folder(suite, runs[0].record))) for runs in told
    ]
