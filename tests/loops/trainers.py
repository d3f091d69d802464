"""What becomes of a plan under other people's trainers: the survey and the slow tests share it."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from dsd import Sparsifier
from dsd.integrations import DSDSchedule, Phase

PLAN = [
    Phase(steps=4, lr=0.1),
    Phase(steps=6, sparsity=0.5, lr=0.05),
    Phase(steps=4, lr=0.01),
]
STEPS = sum(phase.steps or 0 for phase in PLAN)


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def data() -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(8 * STEPS, 8, generator=generator)
    return TensorDataset(points, points.argmax(1) % 4)


def zeros(model: nn.Module) -> int:
    return sum(int((p == 0).sum()) for p in model.parameters() if p.dim() > 1)


class Watch:
    """Counts zeros after each step; 96 of 192 weights are pruned in steps 5 to 10."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def held(self) -> bool:
        return self.seen[4:9] == [96] * 5 and max(self.seen[:3] + self.seen[10:]) < 20


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def answers(run: Callable[[Path, Path | None, int], tuple[nn.Module, Watch]]) -> dict[str, str]:
    """Returns whether masks are held, and whether a training resumed at step 7 ends the same.

    run(folder, checkpoint to resume, step to save at) -> the model and what was seen of it.
    """
    folder = Path(tempfile.mkdtemp())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole, watch = run(folder, None, 7)
            resumed, _ = run(folder, folder / "saved", 0)
    finally:
        shutil.rmtree(folder)
    said = {True: "yes", False: "no"}
    held = said[watch.held()]
    return {"held": held, "pruned": "-", "reset": "-", "resume": said[same(whole, resumed)]}


def plain(folder: Path, resume: Path | None, save_at: int) -> tuple[nn.Module, Watch]:
    model, watch = mlp(), Watch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = DSDSchedule(Sparsifier(model, optimizer, 0.5), PLAN)
    parts = (model, optimizer, schedule)
    if resume:
        for part, state in zip(parts, torch.load(resume, weights_only=True), strict=True):
            part.load_state_dict(state)
    for number, (points, labels) in enumerate(DataLoader(data(), batch_size=8)):
        if number < schedule.steps:
            continue
        optimizer.zero_grad()
        F.cross_entropy(model(points), labels).backward()
        optimizer.step()
        schedule.step()
        watch.seen.append(zeros(model))
        if schedule.steps == save_at:
            torch.save([part.state_dict() for part in parts], folder / "saved")
    return model, watch


def accelerate(folder: Path, resume: Path | None, save_at: int) -> tuple[nn.Module, Watch]:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    accelerator, watch = Accelerator(cpu=True, gradient_accumulation_steps=2), Watch()
    net = mlp()
    model, optimizer = accelerator.prepare(net, torch.optim.Adam(net.parameters(), lr=0.01))
    schedule = DSDSchedule(Sparsifier(model, optimizer, 0.5), PLAN)
    accelerator.register_for_checkpointing(schedule)
    if resume:
        accelerator.load_state(str(resume))
    batches = [*DataLoader(data(), batch_size=4)]
    for points, labels in batches[2 * schedule.steps :]:
        with accelerator.accumulate(model):
            optimizer.zero_grad()
            accelerator.backward(F.cross_entropy(model(points), labels))
            optimizer.step()
            if accelerator.sync_gradients:
                schedule.step()
                watch.seen.append(zeros(net))
                if schedule.steps == save_at:
                    accelerator.save_state(str(folder / "saved"))
    return net, watch


def ignite(folder: Path, resume: Path | None, save_at: int) -> tuple[nn.Module, Watch]:
    from ignite.engine import Events, create_supervised_trainer

    model, watch = mlp(), Watch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = DSDSchedule(Sparsifier(model, optimizer, 0.5), PLAN)
    parts = (model, optimizer, schedule)
    if resume:
        for part, state in zip(parts, torch.load(resume, weights_only=True), strict=True):
            part.load_state_dict(state)
    trainer = create_supervised_trainer(model, optimizer, F.cross_entropy)

    @trainer.on(Events.ITERATION_COMPLETED)
    def count() -> None:
        schedule.step()
        watch.seen.append(zeros(model))
        if schedule.steps == save_at:
            torch.save([part.state_dict() for part in parts], folder / "saved")

    trainer.run([*DataLoader(data(), batch_size=8)][schedule.steps :], max_epochs=1)
    return model, watch


def transformers(folder: Path, resume: Path | None, save_at: int) -> tuple[nn.Module, Watch]:
    import transformers as lib

    from dsd.integrations.transformers import DSDCallback

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mlp()

        def forward(self, points: Tensor, labels: Tensor) -> dict[str, Tensor]:
            return {"loss": F.cross_entropy(self.layers(points), labels)}

    class Count(lib.TrainerCallback):
        def on_step_end(self, *given: Any, model: nn.Module, **named: Any) -> None:
            watch.seen.append(zeros(model))

    model, watch = Net(), Watch()
    args = lib.TrainingArguments(
        str(folder / ("again" if resume else "run")),
        num_train_epochs=1,
        per_device_train_batch_size=8,
        save_steps=save_at or 100,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        lr_scheduler_type="constant",
        optim="sgd",
        optim_args="momentum=0.9",
    )
    rows = [{"points": points, "labels": labels} for points, labels in data()]
    trainer = lib.Trainer(model, args, train_dataset=rows, callbacks=[DSDCallback(PLAN), Count()])
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    if save_at:
        shutil.copytree(folder / f"run/checkpoint-{save_at}", folder / "saved")
    return model, watch


def lightning(folder: Path, resume: Path | None, save_at: int) -> tuple[nn.Module, Watch]:
    from lightning import pytorch as lib

    from dsd.integrations.lightning import DSDCallback

    class Net(lib.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mlp()

        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            return F.cross_entropy(self.layers(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    class Count(lib.Callback):
        def on_train_batch_end(self, trainer: Any, module: nn.Module, *given: Any) -> None:
            watch.seen.append(zeros(module))

        def on_train_epoch_end(self, trainer: Any, module: nn.Module) -> None:
            if trainer.global_step == save_at:
                trainer.save_checkpoint(folder / "saved")

    model, watch = Net(), Watch()
    trainer = lib.Trainer(
        accelerator="cpu",
        max_epochs=STEPS,  # of one batch: within an epoch Lightning begins its data again
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[DSDCallback(PLAN), Count()],
    )
    batches = DataLoader(data(), batch_size=8 * STEPS)
    trainer.fit(model, batches, ckpt_path=resume, weights_only=True)
    return model, watch


TRAINERS = {  # name -> package, what becomes of it
    "a plain loop": ("torch", lambda: answers(plain)),
    "accelerate": ("accelerate", lambda: answers(accelerate)),
    "ignite": ("pytorch-ignite", lambda: answers(ignite)),
    "transformers' Trainer": ("transformers", lambda: answers(transformers)),
    "Lightning's Trainer": ("lightning", lambda: answers(lightning)),
}
os.environ.setdefault("HF_HUB_OFFLINE", "1")
