"""DSD in Lightning's Trainer."""

import math
from collections.abc import Sequence
from typing import Any

import torch

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError:  # the same library under its other name
    from pytorch_lightning import Callback, LightningModule, Trainer

from dsd.integrations.schedule import DSDSchedule, Phase
from dsd.pruning.sparsifier import Sparsifier


class DSDCallback(Callback):
    """Trains through the phases of a plan: `Trainer(callbacks=[DSDCallback(phases)])`.

    Masks are saved in Lightning's checkpoints and resumed from there; `sparsity` is logged with the
    module's own values.

    phases: see Phase. seed: of random masks. options: of the Sparsifier, such as exclude. Raises
    ValueError at the start of the training when the plan is longer than it.
    """

    def __init__(self, phases: Sequence[Phase], seed: int = 0, **options: Any) -> None:
        self.phases, self.options = phases, options
        self.schedule: DSDSchedule | None = None
        self._generator = torch.Generator().manual_seed(seed)
        self._saved: dict[str, Any] | None = None
        self._seen = 0  # optimizer steps

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Creates the sparsifier, and loads the masks of the checkpoint that is resumed."""
        self.schedule = DSDSchedule(
            Sparsifier(pl_module, trainer.optimizers, 0.0, **self.options),
            self.phases,
            self._steps_per_epoch(trainer),
            self._generator,
            self._saved,
        )
        self._saved = None  # of this training alone: the next may start without a checkpoint
        self.schedule.check_length(trainer.estimated_stepping_batches)
        self._seen = trainer.global_step

    def on_train_batch_start(self, *_: Any) -> None:
        """Sets the phase's rate, which a scheduler may have changed between epochs."""
        if self.schedule:
            self.schedule.set_rates()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Begins the next phase where one ends; batches whose gradients add up are one step."""
        if self.schedule and trainer.global_step != self._seen:
            self._seen = trainer.global_step
            self.schedule.step()
            pl_module.log("sparsity", self.schedule.sparsifier.zeros)

    def state_dict(self) -> dict[str, Any]:
        """Returns what Lightning writes into its checkpoints."""
        return self.schedule.state_dict(full=True) if self.schedule else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps what a checkpoint has, until the optimizers are loaded too."""
        self._saved = state_dict or None

    def _steps_per_epoch(self, trainer: Trainer) -> int | None:
        batches = trainer.num_training_batches
        return None if batches == math.inf else math.ceil(batches / trainer.accumulate_grad_batches)
