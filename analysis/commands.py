"""The commands that read results: `dsd tables`, and those that draw.

Imported when one of commands.toml is called; the plots' libraries are when it runs.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dsd.errors import UserError
from dsd.suite.folder import Suite, the_suite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PrunedRun = Annotated[
    Path, typer.Argument(help="A record of an arm that was pruned, or its last phase's folder.")
]
Layer = Annotated[
    str | None, typer.Option(help="A pruned layer (default: the network's, as the paper's).")
]
Round = Annotated[
    int, typer.Option("--round", min=1, help="Of a run that was pruned more than once.")
]
Out = Annotated[
    Path | None,
    typer.Option(help="Where pictures go (default: figures/ beside the records' folder)."),
]
Svg = Annotated[bool, typer.Option("--svg", help="Draw SVG instead of PNG.")]


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file to the `dsd` command."""
    for command in (
        *(show, compare, weights, tables, report),
        *(figures, histograms, curves, budgets, sparsity, gallery),
    ):
        app.command()(command)


def show(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A name from `dsd list`.")],
    scale: Annotated[str, typer.Option(help="full, or a scale of the recipe.")] = "full",
) -> None:
    """Shows a recipe: its arms and phases, the pruned layers, the cost in records, the commands.

    Example: `dsd show an4-deepspeech --scale acting`
    """
    from analysis.show import commands, grids

    suite, console = the_suite(), Console(highlight=False)
    chosen = suite.recipe(recipe, scale)
    folders = [suite.root / "results" / "runs", suite.root / "runs" / "records"]
    for grid in grids(chosen, folders):
        grid.show(console)
    for line, what in commands(chosen):
        console.print(f"{line}    # {what}", soft_wrap=True, markup=False)


def compare(
    one: Annotated[Path, typer.Argument(metavar="A", help="A record, or a phase's folder.")],
    other: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
) -> None:
    """Shows two records side by side: settings that differ, test figures, curves.

    Example: `dsd compare runs/records/imagenet-resnet18.mini.{dsd,finetune}.seed0.json`
    """
    from analysis.compare import grids
    from analysis.records import Run
    from dsd.runs.record import read

    runs = [Run(path, read(path)) for path in (_record(one), _record(other))]
    for grid in grids(*runs):
        grid.show(Console(highlight=False))


def weights(
    run: PrunedRun,
    layer: Layer = None,
    number: Round = 1,
) -> None:
    """Shows a layer's weights before, under and after the mask in the terminal.

    `dsd histograms` draws the same as a picture.

    Example: `dsd weights results/runs/cifar10-resnet20.short.dsd.seed0.json`
    """
    from analysis.figures.histograms import layers, of_record
    from analysis.terminal import histogram

    found = of_record(path := _record(run))
    console = Console(highlight=False)
    console.print(histogram(found, layer, number))
    console.print(f"layers: {' '.join(layers(found))}", markup=False)
    console.print(f"as a picture: dsd histograms {path}", soft_wrap=True, markup=False)


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
    latex: Annotated[
        Path | None,
        typer.Option(help="Write the tables as LaTeX into this folder, and nothing else."),
    ] = None,
) -> None:
    """Writes results/tables/, docs/recipes.md and README's tables; prints what came out in short.

    Runs under the paper's conditions stand beside its figures; all others have tables of their own.
    With --records or --scale the tables are printed, all of them.

    Examples: `dsd tables --scale mini`, `dsd tables --latex paper/tables`
    """
    from analysis import results
    from analysis.cache import kept
    from analysis.tables import files

    suite = the_suite()
    if check and (records or scale or latex):
        raise UserError("--check looks at what was written; leave out the other options")
    folder = _records(suite, records, scale)
    with kept(suite.root):
        found = results.read(suite, folder, scale)
        pages = files.pages(found)
        if latex:
            _report(files.write_latex(pages, latex))
            return
        if check:
            files.check(suite, files.files(found, pages))
            return
        console = Console(highlight=False)
        if records or scale:
            beside = scale in (None, "full") and (found.of_paper or not records)
            files.show(pages, console, beside, files.legend(found))
            return
        summary = files.summary(found)
        if summary.rows:
            summary.show(console)
        else:
            print("no runs to sum up yet: dsd run RECIPE --arm all, then dsd publish RECORD")
        for path in files.write(files.files(found, pages)):
            print(f"wrote {path.relative_to(suite.root)}")
        print("all tables: results/tables/, and on one page with dsd report")


def figures(
    check: Annotated[
        bool, typer.Option("--check", help="Draw nothing; fail when a drawn figure is stale.")
    ] = False,
    out: Out = None,
    svg: Svg = False,
    records: Annotated[
        Path | None, typer.Option(help="Another folder of records (default: results/runs/).")
    ] = None,
) -> None:
    """Draws the standard figures of the records in results/runs/, those that are stale.

    Of each recipe and scale: learning curves, equal budgets, histograms; sweeps over sparsities.
    """
    from analysis.figures import files

    suite = the_suite()
    if check and (out or svg or records):
        raise UserError("--check looks at what was drawn; leave out the other options")
    if check:
        files.check(suite)
    else:
        _report(files.draw(suite, out, svg, records and _records(suite, records, None)))


def histograms(
    run: PrunedRun,
    layer: Layer = None,
    number: Round = 1,
    out: Out = None,
    svg: Svg = False,
) -> None:
    """Draws the paper's figure 2: one layer's weights before, under and after the mask.

    All is in the run's record. Of a finished phase's folder, the record is looked for in
    results/runs/ and in runs/records/.

    Examples:

    `dsd histograms results/runs/cifar10-resnet20.short.dsd.seed0.json --layer layer3.2.conv2`

    `dsd histograms runs/cifar10-resnet20/seed0/dense/sparse/redense`
    """
    from analysis.figures.histograms import name, of_record, picture

    found = of_record(path := _record(run))
    _save(picture(found, layer, number), name(found, layer, number), path, out, svg)


def curves(
    records: Annotated[list[Path], typer.Argument(help="Records of one recipe and seed.")],
    out: Out = None,
    svg: Svg = False,
) -> None:
    """Draws training and held-out error over all phases of the arms, and the tests between them.

    Example: `dsd curves results/runs/cifar10-resnet20.short.*.seed0.json`
    """
    from analysis.figures.curves import name, of_records, picture

    runs = of_records(records)
    _save(picture(runs), name(runs), records[0], out, svg)


def budgets(
    records: Annotated[list[Path], typer.Argument(help="Records of one recipe, all seeds.")],
    out: Out = None,
    svg: Svg = False,
) -> None:
    """Draws the test figures at the end of every phase against the epochs spent so far.

    Example: `dsd budgets results/runs/cifar10-resnet20.short.*.json`
    """
    from analysis.figures.budgets import name, of_records, picture

    group = of_records(records)
    _save(picture(group), name(group), records[0], out, svg)


def sparsity(
    records: Annotated[list[Path], typer.Argument(help="Records of one recipe, all sparsities.")],
    out: Out = None,
    svg: Svg = False,
) -> None:
    """Draws the test figures against sparsity: after the sparse phase and after re-densing.

    Example: `dsd sparsity results/runs/flickr8k-neuraltalk.lite0[.+]*.json`
    """
    from analysis.figures.sparsity import name, of_records, picture

    sweep = of_records(records)
    _save(picture(sweep), name(sweep), records[0], out, svg)


def gallery(
    records: Annotated[list[Path], typer.Argument(help="Captioning records of one seed.")],
    images: Annotated[int, typer.Option(min=1, help="How many test images to show.")] = 12,
    beam: Annotated[int, typer.Option(help="Whose captions: of beam 1 or 20.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option(help="A .html, .png or .svg (default: a page in runs/figures/)."),
    ] = None,
) -> None:
    """Shows test images with the arms' captions, as the paper's figure 3, and the references.

    The images are every k-th of the test split in the folder that FLICKR8K, or CAPTIONS for your
    own, points at. Photographs are not the suite's to publish: without `--out` the page stays out
    of results/.

    Example: `dsd gallery results/runs/flickr8k-neuraltalk.lite0.*.seed0.json`
    """
    from analysis.figures import files
    from analysis.figures.gallery import MINIATURES, corpus_of, folder, name, of_runs, picture
    from analysis.groups import of_one_seed

    suite = the_suite()
    runs = of_one_seed(records, "a gallery is made")
    if corpus_of(runs[0].record) not in MINIATURES:
        known = " or ".join(sorted(MINIATURES, reverse=True))
        raise UserError(f"{records[0]}: is not of {known}; a gallery shows captions")
    out = out or suite.root / "runs" / "figures" / f"{name(runs[0])}.html"
    if out.suffix not in (".html", ".png", ".svg"):
        raise UserError(f"--out {out}: a gallery is a .html, .png or .svg; name one of these")
    found = of_runs(runs, folder(suite, runs[0].record), images, beam)
    if out.suffix == ".html":
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(found.page, encoding="utf-8")
    else:
        files.save(picture(found), out.parent, out.stem, out.suffix == ".svg")
    _report([out])


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

    Where FLICKR8K (or CAPTIONS, for your own) points at the photographs they are shown, and the
    page stays out of results/.

    Example: `dsd report --scale mini`
    """
    from analysis.report.write import write

    suite = the_suite()
    _report([write(suite, _records(suite, records, scale), scale, out)])


def _records(suite: Suite, given: Path | None, scale: str | None) -> Path:
    """Returns the folder of records that options name, or the suite's own."""
    if given and not given.is_dir():
        raise UserError(f"--records {given}: no such folder")
    if given and not any(given.glob("*.json")):
        raise UserError(f"--records {given}: holds no record; the runs' own are in runs/records")
    return given or suite.root / ("runs/records" if scale == "mini" else "results/runs")


def _record(run: Path) -> Path:
    """Returns a record, or the one of a finished phase's folder."""
    if not run.is_dir():
        return run
    from dsd.runs.finished import find

    suite = the_suite()
    record = find(suite, run, suite.root / "runs").record_file
    if not record:
        raise UserError(f"{run}: no record of it in results/runs or beside its runs; name one")
    return record


def _save(figure: "Figure", name: str, record: Path, out: Path | None, svg: bool) -> None:
    from analysis.figures import files

    folder = out or record.absolute().parent.parent / "figures"
    _report([files.save(figure, folder, name, svg)])


def _report(paths: list[Path]) -> None:
    for path in paths:
        print(path)
