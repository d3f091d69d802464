"""`dsd eval` and `export`: trained networks, scored and made ready for others."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dsd.commands.options import Device, Precision, RecipeName, Scale, Settings, Workers
from dsd.runs import environment
from dsd.suite.folder import corpus_folder, the_suite


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file to the `dsd` command."""
    app.command("eval")(evaluate)
    app.command("export")(export_network)


def evaluate(
    recipe: RecipeName,
    weights: Annotated[
        str,
        typer.Option(help="A file (safetensors, torch, Caffe npz) or torchvision:NAME."),
    ],
    settings: Settings = None,
    scale: Scale = "full",
    runs: Annotated[
        Path | None, typer.Option(help="Where miniatures live (default: runs/).")
    ] = None,
    device: Device = "auto",
    precision: Precision = None,
    workers: Workers = None,
) -> None:
    """Evaluates weights on the recipe's test set, with the recipe's network and preprocessing.

    Torchvision's weights need torchvision's preprocessing:

    `dsd eval imagenet-resnet50 --weights torchvision:IMAGENET1K_V1 task.preprocessing=torchvision`
    """
    from dsd.suite.scores import decimals
    from dsd.training.device import Options, data_workers, make_accelerator, set_numerics
    from dsd.training.evaluate import evaluate_split

    suite = the_suite()
    chosen = suite.recipe(recipe, scale, tuple(settings or ()))
    corpus = corpus_folder(suite, chosen, runs or suite.root / "runs")
    options = Options(precision=precision or "fp32")
    accelerator = make_accelerator(device, options.precision)
    set_numerics(options)
    task = suite.task_for_tests(chosen, corpus, data_workers(workers, scale))
    net = task.model(weights).to(accelerator.device)
    net = accelerator.prepare_model(net, evaluation_mode=True)
    console = Console(quiet=not accelerator.is_main_process)
    for note in task.corpus.get("notes", ()):
        console.print(f"note: {note}", soft_wrap=True, markup=False)
    for split in task.tests:
        metrics, _ = evaluate_split(task, net, accelerator, split)
        for name, value in metrics.items():
            shown = f"{value:.{decimals(name, [value])}f}"
            console.print(f"{split} {name} {shown}", markup=False)


def export_network(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The folder of a trained phase, or a record (.json)."),
    ],
    to: Annotated[
        Path | None, typer.Option(help="Where to write (default: exports/LABEL.ARM.seedN).")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="Where a record's checkpoints live (default: runs/).")
    ] = None,
) -> None:
    """Writes a trained network for others: weights, settings, a model card.

    Also compares its inference cost with that of the dense phase; exit code 1 if it differs.

    Example: `dsd export runs/flickr8k-neuraltalk.mini/seed0/dense/sparse/redense`
    """
    from dsd.export.export import export

    environment.check()
    suite = the_suite()
    folder, cost = export(suite, run, runs or suite.root / "runs", to)
    time = cost["time"]
    low, high = time["middle_half"]
    print(folder)
    for difference in cost["differences"]:
        print(f"differs from the baseline: {difference}")
    if not cost["differences"]:
        print("inference cost: names, shapes, parameters and FLOPs are the baseline's")
    print(
        f"time over the baseline's: {time['median_ratio']:.3f} "
        f"(middle half {low:.3f} to {high:.3f}, n {time['rounds']})"
    )
    if cost["differences"]:
        raise typer.Exit(1)
