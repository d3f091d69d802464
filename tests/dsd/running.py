"""Runs of tests/own_suite in this process."""

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from rich.console import Console

from dsd.runs import record
from dsd.runs.provenance import provenance
from dsd.suite.folder import Suite
from dsd.training.device import Options
from dsd.training.progress import Reporter
from dsd.training.run import Run
from dsd.training.stop import Stop


def make_run(suite: Path, *overrides: str, seed: int = 0, stop: Stop | None = None) -> Run:
    """Returns a run of points-mlp, as the command makes it."""
    found = Suite(suite)
    recipe = found.recipe("points-mlp", "mini", overrides)
    return Run(
        recipe=recipe,
        usual=found.recipe("points-mlp", "mini"),
        overrides=overrides,
        seed=seed,
        task=found.task(recipe, suite, seed, 0),
        task_settings=found.task_module("points").Settings,
        accelerator=Accelerator(cpu=True),
        options=Options(),
        runs=suite / "runs",
        records=suite / "records",
        checkpoint_every_s=0,
        provenance=provenance(torch.device("cpu"), suite),
        stop=stop or Stop(),
        reporter=Reporter(Console(quiet=True)),
    )


def weights(run: Run, arm: str, depth: int) -> dict[str, torch.Tensor]:
    """Returns the weights that a finished phase carries over; the dense one is depth 1."""
    model: dict[str, torch.Tensor] = run.path(arm)[depth - 1].checkpoint()["model"]
    return model


def undated(path: Path) -> dict[str, Any]:
    """Returns a record without what may differ between equal runs: dates, commands, seconds."""
    content = record.read(path).model_dump(mode="json", exclude={"links"})
    for phase in content["phases"]:
        del phase["provenance"]
    return content


class StopAfter(Stop):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def asked(self) -> bool:
        self.looks -= 1
        self.reason = "enough" if self.looks < 0 else ""
        return bool(self.reason)
