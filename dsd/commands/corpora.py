"""`dsd fetch` and `verify`: corpora, downloaded and checked."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from dsd.errors import UserError, printable
from dsd.runs.sums import SUMS, check_sums
from dsd.suite import download
from dsd.suite.folder import the_suite


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file to the `dsd` command."""
    app.command()(fetch)
    app.command()(verify)


def fetch(
    corpus: Annotated[str, typer.Argument(help="A corpus that may be downloaded.")],
    folder: Annotated[Path, typer.Option(help="Where to put it.")] = Path("."),
) -> None:
    """Downloads a corpus, checks it and unpacks it. Run again, it resumes where it stopped."""
    suite = the_suite()
    module = suite.task_module(corpus)
    downloads = getattr(module, "DOWNLOADS", ())
    if not downloads:
        source = " ".join(module.SOURCE.split())
        raise UserError(f"{corpus}: no program may download it. Get it here: {source}")
    for item in downloads:
        with Progress(
            TextColumn(item.folder or item.url),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        ) as bar:
            show = partial(_show, bar, bar.add_task("", total=item.bytes))
            path = download.fetch(item, folder, show)
        print(f"{path}\nnext: dsd verify {corpus} {path}")


def verify(
    corpus: Annotated[str, typer.Argument(help="For example cifar10.")],
    path: Annotated[Path, typer.Argument(help="The folder that its variable would point at.")],
    checksums: Annotated[
        bool, typer.Option("--checksums", help="Also compare every file's SHA-256.")
    ] = False,
    sums: Annotated[
        Path | None,
        typer.Option(help="Another place for SHA256SUMS, where the folder cannot be written."),
    ] = None,
) -> None:
    """Checks a corpus folder: layout, classes, counts; with --checksums every byte.

    The first `--checksums` writes each file's SHA-256 to SHA256SUMS, in the form of sha256sum; any
    later one compares them.

    Example: `dsd verify imagenette imagenette2-320 --checksums`
    """
    module = the_suite().task_module(corpus)
    if not path.is_dir():
        raise UserError(f"{path}: no such folder")
    for line in module.verify(path):
        print(printable(line))
    if checksums:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("checksums")
            print(check_sums(path, sums or path / SUMS, partial(_show, bar, task)))


def _show(bar: Progress, task: TaskID, done: int, total: int | None) -> None:
    bar.update(task, completed=done, total=total)
