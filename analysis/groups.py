"""Runs that may share a mean: one recipe under the same conditions, all its arms and seeds."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from analysis.arms import ordered
from analysis.frame import frame, rows
from analysis.metrics import METRICS
from analysis.metrics import metric as metric_of
from analysis.records import Run, conditions, once
from analysis.scales import scale
from analysis.statistics import Spread, spread
from dsd.errors import UserError
from dsd.runs.record import Record, read
from dsd.runs.settings import Settings
from dsd.suite.folder import Suite
from dsd.suite.recipe import Recipe
from dsd.suite.scores import decimals

if TYPE_CHECKING:
    import pandas as pd

# Settings that a mean may span; what stays includes the fingerprint of the data.
RECIPES_OWN = ("optimizer", "clip_value", "clip_norm", "exclude", "momentum", "carry_over")
FREE = {"path", "seed", "dense_seed", "channels_last", "compile", "fused"}


class Gain(NamedTuple):
    """How much better one arm is than another, over the seeds that both have."""

    values: tuple[float, ...]  # a difference a seed, in the metric's unit; positive: better
    reference: float  # the other arm's mean over these seeds

    @property
    def difference(self) -> Spread:
        """Returns mean, standard deviation and number of the differences."""
        return spread(self.values)

    @property
    def relative_pct(self) -> float:
        """Returns the mean difference in percent of the other arm's mean, 0 where that is 0."""
        return 100 * self.difference.mean / self.reference if self.reference else 0.0


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

    @cached_property
    def notes(self) -> list[str]:
        """Returns what must be said beside these figures, each note once."""
        return once(note for run in self.runs for note in run.notes)

    @cached_property
    def arms(self) -> dict[str, dict[int, Run]]:
        """Returns {arm: {seed: run}} in the tables' order."""
        by_arm: dict[str, dict[int, Run]] = {
            arm: {} for arm in ordered(run.record.arm for run in self.runs)
        }
        for run in sorted(self.runs, key=lambda run: run.record.seed):
            by_arm[run.record.arm][run.record.seed] = run
        return by_arm

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """Returns the figures as a tidy table, see analysis/frame.py."""
        return frame(self.runs)

    def values(
        self, arm: str, split: str, metric: str | None = None, path: str | None = None
    ) -> dict[int, float]:
        """Returns {seed: figure} of an arm, {} where it was not run.

        By default of the recipe's metric; at the end of the arm, or of a phase on its path.
        """
        path = path or self.end(arm)
        return self._figures.get((arm, path, split, metric or self.first.metric), {})

    def mean(
        self, arm: str, split: str, metric: str | None = None, path: str | None = None
    ) -> Spread | None:
        """Returns the mean of these values, None where there is none."""
        found = self.values(arm, split, metric, path)
        return spread([*found.values()]) if found else None

    def reached(self, path: str, split: str, metric: str | None = None) -> dict[int, float]:
        """Returns {seed: figure} at the end of a path of phases, whichever arms take it."""
        found = [self.values(arm, split, metric, path) for arm in self.arms]
        return dict(sorted(item for values in found for item in values.items()))

    def end(self, arm: str) -> str:
        """Returns the whole path of an arm's phases, "" where it was not run."""
        return next((run.address for run in self.arms.get(arm, {}).values()), "")

    def lower_is_better(self, metric: str) -> bool:
        """Returns whether less of a metric is better; of an unknown one the record says."""
        return metric_of(metric, self.first.lower_is_better).lower_is_better

    def gain(self, arm: str, over: str, split: str, metric: str | None = None) -> Gain | None:
        """Returns the gain of one arm over another, None where they share no seed."""
        metric = metric or self.first.metric
        ours, theirs = self.values(arm, split, metric), self.opposite(arm, over, split, metric)
        differences = paired(ours, theirs)
        if arm == over or not differences:
            return None
        sign = -1 if self.lower_is_better(metric) else 1
        gains = tuple(sign * difference for difference in differences)
        return Gain(gains, spread([theirs[seed] for seed in theirs if seed in ours]).mean)

    def opponents(self, arm: str, over: str) -> dict[int, Run]:
        """Returns {seed of an arm: the other arm's run that it is compared with}.

        That of the same seed; of an arm that is the dense phase alone, the run it branched off.
        """
        theirs = self.arms.get(over, {})
        dense_alone = "/" not in self.end(over)
        found = {}
        for seed, run in self.arms.get(arm, {}).items():
            start = run.record.settings.dense_seed
            other = theirs.get(start if dense_alone and start is not None else seed)
            if other is not None:
                found[seed] = other
        return found

    def opposite(self, arm: str, over: str, split: str, metric: str) -> dict[int, float]:
        """Returns {seed of an arm: the figure of the other arm's run that it is compared with}."""
        theirs = self.values(over, split, metric)
        return {
            seed: theirs[run.record.seed]
            for seed, run in self.opponents(arm, over).items()
            if run.record.seed in theirs
        }

    def decimals(self, metric: str) -> int:
        """Returns how many decimals a metric is written with; of an unknown one its values tell."""
        if metric in METRICS:
            return METRICS[metric].decimals
        values = (
            value
            for key, seeds in self._figures.items()
            if key[3] == metric
            for value in seeds.values()
        )
        return decimals(metric, values)

    @cached_property
    def _figures(self) -> dict[tuple[str, str, str, str], dict[int, float]]:
        found: dict[tuple[str, str, str, str], dict[int, float]] = {}
        for _, _, _, seed, arm, path, split, metric, value, _ in rows(self.runs):
            found.setdefault((arm, path, split, metric), {})[seed] = value
        return {key: dict(sorted(values.items())) for key, values in found.items()}

    def reasons_apart(self, suite: Suite) -> list[str]:
        """Returns why these figures may not stand beside the paper's; none: they may."""
        record = self.first
        reasons = [] if record.table else ["the paper has no such row"]
        if record.scale != "full":
            reasons.append(scale(record))
        if record.overrides:
            reasons.append("changed settings")
        if (precision := record.settings.precision) != "fp32":
            reasons.append(f"{precision} where the recipe's default is fp32")
        if record.settings.tf32:
            reasons.append("products rounded to TF32")
        reasons += once(note for run in self.runs for note in run.corpus_notes)
        return once([*reasons, *self._drift(suite)])

    def _drift(self, suite: Suite) -> list[str]:
        """Returns in what the recipe has changed since the runs, an arm each."""
        record = self.first
        try:
            recipe = suite.recipe(record.recipe, record.scale, tuple(record.overrides))
            firsts = [next(iter(runs.values())).record for runs in self.arms.values()]
            changed = [_changed(first.settings, recipe, first.arm) for first in firsts]
        except (UserError, ValidationError, KeyError):
            return ["the recipe, as it is today, cannot make this run"]
        return [f"the recipe's {', '.join(keys)} changed since the run" for keys in changed if keys]


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[float, ...]:
    """Returns ours less theirs, {seed: figure} each, of the seeds that both have."""
    return tuple(ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys()))


def groups(runs: Iterable[Run]) -> list[Group]:
    """Puts together what may share a mean: recipe, scale, settings and data alike.

    Raises UserError when one arm's runs were trained by different schedules.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        record = run.record
        shared = record.settings.model_dump(mode="json", exclude=FREE | {"exclude"})
        key = json.dumps([conditions(record), shared], sort_keys=True)
        found.setdefault(key, []).append(run)
    together = [Group(tuple(members)) for members in found.values()]
    for group in together:
        _check_schedules(group)
    return sorted(together, key=lambda group: _order(group.first))


def of_one_seed(paths: Iterable[Path], purpose: str) -> list[Run]:
    """Reads records of one recipe, scale and seed, in the order of the arms.

    Raises UserError when they do not belong together; `purpose` says what needs it.
    """
    runs = [Run(path, read(path)) for path in paths]
    order = ordered(run.record.arm for run in runs)
    runs.sort(key=lambda run: order.index(run.record.arm))
    if len(groups(runs)) != 1 or len({run.record.seed for run in runs}) != 1:
        raise UserError(
            f"{', '.join(run.path.name for run in runs)}: {purpose} of one recipe, scale and "
            "seed; name the records of one"
        )
    return runs


def of_one_group(paths: Iterable[Path]) -> Group:
    """Reads records of one recipe, scale and settings, of all their arms and seeds.

    Raises UserError when they do not belong together.
    """
    found = groups(Run(path, read(path)) for path in paths)
    if len(found) != 1:
        raise UserError(
            f"{' and '.join(group.runs[0].path.name for group in found)}: not of one recipe, scale "
            "and settings; name the records of one"
        )
    return found[0]


def _check_schedules(group: Group) -> None:
    seen: dict[str, tuple[object, Path]] = {}
    for run in group.runs:
        nodes = run.record.settings.path
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


def _changed(settings: Settings, recipe: Recipe, arm: str) -> list[str]:
    pairs: dict[str, tuple[object, object]] = {
        "task": (settings.task, json.loads(json.dumps(recipe.task))),
        "phases": (settings.path, tuple(recipe.plan(arm))),
    }
    pairs |= {name: (getattr(settings, name), getattr(recipe, name)) for name in RECIPES_OWN}
    return [name for name, (then, now) in pairs.items() if then != now]


def _order(record: Record) -> tuple[object, ...]:
    return record.recipe, record.scale != "full", record.scale, sorted(record.overrides)
