"""How training starts, from the command and from Python: recipe, data, device, then the runs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from accelerate import Accelerator
from rich.console import Console
from rich.markup import escape

from dsd.runs import record
from dsd.runs.provenance import provenance
from dsd.suite import arguments
from dsd.suite.folder import Suite, corpus_folder
from dsd.suite.recipe import Recipe
from dsd.training import trackers
from dsd.training.algorithm import train_arm
from dsd.training.device import Options, data_workers, make_accelerator, set_numerics
from dsd.training.progress import Reporter
from dsd.training.run import Run
from dsd.training.sharding import check_shard
from dsd.training.stop import Stop


class Finished(NamedTuple):
    """An arm that is trained."""

    record: Path
    weights: Path  # the folder of its last phase


@dataclass(frozen=True)
class Training:
    """Arms and seeds of a recipe, ready to train."""

    suite: Suite
    recipe: Recipe
    overrides: tuple[str, ...]
    arms: Sequence[str]
    seeds: Sequence[int]
    corpus: Path
    accelerator: Accelerator
    options: Options
    runs: Path
    records: Path
    workers: int | None
    checkpoint_every_s: float
    log: str | None
    provenance: dict[str, Any]
    stop: Stop
    phases: int | None
    console: Console

    def train(self) -> Iterator[Finished]:
        """Trains arm after arm of each seed, and yields those that have a record now.

        Raises UserError for data, settings or losses that cannot be used, Stopped when stopped.
        """
        recipe, console = self.recipe, self.console
        shared = self._run(recipe.dense_seed) if recipe.dense_seed is not None else None
        for seed in self.seeds:
            run = shared if shared and shared.seed == seed else self._run(seed, shared)
            try:
                for arm in self.arms:
                    console.print(escape(f"{recipe.name} {arm} seed {seed}"), style="bold")
                    written = train_arm(run, arm, self.phases)
                    if written:
                        yield Finished(written, run.path(arm)[-1].folder)
            finally:
                run.reporter.close()
                if shared:
                    shared.reporter.close()

    def _run(self, seed: int, dense: Run | None = None) -> Run:
        suite, recipe = self.suite, self.recipe
        label = record.label(recipe.name, recipe.scale, self.overrides)
        logger = trackers.Trackers(self.log, self.runs, label, seed) if self.log else None
        return Run(
            recipe=recipe,
            usual=suite.recipe(recipe.name, recipe.scale),
            overrides=self.overrides,
            seed=seed,
            task=suite.task(recipe, self.corpus, seed, data_workers(self.workers, recipe.scale)),
            task_settings=suite.task_module(recipe.corpus).Settings,
            accelerator=self.accelerator,
            options=self.options,
            runs=self.runs,
            records=self.records,
            checkpoint_every_s=self.checkpoint_every_s,
            provenance=self.provenance,
            stop=self.stop,
            reporter=Reporter(self.console, logger if self.accelerator.is_main_process else None),
            dense=dense,
            patient=self.phases is not None,
        )


def prepare(
    suite: Suite,
    recipe: str,
    overrides: tuple[str, ...] = (),
    *,
    arms: Sequence[str],
    seeds: Sequence[int],
    scale: str,
    device: str,
    options: Options,
    stop: Stop,
    runs: Path | None = None,
    records: Path | None = None,
    workers: int | None = None,
    checkpoint_every_s: float = 120.0,
    log: str | None = None,
    phases: int | None = None,
    words: Sequence[str] | None = None,
) -> Training:
    """Reads the recipe, finds its data, takes the device, sets torch's numerics; trains nothing.

    The parameters are those of `dsd run`, the Run and `train_arm`. words: what the record names as
    the command; by default this process's own. Raises UserError for what cannot be used.
    """
    if log is not None:
        trackers.check(log)
    chosen = suite.recipe(recipe, scale, overrides)
    runs = runs or suite.root / "runs"
    records = records or runs / "records"
    arms = arguments.arms(chosen, arms)
    corpus = corpus_folder(suite, chosen, runs)
    accelerator = make_accelerator(device, options.precision, options.compile)
    set_numerics(options)
    check_shard(
        options.shard,
        accelerator.num_processes,
        channels_last=options.channels_last,
        compile=options.compile,
    )
    origin = {
        **provenance(accelerator.device, suite.root, words),
        **asdict(options),
        "processes": accelerator.num_processes,
    }
    records.mkdir(parents=True, exist_ok=True)
    return Training(
        suite=suite,
        recipe=chosen,
        overrides=overrides,
        arms=arms,
        seeds=seeds,
        corpus=corpus,
        accelerator=accelerator,
        options=options,
        runs=runs,
        records=records,
        workers=workers,
        checkpoint_every_s=checkpoint_every_s,
        log=log,
        provenance=origin,
        stop=stop,
        phases=phases,
        console=Console(stderr=True, quiet=not accelerator.is_main_process),
    )
