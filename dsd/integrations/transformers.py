"""DSD in Hugging Face's Trainer."""

import base64
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from dsd.integrations.schedule import DSDSchedule, Phase
from dsd.pruning.sharded import is_sharded
from dsd.pruning.sparsifier import Sparsifier


class DSDCallback(TrainerCallback, ExportableState):
    """Trains through the phases of a plan: `Trainer(..., callbacks=[DSDCallback(phases)])`.

    Masks are saved in the trainer_state.json of the Trainer's checkpoints and resumed from there.
    The log has `sparsity`, and the phase's learning rate where phases have rates; trackers that the
    Trainer makes for `report_to` come before other callbacks, and log neither.

    phases: see Phase, or the keywords of one. options: of the Sparsifier, such as exclude. Raises
    ValueError at the start of the training when the plan is longer than it, for weights that are
    split over processes, and for a checkpoint that was saved without the callback.
    """

    def __init__(self, phases: Sequence[Phase | dict[str, Any]], **options: Any) -> None:
        self.phases = [p if isinstance(p, Phase) else Phase(**p) for p in phases]
        self.options = options
        self.schedule: DSDSchedule | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: torch.nn.Module,
        optimizer: Any,
        train_dataloader: Any = None,
        **_: Any,
    ) -> None:
        """Creates the sparsifier, and loads the masks of the checkpoint that is resumed."""
        if any(map(is_sharded, model.parameters())):
            raise ValueError(
                "DSDCallback: the Trainer saves its callbacks on one process, which has a part of "
                "the weights (FSDP2); use DistributedDataParallel, or a loop of your own"
            )
        per_epoch = None
        if any(phase.epochs is not None for phase in self.phases):
            per_epoch = math.ceil(len(train_dataloader) / args.gradient_accumulation_steps)
        saved = state.stateful_callbacks.get(type(self).__name__, {}) if state.global_step else {}
        saved = saved[0] if isinstance(saved, list) else saved
        if state.global_step and "attributes" not in saved:
            raise ValueError(
                "DSDCallback: the checkpoint to resume from was saved without this callback, so it "
                "has no masks; start from its weights, or resume without the callback"
            )
        self.schedule = DSDSchedule(
            Sparsifier(model, optimizer, 0.0, **self.options),
            self.phases,
            per_epoch,
            torch.Generator().manual_seed(args.seed),
            _unpacked(saved["attributes"]["saved"]) if state.global_step else None,
        )
        self.schedule.check_length(state.max_steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Begins the next phase where one ends."""
        if self.schedule:
            self.schedule.step()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Adds the sparsity, and the phase's learning rate, to what is logged in training."""
        if self.schedule is None or logs is None or "loss" not in logs:
            return
        added: dict[str, float] = {"sparsity": self.schedule.sparsifier.zeros}
        if self.schedule.phase.lr is not None:
            added["learning_rate"] = self.schedule.phase.lr
        logs.update(added)
        state.log_history[-1].update(added)

    def state(self) -> dict[str, Any]:
        """Returns what the Trainer writes into trainer_state.json."""
        saved = _packed(self.schedule.state_dict()) if self.schedule else None
        options = {name: value for name, value in self.options.items() if _is_json(value)}
        phases = [asdict(phase) for phase in self.phases]
        return {"args": {"phases": phases, **options}, "attributes": {"saved": saved}}


def _packed(state: dict[str, Any]) -> str:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def _unpacked(saved: str) -> dict[str, Any]:
    content = io.BytesIO(base64.b64decode(saved))
    state: dict[str, Any] = torch.load(content, map_location="cpu", weights_only=True)
    return state


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
