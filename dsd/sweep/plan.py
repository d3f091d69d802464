"""The plan of a sweep: one job for each phase in the tree, and what it waits for."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from dsd.runs import record
from dsd.runs.tree import Place
from dsd.suite import arguments
from dsd.suite.folder import Suite, corpus_folder
from dsd.sweep.hours import Hours
from dsd.training.device import Options
from dsd.training.run import Run


@dataclass(frozen=True)
class Job:
    """One phase to train, or records to write for phases that another job trains."""

    name: str  # e.g. points-mlp.mini/seed0/dense/sparse
    folder: Path  # the phase's, with its checkpoint and log
    parent: str | None  # the name of the job that it waits for
    words: tuple[str, ...]  # after `dsd run`
    writes: bool  # a record: an arm ends here
    finished: bool
    hours: float | None  # that it takes, estimated; None: nobody has measured it


@dataclass(frozen=True)
class Wanted:
    """What a sweep is to train, as the command says it."""

    suite: Suite
    recipes: Sequence[str]
    arms: Sequence[str]
    seeds: Sequence[int]
    settings: Sequence[str]  # key=value or key=a,b,c
    scale: str
    runs: Path
    records: Path | None
    options: Options
    processes: int  # of each job
    words: tuple[str, ...]  # of every `dsd run`: --device, --precision and the like


def plan(wanted: Wanted) -> list[Job]:
    """Returns the jobs of a sweep, each after the one that it waits for.

    A phase that several arms or settings share is one job. Raises UserError as `dsd run` would.
    """
    jobs: dict[str, Job] = {}
    for name, overrides in itertools.product(
        wanted.recipes, arguments.combinations(wanted.settings)
    ):
        for job in _of_recipe(wanted, name, overrides):
            if job.name not in jobs:
                jobs[job.name] = job
            elif job.writes and not job.finished:  # other settings share the phase, not the record
                apart = f"{job.name}, records of {' '.join(overrides)}"
                jobs[apart] = replace(job, name=apart, parent=job.name, hours=0.0)
    return list(jobs.values())


def _of_recipe(wanted: Wanted, name: str, overrides: tuple[str, ...]) -> Iterator[Job]:
    """Yields the jobs of one recipe with one combination of settings."""
    runs = _runs(wanted, name, overrides)
    recipe, records = runs[0].recipe, runs[0].records
    hours = Hours(wanted.suite, recipe, wanted.runs)
    places, through, ends = dict[Path, Place](), dict[Path, str](), dict[Path, list[str]]()
    for run, arm in itertools.product(runs, arguments.arms(recipe, wanted.arms)):
        path = run.path(arm)
        for place in path:
            places.setdefault(place.folder, place)
            through.setdefault(place.folder, arm)
        here = ends.setdefault(path[-1].folder, [])
        here += [arm] if arm not in here else []
    for folder, place in places.items():
        seed, arms = place.settings.seed, ends.get(folder, [])
        stems = [record.stem(name, wanted.scale, overrides, arm, seed) for arm in arms]
        trained = place.finished
        words = [name, *overrides, *wanted.words, "--seed", str(seed)]
        for arm in arms or [through[folder]]:
            words += ["--arm", arm]
        yield Job(
            name=_title(wanted.runs, place),
            folder=folder,
            parent=_title(wanted.runs, place.parent) if place.parent else None,
            words=(*words, "--job", str(len(place.path))),
            writes=bool(arms),
            finished=trained and all((records / f"{stem}.json").exists() for stem in stems),
            hours=0.0 if trained else hours.of(place),
        )


def _runs(wanted: Wanted, name: str, overrides: tuple[str, ...]) -> list[Run]:
    """Returns the runs of all seeds. They only find places in the tree: nothing is trained here."""
    suite = wanted.suite
    recipe = suite.recipe(name, wanted.scale, overrides)
    corpus = corpus_folder(suite, recipe, wanted.runs)
    nothing: Any = None
    first = Run(
        recipe=recipe,
        usual=suite.recipe(name, wanted.scale),
        overrides=overrides,
        seed=0,
        task=suite.task(recipe, corpus, 0, 0),
        task_settings=suite.task_module(recipe.corpus).Settings,
        accelerator=cast(Any, SimpleNamespace(num_processes=wanted.processes)),
        options=wanted.options,
        runs=wanted.runs,
        records=wanted.records or wanted.runs / "records",
        checkpoint_every_s=0,
        provenance={},
        stop=nothing,
        reporter=nothing,
    )

    def of_seed(seed: int, dense: Run | None) -> Run:
        run = replace(first, seed=seed, dense=dense)
        run.__dict__["layers"] = first.layers  # the same for all: the network is built once
        return run

    shared = of_seed(recipe.dense_seed, None) if recipe.dense_seed is not None else None
    return [
        shared if shared and shared.seed == seed else of_seed(seed, shared) for seed in wanted.seeds
    ]


def _title(runs: Path, place: Place) -> str:
    return place.folder.relative_to(runs).as_posix()
