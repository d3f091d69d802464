"""Where a report's records and photographs come from, and where it goes."""

import os
from pathlib import Path

from analysis.figures.curves import of_first_seed
from analysis.records import Run, groups, read_all
from analysis.report.page import build
from dsd.errors import UserError
from dsd.runs.files import write_atomically
from dsd.suite.folder import Suite, corpus_folder


def write(suite: Suite, records: Path, scale: str | None, out: Path | None) -> Path:
    """Writes the report of a folder's records, of all scales or of one; returns its path.

    Where FLICKR8K points at the photographs, captions of them are shown, and the page stays out of
    results/; else the miniature's captions, of results/miniature/.
    """
    runs = read_all(records, scale)
    if not runs:
        raise UserError(f"{records}: no record{f' of scale {scale}' if scale else ''}; run some")
    photographs = bool(os.environ.get("FLICKR8K")) and scale != "mini"
    galleries = captions(suite, runs if photographs or scale == "mini" else miniature(suite))
    committed = records == suite.root / "results" / "runs" and not (scale or photographs)
    default = suite.root / ("results" if committed else "runs") / "report.html"
    path = out or default
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, build(suite, runs, galleries).encode())
    return path


def miniature(suite: Suite) -> list[Run]:
    """Returns the records of miniatures that are there for their pictures alone."""
    return read_all(suite.root / "results" / "miniature")


def captions(suite: Suite, runs: list[Run]) -> list[tuple[list[Run], Path]]:
    """Returns the captioning runs of one seed, group by group, and where their corpus lies."""
    return [
        (
            of_first_seed(group),
            corpus_folder(
                suite, suite.recipe(group.first.recipe, group.first.scale), suite.root / "runs"
            ),
        )
        for group in groups(runs)
        if group.first.corpus.get("name") == "flickr8k" and not group.first.overrides
    ]
