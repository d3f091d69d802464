"""A suite from Python: train a recipe, then look at its network, its record and its curves.

from dsd import open_suite

suite = open_suite(".")  # a checkout, or a folder of your own with recipes/
run = suite.run("imagenet-resnet18", arm="dsd", scale="mini")
run.network()  # a torch module with the trained weights
run.record.final  # {"test": {"top1_error_pct": ...}}
pandas.DataFrame(run.curves())
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dsd.errors import UserError

try:
    from torch import nn

    from dsd.export.export import network
    from dsd.runs import checkpoint, record
    from dsd.runs.finished import find
    from dsd.suite import arguments
    from dsd.suite.folder import HOME, Suite, find_suite
    from dsd.training.device import choose_options
    from dsd.training.start import prepare
    from dsd.training.stop import Stop
    from dsd.training.undisturbed import interruptible, undisturbed
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"{missing.name} is missing; open_suite needs pip install 'dsd-training[cli]'",
        name=missing.name,
    ) from None


def open_suite(folder: str | Path = ".", runs: str | Path | None = None) -> "OpenSuite":
    """Returns the suite in a folder or the nearest one above that holds recipes/.

    runs: where checkpoints go, and into its records/ the records (default: the suite's runs/).
    From then on the packages of the checkout (`analysis`, `models`, ...) can be imported, too.
    Raises UserError when there is no such folder.
    """
    found = find_suite(Path(folder))
    if found is None:
        raise UserError(
            f"{folder}: no recipes/<corpus>/<network>.yaml there or above; "
            "name a checkout of the suite, or a folder of your own with recipes/"
        )
    for root in (found.root, HOME):
        if (root / "analysis").is_dir() and str(root) not in sys.path:
            sys.path.append(str(root))
    return OpenSuite(found, Path(runs).absolute() if runs else found.root / "runs")


@dataclass(frozen=True)
class OpenSuite:
    """A suite's recipes, and what is trained of them."""

    suite: Suite
    runs: Path  # the folder of checkpoints

    @property
    def recipes(self) -> dict[str, str]:
        """Returns {name: title}, sorted by name."""
        return {name: self.suite.recipe(name).title for name in self.suite.recipes}

    @property
    def records(self) -> Path:
        """Returns the folder of records, for `analysis.load`."""
        return self.runs / "records"

    def run(
        self,
        recipe: str,
        settings: Sequence[str] = (),
        *,
        arm: str = "dsd",
        seed: int = 0,
        scale: str = "full",
        device: str = "auto",
        precision: str | None = None,
        fast: bool = False,
        workers: int | None = None,
    ) -> "TrainedRun":
        """Trains one arm of a recipe with one seed, as `dsd run` does, and returns it.

        settings: ["phases.dense.epochs=3", ...]; the other parameters are the command's options.
        A finished phase is not trained again, and an interrupted one resumes to the same bits.
        The process is left as it was: random generators, torch's settings, accelerate's. Raises
        UserError for what the command refuses, KeyboardInterrupt, after a checkpoint, for Ctrl-C.
        """
        if isinstance(settings, str):
            raise UserError(f"settings={settings!r}: give a list, [{settings!r}]")
        words = {"--arm": arm, "--seed": str(seed), "--scale": scale, "--device": device}
        if arm == "all":
            raise UserError('arm="all": name one; the arms share what they have in common')
        if len(seeds := arguments.seeds([words["--seed"]])) != 1:
            raise UserError(f"seed={seed!r}: give one whole number")
        words |= {"--precision": precision} if precision else {}
        words |= {"--workers": str(workers)} if workers is not None else {}
        command = ["run", recipe, *settings, *(word for pair in words.items() for word in pair)]
        stop = Stop()
        with undisturbed():
            training = prepare(
                self.suite,
                recipe,
                tuple(settings),
                arms=[arm],
                seeds=seeds,
                scale=scale,
                device=device,
                options=choose_options(device, fast, precision=precision),
                stop=stop,
                runs=self.runs,
                workers=workers,
                words=[*command, *(["--fast"] if fast else [])],
            )
            with interruptible(stop):
                (finished,) = training.train()
        return TrainedRun(self.suite, finished.record, finished.weights)

    def trained(self, run: str | Path) -> "TrainedRun":
        """Returns what was trained before: a record, or the folder of an arm's last phase.

        Raises UserError when there is no such phase here, it is not finished, or has no record.
        """
        found = find(self.suite, Path(run), self.runs)
        if found.record_file is None:
            raise UserError(f"{run}: no record of it; give its dsd run command again")
        return TrainedRun(self.suite, found.record_file, found.folder)


@dataclass(frozen=True)
class TrainedRun:
    """One arm of a recipe, trained with one seed."""

    suite: Suite
    record_file: Path
    folder: Path  # of its last phase: checkpoint and phase.json

    @cached_property
    def record(self) -> record.Record:
        """Returns the record: settings, phases, test figures, provenance (docs/records.md)."""
        return record.read(self.record_file)

    def network(self) -> nn.Module:
        """Returns the trained network, on the CPU in eval mode; no mask or optimizer is in it.

        Raises UserError when the recipe's task cannot build it without its data (`plain`).
        """
        module = self.suite.task_module(self.suite.recipes[self.record.recipe].parent.name)
        return network(module, self.folder, checkpoint.load_named(self.folder)).network

    def curves(self) -> list[dict[str, Any]]:
        """Returns a row for each epoch: phase, epoch, lr, and "<split>/<metric>" of each figure."""
        return [
            {"phase": phase.folder, "epoch": row["epoch"], "lr": row["lr"]}
            | {
                f"{split}/{name}": value
                for split in ("train", "heldout")
                for name, value in row.get(split, {}).items()
            }
            for phase in self.record.phases
            for row in phase.log
        ]
