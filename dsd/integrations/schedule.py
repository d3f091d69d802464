"""A DSD plan for any loop: dense, sparse and re-dense phases, each with its length and rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from dsd.pruning.distribution import Sparsity
from dsd.pruning.sparsifier import Sparsifier


@dataclass(frozen=True)
class Phase:
    """One phase of a plan, so long in optimizer steps or in epochs.

    sparsity: what it prunes at its start, see Sparsifier; 0 trains dense. lr: the learning rate of
    the optimizer's first parameter group; other groups keep their ratio to it. None leaves rates
    to the loop. Raises ValueError unless it has either steps or epochs, of at least 0.
    """

    steps: int | None = None
    epochs: float | None = None
    sparsity: Sparsity = 0.0
    lr: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None) or (self.steps or self.epochs or 0) < 0:
            raise ValueError(f"a phase has steps or epochs, at least 0, not {self}")

    @property
    def sparse(self) -> bool:
        """Returns whether it prunes."""
        given = self.sparsity
        return any(given.values()) if isinstance(given, Mapping) else given > 0


class DSDSchedule:
    """Takes a Sparsifier through the phases of a plan: call `step()` after each optimizer step.

        s = Sparsifier(model, optimizer, sparsity=0.3)
        plan = [Phase(epochs=10), Phase(epochs=5, sparsity=0.3, lr=0.01), Phase(epochs=5, lr=0.001)]
        schedule = DSDSchedule(s, plan, steps_per_epoch=len(batches))
        for batch in ...:
            optimizer.step()
            schedule.step()

    At a phase's start it prunes or drops the masks, and sets the rates, which must be given for all
    phases or for none; call `step()` after a learning-rate scheduler of the loop's own, which then
    has no say. After the last phase weights stay as they are, masks held if it was sparse. Its
    state_dict holds the masks too, so it is saved with the model's and the optimizer's, and loaded
    after them.

    steps_per_epoch: optimizer steps, needed where phases have epochs. generator: what random masks
    are drawn from. state: a saved state_dict to go on from, where model and optimizer are loaded
    already; a first phase that is sparse would prune them again. Raises ValueError for a plan that
    cannot be.
    """

    def __init__(
        self,
        sparsifier: Sparsifier,
        phases: Sequence[Phase],
        steps_per_epoch: int | None = None,
        generator: torch.Generator | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        if not phases:
            raise ValueError("phases: the plan has none")
        if steps_per_epoch is None and any(phase.epochs is not None for phase in phases):
            raise ValueError("steps_per_epoch: needed, as phases have epochs")
        if len({phase.lr is None for phase in phases}) > 1:
            raise ValueError("phases: give lr for all phases or for none")
        for phase in phases:
            sparsifier.check_sparsity(phase.sparsity)
        self.sparsifier = sparsifier
        self.phases = tuple(phases)
        self.steps = 0  # done
        self._generator = generator
        lengths = [
            round((phase.epochs or 0) * (steps_per_epoch or 0))
            if phase.steps is None
            else phase.steps
            for phase in phases
        ]
        self._ends = [*accumulate(lengths)]
        self._rates = [
            float(group.get("initial_lr", group["lr"])) for group in sparsifier.param_groups
        ]
        self._entered = -1  # the phase that has begun
        if state is None:
            self._enter()
        else:
            self.load_state_dict(state)

    @property
    def total(self) -> int:
        """Returns the optimizer steps of all phases together."""
        return self._ends[-1]

    @property
    def done(self) -> bool:
        """Returns whether the last phase has ended."""
        return self.steps >= self.total

    @property
    def phase(self) -> Phase:
        """Returns the phase that is trained, the last one when all are done."""
        return self.phases[self._entered]

    def step(self) -> None:
        """Counts an optimizer step, and begins the next phase where one ends.

        Raises what Sparsifier.sparsify and densify raise.
        """
        self.steps += 1
        self._enter()

    def check_length(self, steps: float) -> None:
        """Raises ValueError when a training of so many optimizer steps ends within the plan."""
        if steps < self.total:
            raise ValueError(
                f"phases: the plan has {self.total} optimizer steps, the training only {steps:g}; "
                "it would end in the middle of the plan"
            )

    def state_dict(self, *, full: bool = False) -> dict[str, Any]:
        """Returns what `torch.load(weights_only=True)` reads: numbers, tensors, the masks.

        full: whole masks also of weights that are split over processes, see Sparsifier.state_dict.
        """
        return {
            "steps": self.steps,
            "entered": self._entered,
            "rates": self._rates,
            "generator": self._generator and self._generator.get_state(),
            "sparsifier": self.sparsifier.state_dict(full=full),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where a saved schedule was; load the model's and the optimizer's state before.

        Raises ValueError when the saved masks are not this model's.
        """
        self.sparsifier.load_state_dict(state["sparsifier"])
        self.steps, self._entered = state["steps"], state["entered"]
        self._rates = [*state["rates"]]
        if self._generator is not None and state["generator"] is not None:
            self._generator.set_state(state["generator"].cpu())
        self.set_rates()

    def set_rates(self) -> None:
        """Sets the phase's learning rate in all parameter groups, if it has one."""
        lr, groups = self.phase.lr, self.sparsifier.param_groups
        if lr is None:
            return
        for added in groups[len(self._rates) :]:  # since: they keep their ratio to the first
            self._rates.append(float(added["lr"] / (groups[0]["lr"] or 1) * self._rates[0]))
        for group, rate in zip(groups, self._rates, strict=True):
            own = lr * rate / self._rates[0] if self._rates[0] else lr
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(own)
            else:
                group["lr"] = own

    def _enter(self) -> None:
        last = len(self.phases) - 1
        while self._entered < last and (
            self._entered < 0 or self.steps >= self._ends[self._entered]
        ):
            self._entered += 1
            if self.phase.sparse and self._length(self._entered):
                self.sparsifier.sparsify(self.phase.sparsity, generator=self._generator)
            elif self.sparsifier.active:
                self.sparsifier.densify()
        self.set_rates()

    def _length(self, place: int) -> int:
        return self._ends[place] - (self._ends[place - 1] if place else 0)
