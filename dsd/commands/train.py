"""`dsd list`, `run`, `sweep` and `status`: what there is to train, and training it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dsd.commands.options import (
    ChannelsLast,
    CheckpointEvery,
    Compile,
    Deterministic,
    Device,
    Fast,
    Precision,
    RecipeName,
    Records,
    Runs,
    Scale,
    Seeds,
    Settings,
    TimeLimit,
    Workers,
    recipes,
)
from dsd.errors import UserError
from dsd.suite import arguments
from dsd.suite.folder import the_suite
from dsd.training.stop import EXIT_CODE, Stop, Stopped


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file to the `dsd` command."""
    app.command("list")(list_recipes)
    app.command()(run)
    app.command()(sweep)
    app.command()(status)


def list_recipes() -> None:
    """Lists the recipes, one a line: name, the variable of its data, title. Details: dsd show."""
    suite = the_suite()
    recipes = {name: suite.recipe(name) for name in suite.recipes}
    names, data = (max(map(len, words), default=0) for words in (recipes, suite.corpora))
    for name, recipe in recipes.items():
        print(f"{name:{names}}  {recipe.corpus.upper():{data}}  {recipe.title}")
    print("\nnext: dsd show RECIPE, or dsd run RECIPE --scale mini --arm all, which needs no data")


def run(
    recipe: RecipeName,
    settings: Settings = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="For example dsd, dsd,finetune or all. Repeatable.")
    ] = None,
    seed: Seeds = None,
    scale: Scale = "full",
    runs: Runs = None,
    records: Records = None,
    device: Device = "auto",
    precision: Precision = None,
    channels_last: ChannelsLast = False,
    compile: Compile = False,
    deterministic: Deterministic = None,
    fast: Fast = False,
    shard: Annotated[
        str | None,
        typer.Option(
            help="fsdp: each of several processes (torchrun) holds a part of the weights."
        ),
    ] = None,
    workers: Workers = None,
    time_limit: TimeLimit = None,
    checkpoint_every: CheckpointEvery = 120.0,
    log: Annotated[
        str | None, typer.Option(help="Send scalars to tensorboard, wandb or mlflow.")
    ] = None,
    job: Annotated[
        int | None,
        typer.Option(min=1, hidden=True, help="As a sweep's job: so many phases, and wait for it."),
    ] = None,
) -> None:
    """Trains a recipe's arms and writes one record for each arm and seed.

    The phases form a tree: the dense phase is trained once for a seed and shared by all arms. A
    stopped run resumes, to the same bits, when the same command is given again.

    Examples:

    `dsd run cifar10-resnet20 --arm dsd --arm finetune --seed 0-4`

    `dsd run cifar10-resnet20 --scale short --precision bf16 phases.sparse.sparsity=0.3`
    """
    from dsd.training.device import choose_options
    from dsd.training.start import prepare

    suite, stop, done = the_suite(), Stop(time_limit), list[Path]()
    training = prepare(
        suite,
        recipe,
        tuple(settings or ()),
        arms=arm or ["dsd"],
        seeds=arguments.seeds(seed or ["0"]),
        scale=scale,
        device=device,
        options=choose_options(
            device,
            fast,
            precision=precision,
            channels_last=channels_last or None,
            compile=compile or None,
            deterministic=deterministic,
            shard=shard,
        ),
        stop=stop,
        runs=runs,
        records=records,
        workers=workers,
        checkpoint_every_s=checkpoint_every,
        log=log,
        phases=job,
    )
    stop.listen()
    console = training.console
    try:
        for finished in training.train():
            done.append(finished.record)
            console.print(f"record:  {finished.record}", soft_wrap=True, markup=False)
            console.print(f"weights: {finished.weights}", soft_wrap=True, markup=False)
    except Stopped as stopped:
        console.print(f"stopped: {stopped}; the same command resumes from here")
        raise typer.Exit(EXIT_CODE) from None
    if done:
        commands = "\n".join(["next:", *_next(done, training.records)])
        console.print(commands, soft_wrap=True, markup=False)


def _next(done: Sequence[Path], records: Path) -> list[str]:
    """Returns the commands that look at new records."""
    shown = [os.path.relpath(path) for path in done]
    pruned = [one for one in shown if Path(one).stem.split(".")[-2] in ("dsd", "random")]
    lines = [f"  dsd weights {pruned[0]}"] if pruned else []
    lines += [f"  dsd compare {shown[0]} {shown[1]}"] if len(shown) > 1 else []
    folder = os.path.relpath(records)
    lines += [f"  dsd {command} --records {folder}" for command in ("tables", "report")]
    return [*lines, f"  dsd export {shown[-1]}"]


def sweep(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE... [KEY=VALUE,VALUE]...",
            help="Names from `dsd list`, and settings: every combination of their values.",
            autocompletion=recipes,
        ),
    ],
    arm: Annotated[list[str] | None, typer.Option(help="As for `dsd run`.")] = None,
    seed: Seeds = None,
    scale: Scale = "full",
    runs: Runs = None,
    records: Records = None,
    device: Device = "auto",
    precision: Precision = None,
    channels_last: ChannelsLast = False,
    compile: Compile = False,
    deterministic: Deterministic = None,
    fast: Fast = False,
    workers: Workers = None,
    checkpoint_every: CheckpointEvery = 120.0,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="At a time (default: one a GPU; without, one)."),
    ] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Submit to Slurm: partition gpus cpus mem time account qos constraint at_once.",
        ),
    ] = None,
    time_limit: TimeLimit = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan alone.")] = False,
) -> None:
    """Trains many recipes, arms, seeds and settings: each phase is a job of its own.

    A phase that several arms share is trained once, and those wait for it. Given again, the same
    command goes on where it was, whatever was stopped, killed or cancelled. `dsd status` shows it.

    Examples:

    `dsd sweep cifar10-resnet20 --arm all --seed 0-4 --jobs 2 phases.sparse.sparsity=0.3,0.5`

    `dsd sweep imagenet-resnet18 --arm all --seed 0-4 --slurm partition=main gpus=1 time=4:00:00`
    """
    from dsd.sweep import command
    from dsd.sweep.plan import Wanted
    from dsd.training.device import choose_options

    suite = the_suite()
    recipes, settings, cluster = command.parted(words, slurm)
    if cluster is not None and jobs is not None:
        raise UserError("--jobs: is for this machine; with --slurm give at_once=N")
    if cluster is not None and time_limit is not None:
        raise UserError("--time-limit: is for this machine; with --slurm give time=H:MM:SS")
    folder = (runs or suite.root / "runs").resolve()
    options = {
        "scale": scale,
        "runs": folder if runs else None,
        "records": records and records.resolve(),
        "device": device,
        "precision": precision,
        "channels-last": channels_last,
        "compile": compile,
        "deterministic": deterministic is True,
        "no-deterministic": deterministic is False,
        "fast": fast,
        "workers": workers,
        "checkpoint-every": checkpoint_every,
    }
    wanted = Wanted(
        suite=suite,
        recipes=recipes,
        arms=arm or ["dsd"],
        seeds=arguments.seeds(seed or ["0"]),
        settings=settings,
        scale=scale,
        runs=folder,
        records=records and records.resolve(),
        options=choose_options(
            device,
            fast,
            precision=precision,
            channels_last=channels_last or None,
            compile=compile or None,
            deterministic=deterministic,
        ),
        processes=(cluster or {}).get("gpus_per_node", 1),
        words=command.as_words(options),
    )
    raise typer.Exit(command.sweep(wanted, jobs, time_limit, cluster, dry_run))


def status(
    runs: Annotated[
        Path | None, typer.Argument(help="A folder of runs (default: the suite's runs/).")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", "--watch", help="Renew the table until Ctrl-C.")
    ] = False,
) -> None:
    """Shows how every phase stands: finished, running, waiting, stopped or failed.

    It reads the folder of the runs alone, so that any machine which sees it will do.
    """
    from dsd.sweep.status import show

    show(runs or the_suite().root / "runs", live)
