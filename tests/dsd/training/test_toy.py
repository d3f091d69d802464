"""Algorithm 1 on a toy: a linear map of eight numbers, learned from sixteen points."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from pydantic import BaseModel
from rich.console import Console
from torch import nn

from dsd.errors import UserError
from dsd.runs import record
from dsd.suite.recipe import Recipe
from dsd.suite.task import Loss
from dsd.training.algorithm import train_arm
from dsd.training.device import Options
from dsd.training.progress import Reporter
from dsd.training.run import Run
from dsd.training.stop import Stop

PHASES = {
    "dense": {"epochs": 5, "lr": 0.1},
    "sparse": {"epochs": 5, "lr": 0.1, "sparsity": 0.5},
    "redense": {"epochs": 5, "lr": 0.01},
}
ARMS = {
    "dsd": {"source": "ours", "phases": ["dense", "sparse", "redense"]},
    "finetune": {"source": "ours", "phases": ["dense", "sparse", "redense"], "mask": "none"},
}


class Settings(BaseModel):
    """The toy has none."""


class Toy:
    metric, lower_is_better, choose_by, unit = "loss", True, "loss", "points"
    heldout, tests, steps_per_epoch = None, ("test",), 1
    skipped: tuple[str, ...] = ()
    assets: dict[str, str] = {}  # noqa: RUF012
    corpus = {"fingerprint": "toy"}  # noqa: RUF012
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    y = x @ torch.arange(8.0)[:, None]

    def model(self, weights: str | None = None) -> nn.Module:
        return nn.Linear(8, 1, bias=False)

    def batches(self, epoch, first_step, shard):
        yield {"x": self.x, "y": self.y}

    def batch_sizes(self, epoch):
        return [len(self.x)]

    def loss(self, model, batch):
        return Loss((model(batch["x"]) - batch["y"]).square().mean(), len(batch["x"]), {})

    def eval_batches(self, split, shard):
        yield {"x": self.x, "y": self.y, "index": torch.arange(len(self.x))}

    def predict(self, model, batch):
        return {"index": batch["index"], "error": (model(batch["x"]) - batch["y"])[:, 0].square()}

    def metrics(self, split, results):
        return {"loss": float(results["error"].mean())}


def toy_run(folder: Path) -> Run:
    recipe = Recipe.model_validate(
        {"name": "toy", "title": "Toy", "corpus": "toy", "optimizer": {"name": "sgd"}}
        | {"task": {}, "phases": PHASES, "arms": ARMS}
    )
    return Run(
        recipe=recipe,
        usual=recipe,
        overrides=(),
        seed=0,
        task=Toy(),
        task_settings=Settings,
        accelerator=Accelerator(cpu=True),
        options=Options(),
        runs=folder,
        records=folder,
        checkpoint_every_s=float("inf"),
        provenance={"date": "today"},
        stop=Stop(),
        reporter=Reporter(Console(quiet=True)),
    )


def test_dense_sparse_redense_by_hand(tmp_path):
    """The whole of Algorithm 1 again in plain PyTorch, with the same bits."""
    run = toy_run(tmp_path)
    done = record.read(train_arm(run, "dsd"))
    dense, sparse, redense = (place.checkpoint()["model"]["weight"] for place in run.path("dsd"))

    def step(w: torch.Tensor, lr: float) -> torch.Tensor:
        w = w.clone().requires_grad_()
        ((Toy.x @ w.t()) - Toy.y).square().mean().backward()
        return (w - lr * w.grad).detach()

    w = dense
    mask = w.abs() > w.abs().flatten().kthvalue(4).values  # the paper's: above the k-th
    for _ in range(5):
        w = step(w * mask, 0.1) * mask
    torch.testing.assert_close(w, sparse)
    assert int((sparse == 0).sum()) == 4
    for _ in range(5):
        w = step(w, 0.01)
    torch.testing.assert_close(w, redense)
    assert (redense != 0).all()
    losses = [row["train"]["loss"] for phase in done.phases for row in phase.log]
    assert len(losses) == 15
    assert done.final["test"]["loss"] == pytest.approx(
        float(((Toy.x @ w.t()) - Toy.y).square().mean())
    )


def test_a_task_with_too_few_batches_is_named_not_waited_for(tmp_path):
    run = toy_run(tmp_path)
    run.task.steps_per_epoch = 3
    run.task.batch_sizes = lambda epoch: [16] * 3
    with pytest.raises(UserError, match=r"toy: .* ended after 1, steps_per_epoch is 3"):
        train_arm(run, "dsd")


def test_the_control_takes_the_same_steps_without_a_mask(tmp_path):
    run = toy_run(tmp_path)
    train_arm(run, "dsd")
    done = record.read(train_arm(run, "finetune"))
    assert [phase.mask for phase in done.phases] == ["none"] * 3
    assert [phase.lr for phase in done.phases] == [0.1, 0.1, 0.01]
    assert (run.path("finetune")[1].checkpoint()["model"]["weight"] != 0).all()
