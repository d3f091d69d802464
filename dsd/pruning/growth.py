"""A gradual schedule in progress: masks that grow, and can be saved and resumed."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from dsd.pruning.criteria import CRITERIA, Criterion, name_of
from dsd.pruning.distribution import Group, pruned_count
from dsd.pruning.masks import choose
from dsd.pruning.parametrized import Source
from dsd.pruning.schedule import Gradual


@dataclass
class Growth:
    """A gradual schedule in progress. Masks only grow: what is pruned stays pruned.

    Scores are computed again each time, but draw the same numbers each time. So random masks are
    nested, and the last is the one that pruning at once would have drawn.
    """

    schedule: Gradual
    groups: list[Group]
    criterion: Criterion
    draws_from: Tensor | None  # state of the generator when the schedule began
    device: str  # of the generator
    step: int = 0

    @classmethod
    def begin(
        cls,
        schedule: Gradual,
        groups: list[Group],
        criterion: Criterion,
        generator: torch.Generator | None,
    ) -> "Growth":
        """Returns the schedule before its first step; advances the generator for its next user."""
        if generator is None:
            return cls(schedule, groups, criterion, None, "")
        state, device = generator.get_state(), generator.device
        torch.empty(1, device=device).random_(generator=generator)
        return cls(schedule, groups, criterion, state, str(device))

    def check_room(self, held: Mapping[str, Mapping[str, int]]) -> None:
        """Raises ValueError when masks already prune more than the sparsity to be reached.

        held: how many weights each layer has, and how many its mask keeps; empty without masks.
        """
        for layers, sparsity in self.groups if held else ():
            weights, kept = (sum(held[name][key] for name in layers) for key in ("weights", "kept"))
            pruned = weights - kept
            if pruned > pruned_count(weights, sparsity):
                raise ValueError(
                    f"{', '.join(layers)}: {pruned} weights are pruned already, more than the "
                    f"sparsity {sparsity} asks for, and masks only grow; densify() first"
                )

    def without(self, names: Collection[str]) -> "Growth":
        """Returns the schedule of the other layers, where it is now."""
        left = [(tuple(n for n in g.layers if n not in names), g.sparsity) for g in self.groups]
        return replace(self, groups=[Group(layers, s) for layers, s in left if layers])

    @property
    def over(self) -> bool:
        """Returns whether the last step is done."""
        return self.step == self.schedule.steps

    def due(self) -> bool:
        """Counts a step and returns whether masks are chosen again after it."""
        self.step += 1
        return self.over or self.step % self.schedule.every == 0

    def grown(
        self,
        weights: Mapping[str, nn.Parameter],
        held: Mapping[str, Tensor],
        sources: Mapping[str, Source],
        inputs_first: Container[str],
    ) -> dict[str, Tensor]:
        """Returns the masks after this step, by name (True = kept)."""
        generator = None
        if self.draws_from is not None:
            generator = torch.Generator(self.device)
            generator.set_state(self.draws_from)
        share = self.schedule.share(self.step)
        return choose(
            weights,
            self.groups,
            self.criterion,
            generator,
            share=share,
            held=held,
            sources=sources,
            inputs_first=inputs_first,
        )

    def state_dict(self) -> dict[str, Any]:
        """Returns numbers, names and a tensor that `torch.load(weights_only=True)` reads."""
        return {
            "steps": self.schedule.steps,
            "every": self.schedule.every,
            "step": self.step,
            "groups": [[list(group.layers), group.sparsity] for group in self.groups],
            "criterion": name_of(self.criterion),
            "draws_from": self.draws_from,
            "device": self.device,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], own: Criterion) -> "Growth":
        """Returns a saved schedule, to go on from where it was.

        own: the criterion to use where the saved name is not in CRITERIA. Raises ValueError when
        `own` has another name.
        """
        name, draws_from = state["criterion"], state["draws_from"]
        criterion = CRITERIA.get(name, own)
        if name_of(criterion) != name:
            raise ValueError(
                f"the saved schedule uses the criterion {name!r}, which is not in CRITERIA: "
                "give that function to Sparsifier"
            )
        return cls(
            schedule=Gradual(state["steps"], state["every"]),
            groups=[Group(tuple(layers), sparsity) for layers, sparsity in state["groups"]],
            criterion=criterion,
            draws_from=None if draws_from is None else draws_from.cpu(),
            device=state["device"],
            step=state["step"],
        )
