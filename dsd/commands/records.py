"""`dsd publish` and `convert`: records for others, and of earlier versions."""

from pathlib import Path
from typing import Annotated

import typer

from dsd.errors import UserError
from dsd.suite.folder import the_suite


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file to the `dsd` command."""
    app.command()(publish)
    app.command("convert")(convert_runs)


def publish(
    records: Annotated[list[Path], typer.Argument(help="Records, e.g. runs/records/*.json.")],
) -> None:
    """Copies records of yours to results/runs/, among those that tables and report rest on.

    Only those whose code a revision of the repository holds, and none of a miniature.

    Example: `dsd publish runs/records/cifar10-resnet20.*.json`
    """
    from dsd.runs.publish import publish as copy

    folder = the_suite().root / "results" / "runs"
    for path in records:
        target = copy(path, folder)
        print(f"published: {target}" if target else f"there already: {folder / path.name}")
    print("next: dsd tables && dsd figures && dsd report")


def convert_runs(
    runs: Annotated[
        Path | None,
        typer.Argument(help="A folder of runs or records (default: the suite's runs/)."),
    ] = None,
) -> None:
    """Converts runs and records of earlier versions for this one; nothing is trained.

    A phase that was stopped part way resumes to the same bits; a record's figures stay as they are.
    """
    from dsd.runs.convert import convert

    suite = the_suite()
    folder = runs or suite.root / "runs"
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; give the folder that you gave to --runs or --records"
        )
    for line in convert(suite, folder):
        print(line)
