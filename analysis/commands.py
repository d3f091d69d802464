"""The commands that read results: `dsd tables`, and those that draw.

Imported when one of commands.toml is called; the plots' libraries are when it runs.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dsd.errors import UserError
from dsd.suite.folder import corpus_folder, the_suite

Out = Annotated[
    Path | None,
    typer.Option(help="Where pictures go (default: figures/ beside the records' folder)."),
]


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file to the `dsd` command."""
    for command in (tables, figures, histograms, curves, budgets, sparsity, gallery, report):
        app.command()(command)


def tables(
    records: Annotated[
        Path | None,
        typer.Option(help="Print the tables of another folder's records; write nothing."),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="Print one scale's tables (mini: of runs/records/); write nothing."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when a written table is stale.")
    ] = False,
) -> None:
    """Prints the tables of all runs and writes results/tables/, docs/recipes.md and README's table.

    Runs under the paper's conditions stand beside its figures; all others have tables of their own.

    Example: `dsd tables --scale mini`
    """
    from analysis.tables.files import check as check_files
    from analysis.tables.files import show, write

    suite = the_suite()
    given = records or scale
    if check and given:
        raise UserError("--check looks at what was written; leave out --records and --scale")
    if check:
        check_files(suite)
        return
    folder = suite.root / ("runs/records" if scale == "mini" else "results/runs")
    if records and not records.is_dir():
        raise UserError(f"--records {records}: no such folder")
    show(suite, records or folder, scale, Console(highlight=False))
    if not given:
        for path in write(suite):
            print(f"wrote {path.relative_to(suite.root)}")


def figures(
    check: Annotated[
        bool, typer.Option("--check", help="Draw nothing; fail when a drawn figure is stale.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where pictures go (default: results/figures/).")
    ] = None,
) -> None:
    """Draws the standard figures of the records in results/runs/, those that are stale.

    Of each recipe and scale: learning curves, equal budgets, histograms; sweeps over sparsities.
    """
    from analysis.figures.standard import check as check_figures
    from analysis.figures.standard import draw

    if check and out:
        raise UserError("--check looks at what was drawn; leave out --out")
    if check:
        check_figures(the_suite())
    else:
        _report(draw(the_suite(), out))


def histograms(
    run: Annotated[
        Path,
        typer.Argument(help="A record of an arm that was pruned, or its last phase's folder."),
    ],
    layer: Annotated[
        str | None, typer.Option(help="A pruned layer (default: the network's, as the paper's).")
    ] = None,
    number: Annotated[
        int, typer.Option("--round", min=1, help="Of a run that was pruned more than once.")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where pictures go (default: figures/ beside the records; runs/figures/)."
        ),
    ] = None,
) -> None:
    """Draws the paper's figure 2: one layer's weights before, under and after the mask.

    From a record, or from the checkpoints of a finished run.

    Examples:

    `dsd histograms results/runs/cifar10-resnet20.dsd.seed0.json --layer layer3.2.conv2`

    `dsd histograms runs/cifar10-resnet20/seed0/dense/sparse/redense`
    """
    from analysis.figures.histograms import draw

    if run.is_dir():
        out = out or the_suite().root / "runs" / "figures"
    _report(draw(run, layer, number, _figures(out, run)))


def curves(
    records: Annotated[list[Path], typer.Argument(help="Records of one recipe and seed.")],
    out: Out = None,
) -> None:
    """Draws training and held-out error over all phases of the arms, and the tests between them.

    Example: `dsd curves results/runs/cifar10-resnet20.short.*.seed0.json`
    """
    from analysis.figures.curves import draw

    _report(draw(records, _figures(out, records[0])))


def budgets(
    records: Annotated[list[Path], typer.Argument(help="Records of one recipe, all seeds.")],
    out: Out = None,
) -> None:
    """Draws the test figures at the end of every phase against the epochs spent so far.

    Example: `dsd budgets results/runs/cifar10-resnet20.short.*.json`
    """
    from analysis.figures.budgets import draw

    _report(draw(records, _figures(out, records[0])))


def sparsity(
    records: Annotated[list[Path], typer.Argument(help="Records of one recipe, all sparsities.")],
    out: Out = None,
) -> None:
    """Draws the test figures against sparsity: after the sparse phase and after re-densing.

    Example: `dsd sparsity results/runs/flickr8k-neuraltalk.lite0[.+]*.json`
    """
    from analysis.figures.sparsity import draw

    _report(draw(records, _figures(out, records[0])))


def gallery(
    records: Annotated[list[Path], typer.Argument(help="Captioning records of one seed.")],
    images: Annotated[int, typer.Option(min=1, help="How many test images to show.")] = 12,
    beam: Annotated[int, typer.Option(help="Whose captions: of beam 1 or 20.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option(help="A .html or .png (default: a page in runs/figures/)."),
    ] = None,
) -> None:
    """Shows test images with the arms' captions, as the paper's figure 3, and the references.

    The images are every k-th of the test split in the folder that FLICKR8K points at. Photographs
    are not the suite's to publish: without `--out` the page stays out of results/.

    Example: `dsd gallery results/runs/flickr8k-neuraltalk.lite0.*.seed0.json`
    """
    from analysis.figures.gallery import draw
    from dsd.runs.record import label, read

    suite, record = the_suite(), read(records[0])
    recipe = suite.recipe(record.recipe, record.scale)
    if recipe.corpus != "flickr8k":
        raise UserError(f"{records[0]}: is not of flickr8k; a gallery shows captions")
    root = corpus_folder(suite, recipe, suite.root / "runs")
    name = f"{label(record.recipe, record.scale, tuple(record.overrides))}.seed{record.seed}"
    out = out or suite.root / "runs" / "figures" / f"{name}.gallery.html"
    _report([draw(records, root, out, images, beam)])


def report(
    scale: Annotated[
        str | None, typer.Option(help="One scale alone (mini: of runs/records/).")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Another folder of records (default: results/runs/).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The page (default: results/report.html, or runs/report.html)."),
    ] = None,
) -> None:
    """Writes one HTML file that holds all there is to say of the records; it asks for nothing.

    Where FLICKR8K points at the photographs they are shown, and the page stays out of results/.

    Example: `dsd report --scale mini`
    """
    from analysis.report.write import write

    suite = the_suite()
    if records and not records.is_dir():
        raise UserError(f"--records {records}: no such folder")
    folder = suite.root / ("runs/records" if scale == "mini" else "results/runs")
    _report([write(suite, records or folder, scale, out)])


def _figures(out: Path | None, record: Path) -> Path:
    return out or record.absolute().parent.parent / "figures"


def _report(paths: list[Path]) -> None:
    for path in paths:
        print(path)
