"""The evidence protocol: which recipes, scales, arms and seeds, and which have no record yet."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dsd.errors import UserError
from dsd.runs import record
from dsd.suite.folder import Suite
from dsd.suite.recipe import Recipe, validate


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Options(_Strict):
    """How `dsd run` runs it."""

    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False


class Item(_Strict):
    """Arms of one recipe at one scale, each with the same seeds."""

    title: str = ""  # in the table, where recipe, scale and settings are too long
    recipe: str
    scale: str = "full"
    settings: tuple[str, ...] = ()  # as `dsd run` takes them: key=value
    arms: Annotated[tuple[str, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    first_seeds: Annotated[int, Field(ge=0)] = 6  # so many before any item gets the rest
    options: Options = Options()
    shares_dense_with: str | None = None  # another scale, whose dense phase is the same
    records: str | None = None  # a folder of the suite for them, where not the usual one

    @field_validator("seeds")
    @classmethod
    def _two_are_first_and_last(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(seeds) != 2:
            return seeds
        if seeds[1] < seeds[0]:
            raise ValueError("the last seed comes before the first")
        return tuple(range(seeds[0], seeds[1] + 1))

    def __str__(self) -> str:
        return self.title or " ".join([self.recipe, self.scale, *self.settings])


class Protocol(_Strict):
    """All items, in the order to run them."""

    items: tuple[Item, ...]


class Job(NamedTuple):
    """What one `dsd run` trains: an item's arms of one seed."""

    item: Item
    seed: int


@dataclass(frozen=True)
class Evidence:
    """The protocol, and the folders that tell how far it has come."""

    suite: Suite
    protocol: Protocol
    runs: Path
    records: Path | None  # None: the suite's published ones

    def jobs(self) -> list[Job]:
        """Returns all jobs in order: every item's first seeds, then every item's rest."""
        first: list[Job] = []
        rest: list[Job] = []
        for item in self.protocol.items:
            for place, seed in enumerate(item.seeds):
                (first if place < item.first_seeds else rest).append(Job(item, seed))
        return first + rest

    def missing(self, job: Job) -> list[str]:
        """Returns the arms of a job that have no record."""
        item, folder = job.item, self.folder(job.item)
        words = item.recipe, item.scale, item.settings
        return [
            arm
            for arm in item.arms
            if not (folder / f"{record.stem(*words, arm, job.seed)}.json").exists()
        ]

    def folder(self, item: Item) -> Path:
        """Returns where an item's records are."""
        if item.records and not self.records:
            return self.suite.root / item.records
        return self.records or self.suite.root / "results" / "runs"

    def recipe(self, item: Item) -> Recipe:
        """Reads an item's recipe. Raises UserError when recipe, scale or an arm is not there."""
        recipe = self.suite.recipe(item.recipe, item.scale, item.settings)
        for arm in item.arms:
            recipe.plan(arm)
        return recipe


def read_protocol(path: Path) -> Protocol:
    """Reads and checks a protocol. Raises UserError that names file and key."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return validate(Protocol, raw, str(path))


def show(evidence: Evidence) -> None:
    """Prints how many records each item has and lacks, and about how long the rest will take."""
    table = Table("item", "records of each arm", "seeds not complete", "core-hours left")
    counted: set[str] = set()
    total, faults = 0.0, []
    for item in evidence.protocol.items:
        missing = {seed: evidence.missing(Job(item, seed)) for seed in item.seeds}
        counts = [
            f"{arm} {sum(arm not in arms for arms in missing.values())}/{len(missing)}"
            for arm in item.arms
        ]
        seeds = " ".join(str(seed) for seed, arms in missing.items() if arms)
        try:
            hours = _hours(evidence, item, missing, counted)
            total, cost = total + hours, f"{hours:.1f}"
        except UserError as error:
            faults.append(f"{item}: {error}")
            cost = "?"
        table.add_row(escape(str(item)), "\n".join(counts), seeds or "-", cost)
    console = Console()
    console.print(table)
    console.print(f"core-hours of training left: {total:.1f}, at the pace of the records")
    for fault in faults:
        console.print(fault, soft_wrap=True, markup=False)


def _hours(
    evidence: Evidence, item: Item, missing: dict[int, list[str]], counted: set[str]
) -> float:
    """Estimates an item's core-hours; what several arms share is counted once, in `counted`.

    Raises UserError when there is no such recipe, or no record of it that tells its pace.
    """
    recipe = evidence.recipe(item)

    def phases(seed: int, arms: Collection[str]) -> dict[str, float]:
        plans = [recipe.plan(arm) for arm in arms]
        return {
            str((recipe.name, recipe.task, seed, plan[: depth + 1])): node.phase.epochs
            for plan in plans
            for depth, node in enumerate(plan)
        }

    epochs = 0.0
    for seed, arms in missing.items():
        counted.update(phases(seed, {*item.arms} - {*arms}))
        wanted = phases(seed, arms)
        epochs += sum(length for phase, length in wanted.items() if phase not in counted)
        counted.update(wanted)
    return epochs * _core_seconds_per_epoch(evidence, item) / 3600 if epochs else 0.0


def _core_seconds_per_epoch(evidence: Evidence, item: Item) -> float:
    """Returns what an epoch took on a processor at this scale, or else at any scale."""
    folders = {evidence.folder(item), evidence.suite.root / "results" / "runs"}
    paths = [path for folder in folders for path in folder.glob(f"{item.recipe}*.json")]
    read = [record.read(path) for path in sorted(paths)]
    alike = [one for one in read if one.scale == item.scale] or read
    phases = [phase for one in alike for phase in one.phases]
    phases = [phase for phase in phases if phase.provenance["device"].startswith("cpu")]
    epochs = sum(phase.epochs for phase in phases)
    if not epochs:
        raise UserError("no record of this recipe tells how long an epoch takes")
    spent = (phase.provenance for phase in phases)
    return sum(one["train_seconds"] * one["threads"] for one in spent) / epochs
