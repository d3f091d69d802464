"""One recipe and seed: what all its arms and phases share."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from pydantic import BaseModel
from torch import nn

from dsd.errors import UserError
from dsd.pruning.distribution import groups
from dsd.pruning.sparsifier import Sparsifier
from dsd.runs import record
from dsd.runs.files import lock
from dsd.runs.settings import Settings
from dsd.runs.tree import Place, places
from dsd.suite.recipe import Node, Phase, Recipe
from dsd.suite.task import Task
from dsd.training.device import Options
from dsd.training.optimizers import AnyOptimizer, make_optimizer
from dsd.training.progress import Reporter
from dsd.training.stop import Stop, Stopped


@dataclass
class Run:
    """A recipe, a seed, and all else that training an arm needs."""

    recipe: Recipe
    usual: Recipe  # the same recipe and scale, without the overrides
    overrides: tuple[str, ...]
    seed: int
    task: Task
    task_settings: type[BaseModel]
    accelerator: Accelerator
    options: Options
    runs: Path  # where checkpoints live
    records: Path  # where records go
    checkpoint_every_s: float
    provenance: dict[str, Any]  # of this process, see dsd/runs/provenance.py
    stop: Stop
    reporter: Reporter
    dense: "Run | None" = None  # the run with the dense phase, where it is another seed's
    patient: bool = False  # whether to wait for a phase that another process trains

    @property
    def folder(self) -> Path:
        """Returns the folder of this seed's phases."""
        return self.runs / record.label(self.recipe.name, self.recipe.scale) / f"seed{self.seed}"

    def path(self, arm: str) -> list[Place]:
        """Returns the places of an arm's phases in the tree."""
        return places(
            self.folder,
            self.recipe.plan(arm),
            self.recipe,
            self.usual,
            self._settings,
            self.task_settings,
            self.dense.path(arm)[0] if self.dense else None,
        )

    def owner(self, place: Place) -> "Run":
        """Returns the run with a phase's seed: the dense phase can be another seed's."""
        return self.dense if self.dense and place.parent is None else self

    def lock(self, place: Place) -> AbstractContextManager[None]:
        """Locks the phase's folder for the processes of this run."""
        wait = self._wait if self.patient else None
        return lock(place.folder, wait) if self.accelerator.is_main_process else nullcontext()

    def _wait(self) -> None:
        if self.stop.asked():
            raise Stopped(self.stop.reason)
        time.sleep(0.5)

    def sparsifier(self, net: nn.Module, optimizer: AnyOptimizer, phase: Phase) -> Sparsifier:
        """Returns the recipe's sparsifier. Raises UserError when it cannot prune the network so."""
        recipe = self.recipe
        try:
            sparsifier = Sparsifier(
                net,
                optimizer,
                phase.sparsity,
                recipe.exclude,
                recipe.momentum,
                include=recipe.include,
                scope=phase.scope,
            )
            for other in recipe.phases.values():  # fails now, not after days of the dense phase
                groups(sparsifier.layers, other.sparsity, other.scope)
        except ValueError as error:
            raise UserError(f"{recipe.name}: {error}") from None
        return sparsifier

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Returns the names of the parameters that are pruned."""
        net, phase = self.task.model(), next(iter(self.recipe.phases.values()))
        optimizer = make_optimizer(self.recipe.optimizer, net.parameters(), phase.lr)
        return tuple(self.sparsifier(net, optimizer, phase).layers)

    def _settings(self, recipe: Recipe, path: Sequence[Node]) -> Settings:
        """Returns the settings that decide the result of a path's last phase."""
        return Settings(
            task=recipe.task,
            optimizer=recipe.optimizer,
            clip_value=recipe.clip_value,
            clip_norm=recipe.clip_norm,
            exclude=recipe.exclude,
            layers=self.layers,
            momentum=recipe.momentum,
            carry_over=recipe.carry_over,
            path=tuple(path),
            seed=self.seed,
            dense_seed=self.dense.seed if self.dense and len(path) > 1 else None,
            corpus=self.task.corpus["fingerprint"],
            weights=self.task.corpus.get("weights"),
            precision=self.options.precision,
            channels_last=self.options.channels_last,
            compile=self.options.compile,
            fused=self.options.fused,
            tf32=self.options.tf32,
        )
