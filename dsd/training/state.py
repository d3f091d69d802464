"""The state of a phase in training, and its checkpoint.

A new field of the checkpoint goes into `Progress`, with a default: all of that is saved. If it
differs by process, it goes into `_of_this_process` and `resume`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dsd.errors import UserError
from dsd.pruning.sparsifier import Sparsifier
from dsd.runs import checkpoint
from dsd.runs.phase_file import check_format
from dsd.runs.settings import Settings
from dsd.runs.tree import Place
from dsd.suite.recipe import validate
from dsd.training.batch_norm import synchronise
from dsd.training.distributed import agreed, gather
from dsd.training.optimizers import AnyOptimizer, make_optimizer
from dsd.training.random_state import rng_state, seed_all, set_rng_state
from dsd.training.run import Run
from dsd.training.sharding import gathered, load_model, load_optimizer, shard


@dataclass
class Progress:
    """How far a phase has come. All of it is in the checkpoint."""

    steps: int = 0  # done in this phase
    sums: dict[str, Tensor] = field(default_factory=dict)  # of the unfinished epoch, float64
    examples: int = 0  # of the unfinished epoch, this process's
    epochs: list[dict[str, Any]] = field(default_factory=list)  # the record's rows
    best: dict[str, Any] | None = None  # with carry_over: best_heldout
    seconds: float = 0.0  # trained so far
    skipped: list[str] = field(default_factory=list)  # examples that could not be used
    sessions: list[dict[str, Any]] = field(default_factory=list)  # provenance of each part of it


def add_sums(progress: Progress, examples: int, sums: dict[str, Tensor]) -> None:
    """Adds a batch's sums to the epoch's, in float64."""
    progress.examples += examples
    for name, value in sums.items():
        value = value.to(torch.float64)
        progress.sums[name] = progress.sums[name] + value if name in progress.sums else value


@dataclass
class TrainState:
    """All that a phase's next optimizer step depends on."""

    net: nn.Module  # the plain network: names, state, evaluation
    model: nn.Module  # the same, wrapped for training (autocast, DDP, compile)
    optimizer: AnyOptimizer
    sparsifier: Sparsifier
    progress: Progress = field(default_factory=Progress)
    stages: list[dict[str, Any]] = field(default_factory=list)  # histograms at the phase's start
    half_widths: dict[str, float] = field(default_factory=dict)  # of histograms, set at the end
    saved_at: float = field(default_factory=time.monotonic)  # the last checkpoint, in this process


def build(run: Run, place: Place) -> TrainState:
    """Returns the state of a phase before anything is loaded into it."""
    accelerator = run.accelerator
    accelerator.free_memory()  # it would keep every model that it has prepared
    net = run.task.model().to(accelerator.device)
    if run.options.channels_last:
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if accelerator.num_processes > 1:
        synchronise(net, compiled=run.options.compile)
    if run.options.shard:
        shard(net, accelerator.device)
    optimizer = make_optimizer(
        run.recipe.optimizer, net.parameters(), place.node.phase.lr, fused=run.options.fused
    )
    sparsifier = run.sparsifier(net, optimizer, place.node.phase)
    # evaluation_mode: autocast and compile as asked for, but no second way to share the work
    model = accelerator.prepare_model(net, evaluation_mode=bool(run.options.shard))
    return TrainState(net, model, optimizer, sparsifier)


def save(run: Run, place: Place, state: TrainState) -> None:
    """Writes the phase's checkpoint; all processes must call it together."""
    progress, accelerator = state.progress, run.accelerator
    skipped = gather(accelerator, run.task.skipped)
    progress.skipped = sorted({*progress.skipped, *(name for names in skipped for name in names)})
    ranks = gather(accelerator, _of_this_process(progress))
    if accelerator.is_main_process or run.options.shard:
        content = {
            "format": checkpoint.CONTENT,
            "settings": place.settings.model_dump(mode="json"),
            "model": gathered(state.net.state_dict()),
            "assets": run.task.assets,
            "optimizer": gathered(state.optimizer.state_dict()),
            "sparsifier": state.sparsifier.state_dict(full=True),
            "ranks": ranks,
            "progress": {**vars(progress), "best": gathered(progress.best)},
            "stages": state.stages,
            "half_widths": state.half_widths,
        }
        if accelerator.is_main_process:
            checkpoint.save(place.folder, content)
    accelerator.wait_for_everyone()
    state.saved_at = time.monotonic()


def resume(run: Run, place: Place) -> TrainState | None:
    """Returns the phase's state from its checkpoint, None where there is none.

    Raises UserError when the checkpoint is damaged or was trained with other settings.
    """
    saved = checkpoint.load(place.folder)
    if not agreed(run.accelerator, saved is not None, place.folder) or saved is None:
        return None
    check_format(saved, place.folder, checkpoint.CONTENT)
    checkpoint.complete(saved, place.folder)
    place.check(validate(Settings, saved["settings"], f"{place.folder}: checkpoint"))
    state = build(run, place)
    load(state, saved, place.folder)
    with _fitting(place.folder):
        state.stages, state.half_widths = saved["stages"], saved["half_widths"]
        state.progress = Progress(**saved["progress"])
        _resume_process(run, place, state.progress, saved["ranks"])
    return state


def _resume_process(
    run: Run, place: Place, progress: Progress, ranks: list[dict[str, Any]]
) -> None:
    """Gives this process what differs by process, as saved by so many processes.

    Other numbers of processes draw from new streams, and the first takes all sums.
    """
    rank, processes = run.accelerator.process_index, run.accelerator.num_processes
    if len(ranks) == processes:
        own = [ranks[rank]]
        set_rng_state(own[0]["rng"])
    else:
        own = ranks if rank == 0 else []
        folders = (node.folder for node in place.path)
        seed_all(run.seed, *folders, "resumed", progress.steps, processes, rank)
        run.reporter.note(
            f"{place.folder}: was trained by {len(ranks)} processes, goes on with {processes}; "
            "not to the same bits"
        )
    device = run.accelerator.device
    progress.examples, progress.sums = 0, {}
    none = {name: torch.zeros_like(value) for name, value in ranks[0]["sums"].items()}
    for one in [{"examples": 0, "sums": none}, *own]:
        sums = {name: value.to(device) for name, value in one["sums"].items()}
        add_sums(progress, one["examples"], sums)


def load(state: TrainState, saved: dict[str, Any], folder: Path) -> None:
    """Loads the weights, optimizer and masks of a folder's checkpoint into a state.

    Raises UserError when they are another network's.
    """
    with _fitting(folder):
        load_model(state.net, saved["model"])
        load_optimizer(state.optimizer, saved["optimizer"])
        state.sparsifier.load_state_dict(saved["sparsifier"])


@contextmanager
def _fitting(folder: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        why = (str(error) or type(error).__name__).splitlines()[-1].strip()
        raise UserError(
            f"{folder}: its checkpoint does not fit this network and its training ({why}); move "
            "the folder away to train the phase again"
        ) from None


def last_saved(place: Place) -> str:
    """Returns which checkpoint is the last good one of a phase, in words for a message."""
    kept = checkpoint.load(place.folder)
    return f"of step {kept['progress']['steps']}" if kept else "is the phase before's"


def refuse_without_heldout(run: Run) -> None:
    """Raises UserError for carry_over: best_heldout where there is no held-out split."""
    if run.recipe.carry_over == "best_heldout" and not run.task.heldout:
        raise UserError(
            f"{run.recipe.name}: carry_over: best_heldout needs a held-out split; "
            "set task.heldout, or carry_over: last"
        )


def _of_this_process(progress: Progress) -> dict[str, Any]:
    """Returns what differs by process: random generators, and sums over its examples."""
    sums = {name: value.cpu() for name, value in progress.sums.items()}
    return {"rng": rng_state(), "sums": sums, "examples": progress.examples}
