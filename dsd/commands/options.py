"""Arguments and options that several commands have."""

import math
from pathlib import Path
from typing import Annotated

import typer

from dsd.errors import UserError
from dsd.suite.folder import find_suite


def recipes(incomplete: str) -> list[str]:
    """Returns the recipes that begin so, for the shell's completion."""
    suite = find_suite()
    return [name for name in (suite.recipes if suite else ()) if name.startswith(incomplete)]


def finite(option: typer.CallbackParam, value: float | None) -> float | None:
    """Returns an option's number. Raises UserError for NaN, infinity and what is below 0."""
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise UserError(f"{option.opts[0]} {value}: give a finite number, 0 or above")
    return value


RecipeName = Annotated[
    str,
    typer.Argument(metavar="RECIPE", help="A name from `dsd list`.", autocompletion=recipes),
]
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
Runs = Annotated[Path | None, typer.Option(help="Where checkpoints live (default: runs/).")]
Records = Annotated[
    Path | None,
    typer.Option(
        help="Where records go (default: runs/records/; dsd publish takes them to results/)."
    ),
]
ChannelsLast = Annotated[
    bool, typer.Option("--channels-last", help="Keep images channels-last in memory.")
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Use torch.compile: where all batches have one size; on a CPU it can be slower.",
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(callback=finite, help="Minutes; then stop with a checkpoint and exit code 75."),
]
Deterministic = Annotated[
    bool | None,
    typer.Option(help="Use algorithms that give the same bits every time; slower on a GPU."),
]
Fast = Annotated[
    bool,
    typer.Option(
        "--fast",
        help="The fastest settings of the device: bf16 if it has it, channels-last, a fused "
        "optimizer; on a GPU also TF32 and algorithms whose last bits vary.",
    ),
]
CheckpointEvery = Annotated[
    float, typer.Option(callback=finite, help="Seconds between checkpoints.")
]
