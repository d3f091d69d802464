"""Run records read together: which belong side by side, their means and their paired gains."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from pydantic import ValidationError

from dsd.errors import UserError
from dsd.runs.record import Record, read
from dsd.runs.settings import Settings
from dsd.suite.folder import Suite
from dsd.suite.recipe import Recipe, validate

ARMS = ("baseline", "dsd", "finetune", "llr", "random")  # every recipe's, in the tables' order
# Settings that a mean may span; what stays includes the fingerprint of the data.
RECIPES_OWN = ("optimizer", "clip_value", "clip_norm", "exclude", "momentum", "carry_over")
FREE = {"path", "seed", "dense_seed", "processes", "channels_last", "compile"}


class Spread(NamedTuple):
    """A mean over n seeds and the sample standard deviation, None for one seed."""

    mean: float
    sd: float | None
    n: int


class Gain(NamedTuple):
    """How much better one arm is than another, over the seeds that both have."""

    difference: Spread  # of the per-seed differences, in the metric's unit; positive: better
    relative_pct: float  # the mean difference, in percent of the other arm's mean


@dataclass(frozen=True)
class Run:
    """A record and where it lies."""

    path: Path
    record: Record

    @property
    def notes(self) -> list[str]:
        """Returns what must be said beside the figures: of the corpus, then of the recipe."""
        return [*self.corpus_notes, *self.record.notes]

    @property
    def corpus_notes(self) -> list[str]:
        """Returns what sets the corpus apart from the complete, original one."""
        skipped = {name for phase in self.record.phases for name in phase.skipped}
        left_out = [f"{len(skipped)} unusable examples left out"] if skipped else []
        return [*self.record.corpus.get("notes", []), *left_out]


@dataclass(frozen=True)
class Group:
    """Runs of one recipe under the same conditions: they differ in arm and seed alone."""

    runs: tuple[Run, ...]

    @property
    def first(self) -> Record:
        """Returns one of the records, for what all of them share."""
        return self.runs[0].record

    @property
    def splits(self) -> list[str]:
        """Returns the test sets that have the recipe's metric."""
        return [
            split for split, figures in self.first.final.items() if self.first.metric in figures
        ]

    @property
    def notes(self) -> list[str]:
        """Returns what must be said beside these figures, each note once."""
        return _once(note for run in self.runs for note in run.notes)

    @cached_property
    def arms(self) -> dict[str, dict[int, Run]]:
        """Returns {arm: {seed: run}} in the tables' order."""
        present = _once([*ARMS, *sorted(run.record.arm for run in self.runs)])
        by_arm: dict[str, dict[int, Run]] = {arm: {} for arm in present}
        for run in sorted(self.runs, key=lambda run: run.record.seed):
            by_arm[run.record.arm][run.record.seed] = run
        return {arm: seeds for arm, seeds in by_arm.items() if seeds}

    def final(self, arm: str, split: str) -> dict[int, float]:
        """Returns {seed: the metric on a test set at the end of the run}."""
        metric = self.first.metric
        return {
            seed: run.record.final[split][metric]
            for seed, run in self.arms.get(arm, {}).items()
            if metric in run.record.final.get(split, {})
        }

    def gain(self, arm: str, over: str, split: str) -> Gain | None:
        """Returns the gain of one arm over another, None where they share no seed."""
        ours, theirs = self.final(arm, split), self.final(over, split)
        seeds = sorted(ours.keys() & theirs.keys())
        if arm == over or not seeds:
            return None
        sign = 1 if self.first.lower_is_better else -1
        difference = spread(sign * (theirs[seed] - ours[seed]) for seed in seeds)
        reference = fmean(theirs[seed] for seed in seeds)
        return Gain(difference, 100 * difference.mean / reference if reference else 0.0)

    def reasons_apart(self, suite: Suite) -> list[str]:
        """Returns why these figures may not stand beside the paper's; none: they may."""
        record = self.first
        reasons = [] if record.table else ["the paper has no such row"]
        if record.scale != "full":
            reasons.append(f"scale {record.scale}")
        if record.overrides:
            reasons.append("changed settings")
        if (precision := settings(record).precision) != "fp32":
            reasons.append(f"{precision} where the recipe's default is fp32")
        reasons += _once(note for run in self.runs for note in run.corpus_notes)
        for seeds in self.arms.values():  # an arm's runs share their settings
            reasons.append(_drift(next(iter(seeds.values())).record, suite))
        return _once(reason for reason in reasons if reason)


def spread(values: Iterable[float]) -> Spread:
    """Returns the mean, sample standard deviation and number of some values, at least one."""
    values = list(values)
    return Spread(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def read_all(folder: Path, scale: str | None = None) -> list[Run]:
    """Reads all records of a folder, or those of one scale, sorted by file name.

    Raises UserError that names the file: no record, a record with gaps, two records of one run.
    """
    seen: dict[tuple[object, ...], Path] = {}
    runs = []
    for path in sorted(folder.glob("*.json")):
        record = read(path)
        _check_whole(path, record)
        identity = (*_conditions(record), record.arm, record.seed)
        if identity in seen:
            raise UserError(
                f"{path}: arm {record.arm}, seed {record.seed} of {record.recipe} is also in "
                f"{seen[identity].name}; move one of the two away"
            )
        seen[identity] = path
        runs.append(Run(path, record))
    return [run for run in runs if scale in (None, run.record.scale)]


def settings(record: Record) -> Settings:
    """Returns a record's settings through their model, with the layers that it says were pruned."""
    layers = tuple(record.phases[-1].layers)
    where = f"{record.recipe}, arm {record.arm}, seed {record.seed}: settings"
    return validate(Settings, {**record.settings, "layers": layers}, where)


def of_one_seed(paths: Iterable[Path], purpose: str) -> list[Run]:
    """Reads records of one recipe, scale and seed, in the order of the arms.

    Raises UserError when they do not belong together; `purpose` says what needs it.
    """
    runs = [Run(path, read(path)) for path in paths]
    runs.sort(key=lambda run: ARMS.index(run.record.arm) if run.record.arm in ARMS else len(ARMS))
    if len(groups(runs)) != 1 or len({run.record.seed for run in runs}) != 1:
        raise UserError(
            f"{', '.join(run.path.name for run in runs)}: {purpose} of one recipe, scale and "
            "seed; name the records of one"
        )
    return runs


def groups(runs: Iterable[Run]) -> list[Group]:
    """Puts together what may share a mean: recipe, scale, settings and data alike.

    Raises UserError when one arm's runs were trained by different schedules.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        record = run.record
        shared = settings(record).model_dump(mode="json", exclude=FREE | {"exclude"})
        key = json.dumps([_conditions(record), shared], sort_keys=True)
        found.setdefault(key, []).append(run)
    together = [Group(tuple(members)) for members in found.values()]
    for group in together:
        _check_schedules(group)
    return sorted(together, key=lambda group: _order(group.first))


def _check_whole(path: Path, record: Record) -> None:
    """Raises UserError when a record lacks a phase or a test figure."""
    planned = [node.get("folder") for node in record.settings.get("path", [])]
    if not planned or [phase.folder for phase in record.phases] != planned:
        raise UserError(f"{path}: its phases are not those of its settings; make the record again")
    for phase in record.phases:
        for stage in phase.stages:
            if missing := phase.layers.keys() - stage.get("layers", {}).keys():
                raise UserError(
                    f"{path}: stage {stage.get('stage')} of phase {phase.name} has no histogram of "
                    f"{min(missing)}; make the record again"
                )
    for test in (record.final, *(phase.test for phase in record.phases)):
        if not any(record.metric in figures for figures in test.values()):
            raise UserError(f"{path}: a phase has no test {record.metric}; make the record again")


def _check_schedules(group: Group) -> None:
    seen: dict[str, tuple[object, Path]] = {}
    for run in group.runs:
        nodes = settings(run.record).path
        folders = [node.folder for node in nodes]
        schedules: dict[str, object] = {
            "/".join(folders[: i + 1]): node for i, node in enumerate(nodes)
        }
        schedules[f"arm {run.record.arm}"] = folders
        for what, schedule in schedules.items():
            known, path = seen.setdefault(what, (schedule, run.path))
            if schedule != known:
                raise UserError(
                    f"{run.path}: the schedule of {what} differs from the one in {path.name}; "
                    "run the older of the two again, or move it away"
                )


def _drift(record: Record, suite: Suite) -> str:
    """Returns in what the recipe has changed since the run, "" for nothing."""
    try:
        recipe = suite.recipe(record.recipe, record.scale, tuple(record.overrides))
        changed = _changed(settings(record), recipe, record.arm)
    except (UserError, ValidationError, KeyError):
        return "the recipe, as it is today, cannot make this run"
    return f"the recipe's {', '.join(changed)} changed since the run" if changed else ""


def _changed(settings: Settings, recipe: Recipe, arm: str) -> list[str]:
    pairs: dict[str, tuple[object, object]] = {
        "task": (settings.task, json.loads(json.dumps(recipe.task))),
        "phases": (settings.path, tuple(recipe.plan(arm))),
    }
    pairs |= {name: (getattr(settings, name), getattr(recipe, name)) for name in RECIPES_OWN}
    return [name for name, (then, now) in pairs.items() if then != now]


def _conditions(record: Record) -> tuple[str, str, tuple[str, ...]]:
    return record.recipe, record.scale, tuple(sorted(record.overrides))


def _order(record: Record) -> tuple[object, ...]:
    return record.recipe, record.scale != "full", record.scale, sorted(record.overrides)


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
