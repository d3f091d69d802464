"""The callbacks under small trainers that call them as transformers' and Lightning's do.

tests/loops runs them under the libraries themselves, where these are installed.
"""

import copy
import importlib
import json
import math
import sys
import types
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dsd.integrations import Phase
from tests.loops.trainers import PLAN, STEPS, mlp, same, zeros


class Exportable:
    """As ExportableState: what it is copied from has args and attributes."""


@pytest.fixture
def transformers(monkeypatch):
    library = types.ModuleType("transformers")
    for name in ("TrainerCallback", "TrainerControl", "TrainerState", "TrainingArguments"):
        setattr(library, name, type(name, (), {}))
    parts = types.ModuleType("transformers.trainer_callback")
    parts.ExportableState = Exportable
    monkeypatch.setitem(sys.modules, "transformers", library)
    monkeypatch.setitem(sys.modules, "transformers.trainer_callback", parts)
    monkeypatch.delitem(sys.modules, "dsd.integrations.transformers", raising=False)
    yield importlib.import_module("dsd.integrations.transformers")
    sys.modules.pop("dsd.integrations.transformers")


@pytest.fixture
def lightning(monkeypatch):
    library, parts = types.ModuleType("lightning"), types.ModuleType("lightning.pytorch")
    for name in ("Callback", "LightningModule", "Trainer"):
        setattr(parts, name, type(name, (), {}))
    monkeypatch.setitem(sys.modules, "lightning", library)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", parts)
    monkeypatch.delitem(sys.modules, "dsd.integrations.lightning", raising=False)
    yield importlib.import_module("dsd.integrations.lightning")
    sys.modules.pop("dsd.integrations.lightning")


def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    optimizer.zero_grad()
    model(torch.randn(8, 8, generator=generator)).square().mean().backward()
    optimizer.step()


def start() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = mlp()
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def hf_train(callback: Any, parts: Any, saved: dict | None, save_at: int) -> Any:
    """Trains as transformers.Trainer does; returns what its checkpoint holds, and its log."""
    model, optimizer = parts
    state = SimpleNamespace(
        global_step=saved["step"] if saved else 0,
        max_steps=STEPS,
        stateful_callbacks=saved["callbacks"] if saved else {},
        log_history=[],
    )
    args = SimpleNamespace(gradient_accumulation_steps=1, seed=0)
    if saved:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    callback.on_train_begin(args, state, None, model=model, optimizer=optimizer)
    checkpoint = None
    for number in range(state.global_step, STEPS):
        step(model, optimizer, number)
        state.global_step += 1
        callback.on_step_end(args, state, None, model=model)
        logs = {"loss": 1.0, "learning_rate": 5.0}
        state.log_history.append(dict(logs))
        callback.on_log(args, state, None, logs=logs)
        if state.global_step == save_at:
            checkpoint = {
                "step": save_at,
                "callbacks": json.loads(json.dumps({"DSDCallback": callback.state()})),
                "model": {name: value.clone() for name, value in model.state_dict().items()},
                "optimizer": copy.deepcopy(optimizer.state_dict()),
            }
    return checkpoint, state.log_history


@pytest.mark.parametrize("save_at", [2, 4, 7, 10, 12])
def test_transformers_resumes_from_its_own_state(transformers, save_at):
    parts, again = start(), start()
    plan = [vars(phase) for phase in PLAN]
    saved, log = hf_train(transformers.DSDCallback(plan), parts, None, save_at)
    hf_train(transformers.DSDCallback(plan), again, saved, 0)
    assert same(parts[0], again[0])
    assert [row["sparsity"] for row in log] == [0] * 3 + [0.5] * 6 + [0] * 5
    assert [row["learning_rate"] for row in log] == [0.1] * 3 + [0.05] * 6 + [0.01] * 5


def test_transformers_refuses_a_checkpoint_of_a_training_without_it(transformers):
    saved, _ = hf_train(transformers.DSDCallback(PLAN), start(), None, 4)
    saved["callbacks"] = {"OtherCallback": {"args": {}, "attributes": {}}}
    with pytest.raises(ValueError, match="saved without this callback"):
        hf_train(transformers.DSDCallback(PLAN), start(), saved, 0)


def test_transformers_refuses_a_plan_that_the_training_cuts_off(transformers):
    callback = transformers.DSDCallback([*PLAN, Phase(steps=1, lr=1)])
    with pytest.raises(ValueError, match="the plan has 15 optimizer steps, the training only 14"):
        hf_train(callback, start(), None, 0)


def test_a_state_of_transformers_makes_the_callback_again(transformers):
    callback = transformers.DSDCallback(PLAN, exclude=["0"], criterion=lambda w, g: w.abs())
    args = json.loads(json.dumps(callback.state()))["args"]
    again = transformers.DSDCallback(**args)
    assert again.phases == PLAN
    assert again.options == {"exclude": ["0"]}  # a function cannot be saved


@pytest.mark.parametrize("save_at", [2, 4, 7, 10, 12])
def test_lightning_resumes_from_its_own_state(lightning, save_at):
    """Two batches add up to a step; epochs of seven steps."""

    class Module(nn.Sequential):
        def log(self, name: str, value: float) -> None:
            logged.append((name, value))

    def fit(parts: Any, saved: Any) -> Any:
        model, optimizer = Module(*parts[0]), parts[1]
        trainer = SimpleNamespace(
            optimizers=[optimizer],
            num_training_batches=14,
            accumulate_grad_batches=2,
            estimated_stepping_batches=STEPS,
            global_step=0,
        )
        callback = lightning.DSDCallback(PLAN)
        if saved:
            trainer.global_step = save_at
            parts[0].load_state_dict(saved[1])
            callback.load_state_dict(saved[0])  # before the optimizer's
            optimizer.load_state_dict(saved[2])
        callback.on_train_start(trainer, model)
        checkpoint = None
        for number in range(trainer.global_step, STEPS):
            for batch in range(2):
                callback.on_train_batch_start(trainer, model, None, batch)
                if batch:
                    step(model, optimizer, number)
                    trainer.global_step += 1
                callback.on_train_batch_end(trainer, model, None, None, batch)
            if trainer.global_step == save_at:
                states = callback.state_dict(), parts[0].state_dict(), optimizer.state_dict()
                checkpoint = copy.deepcopy(states)
            optimizer.param_groups[0]["lr"] = math.pi  # a scheduler between batches has no say
        return checkpoint

    logged: list[tuple[str, float]] = []
    parts, again = start(), start()
    saved = fit(parts, None)
    assert [value for _, value in logged] == [0] * 3 + [0.5] * 6 + [0] * 5
    fit(again, saved)
    assert same(parts[0], again[0])
    assert zeros(parts[0]) < 20


def test_lightning_begins_again_where_the_same_callback_trains_once_more(lightning):
    """A checkpoint is of the training that it was given to, not of the next."""
    callback = lightning.DSDCallback(PLAN)
    model, optimizer = start()
    trainer = SimpleNamespace(
        optimizers=[optimizer],
        num_training_batches=7,
        accumulate_grad_batches=1,
        estimated_stepping_batches=STEPS,
        global_step=0,
    )
    callback.on_train_start(trainer, model)
    for _ in range(5):
        callback.schedule.step()
    assert callback.schedule.sparsifier.active
    saved = copy.deepcopy(callback.state_dict())
    callback = lightning.DSDCallback(PLAN)
    callback.load_state_dict(saved)
    for active in (True, False):
        model, optimizer = start()
        trainer.optimizers = [optimizer]
        callback.on_train_start(trainer, model)
        assert callback.schedule.sparsifier.active == active
