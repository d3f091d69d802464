"""The `dsd` command: recipes, arms and records. What is special to a corpus comes from its task.

torch is imported where a command computes: listing recipes, or help, need not wait for it.
"""

import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NoReturn

try:
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

    if find_spec("accelerate") is None:
        raise ModuleNotFoundError("accelerate", name="accelerate")
except ModuleNotFoundError as missing:
    sys.exit(f"dsd: {missing.name} is missing; the command needs pip install 'dsd-training[cli]'")

from dsd import __version__
from dsd.errors import UserError, explain, printable
from dsd.runs import environment
from dsd.runs.files import full_disk, no_space
from dsd.runs.sums import SUMS, check_sums
from dsd.suite import arguments, download
from dsd.suite.folder import Suite, corpus_folder, find_suite, the_suite
from dsd.suite.recipe import nearest
from dsd.training.stop import EXIT_CODE, Stop, Stopped

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Dense-Sparse-Dense training: train dense, prune and retrain under the mask, drop the
    mask and retrain dense.

    A first run, without any data: `dsd run imagenet-resnet18 --scale mini --arm all`.""",
)

# Idle threads sleep: beside other work those that spin can be a hundred times slower. Read when
# torch is imported, which is later.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A name from `dsd list`.")]
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings, e.g. phases.dense.epochs=3."),
]
Seeds = Annotated[
    list[str] | None, typer.Option(metavar="SEEDS", help="For example 3, 0,3 or 0-4. Repeatable.")
]
Scale = Annotated[
    str, typer.Option(help="full, or a scale of the recipe: mini runs on a miniature corpus.")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[
    str | None, typer.Option(help="fp32, the default, or bf16 (autocast; weights stay float32).")
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=1024,
        help="Processes that load data, per training process (default: as many as cores; none for "
        "a miniature). They change no result.",
    ),
]


def _finite(option: typer.CallbackParam, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise UserError(f"{option.opts[0]} {value}: give a finite number, 0 or above")
    return value


@app.command("list")
def list_recipes() -> None:
    """Lists the recipes, one a line: name, the variable of its data, title. Details: dsd show."""
    suite = the_suite()
    recipes = {name: suite.recipe(name) for name in suite.recipes}
    names, data = (max(map(len, words), default=0) for words in (recipes, suite.corpora))
    for name, recipe in recipes.items():
        print(f"{name:{names}}  {recipe.corpus.upper():{data}}  {recipe.title}")
    print("\nnext: dsd show RECIPE, or dsd run RECIPE --scale mini --arm all, which needs no data")


@app.command()
def run(
    recipe: RecipeName,
    settings: Settings = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="baseline, dsd, llr ... or all. Repeatable.")
    ] = None,
    seed: Seeds = None,
    scale: Scale = "full",
    runs: Annotated[
        Path | None, typer.Option(help="Where checkpoints live (default: runs/).")
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(
            help="Where records go (default: runs/records/; dsd publish takes them to results/)."
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = None,
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Keep images channels-last in memory.")
    ] = False,
    compile: Annotated[
        bool,
        typer.Option("--compile", help="Use torch.compile; on a CPU it can be slower."),
    ] = False,
    deterministic: Annotated[
        bool | None,
        typer.Option(help="Use algorithms that give the same bits every time; slower on a GPU."),
    ] = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="The fastest settings of the device: bf16 if it has it, channels-last, a fused "
            "optimizer; on a GPU also TF32 and algorithms whose last bits vary.",
        ),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            help="fsdp: each of several processes (torchrun) holds a part of the weights."
        ),
    ] = None,
    workers: Workers = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            callback=_finite, help="Minutes; then stop with a checkpoint and exit code 75."
        ),
    ] = None,
    checkpoint_every: Annotated[
        float, typer.Option(callback=_finite, help="Seconds between checkpoints.")
    ] = 120.0,
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
    lines = [f"  dsd weights {shown[-1]}"] if any("dsd" in path.stem for path in done) else []
    lines += [f"  dsd compare {shown[0]} {shown[1]}"] if len(shown) > 1 else []
    folder = os.path.relpath(records)
    lines += [f"  dsd {command} --records {folder}" for command in ("tables", "report")]
    return [*lines, f"  dsd export {shown[-1]}"]


@app.command()
def sweep(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE... [KEY=VALUE,VALUE]...",
            help="Names from `dsd list`, and settings: every combination of their values.",
        ),
    ],
    arm: Annotated[list[str] | None, typer.Option(help="As for `dsd run`.")] = None,
    seed: Seeds = None,
    scale: Scale = "full",
    runs: Annotated[
        Path | None, typer.Option(help="Where checkpoints live (default: runs/).")
    ] = None,
    records: Annotated[Path | None, typer.Option(help="Where records go.")] = None,
    device: Device = "auto",
    precision: Precision = None,
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Keep images channels-last in memory.")
    ] = False,
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    deterministic: Annotated[bool | None, typer.Option(help="As for `dsd run`.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="As for `dsd run`.")] = False,
    workers: Workers = None,
    checkpoint_every: Annotated[
        float, typer.Option(callback=_finite, help="Seconds between checkpoints.")
    ] = 120.0,
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
    raise typer.Exit(command.sweep(wanted, jobs, cluster, dry_run))


@app.command()
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


@app.command("eval")
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
    console = Console()
    for note in task.corpus.get("notes", ()):
        console.print(f"note: {note}", soft_wrap=True, markup=False)
    for split in task.tests:
        metrics, _ = evaluate_split(task, net, accelerator, split)
        for name, value in metrics.items():
            shown = f"{value:.{decimals(name, [value])}f}"
            console.print(f"{split} {name} {shown}", markup=False)


@app.command("convert")
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


@app.command("export")
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, too.")
    ] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> NoReturn:
    """Runs the command. Any error is one line: exit code 2 if the user can fix it, else 1."""
    words = sys.argv[1:]
    debug = "--debug" in words
    sys.argv[1:] = words = [word for word in words if word != "--debug"]
    try:
        arguments.refuse_empty(words)
        known = _add_commands(find_suite() if words != ["--version"] else None, words)
        if words and not words[0].startswith("-") and words[0] not in known:
            the_suite()
            raise UserError(f"no command is called {words[0]!r}{nearest(words[0], known)}")
        app(prog_name="dsd")
    except Exception as error:
        if debug:
            traceback.print_exc()
        disk = full_disk(error)
        fault = no_space(Path(disk.filename or "."), disk) if disk else error
        _fail(*explain(error if isinstance(error, UserError) else fault))
    sys.exit(0)


def _add_commands(suite: Suite | None, words: Sequence[str]) -> list[str]:
    """Adds a suite's commands; returns the names of all. Only what is called is imported."""
    own = list(typer.main.get_group(app).commands)
    for file, declared in (suite.commands() if suite else {}).items():
        if taken := sorted({*own} & declared.keys()):
            raise UserError(f"{file.with_suffix('.toml')}: {taken[0]} is dsd's own; rename it")
        if suite and words and words[0] in declared:
            suite.command_module(file).add_commands(app)
            continue
        for name, words_of_help in declared.items():
            app.command(name, help=words_of_help)(lambda: None)
    return list(typer.main.get_group(app).commands)


def _fail(message: str, code: int) -> NoReturn:
    if os.environ.get("RANK", "0") != "0" and code != 1:
        # One line, however many processes have the user's mistake: the first one's failure ends
        # the others meanwhile. But this one may be alone, with a file that only it has read.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(3)
    print(f"dsd: {message}", file=sys.stderr)
    sys.exit(code)


def _show(bar: Progress, task: TaskID, done: int, total: int | None) -> None:
    bar.update(task, completed=done, total=total)
