"""Scalars for the loggers that people use: TensorBoard, Weights & Biases, MLflow.

Through accelerate's trackers. A phase is one run of theirs, and a phase that resumes goes on in it.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dsd.errors import UserError
from dsd.runs.tree import Place


@dataclass(frozen=True)
class Trackers:
    """Starts a tracker of one kind for each phase of a seed.

    kind: a name of KINDS. runs: the folder of the runs, where local files go. label: recipe, scale
    and changed settings in a word.
    """

    kind: str
    runs: Path
    label: str
    seed: int

    def start(self, place: Place, done: int) -> Any:
        """Returns accelerate's tracker of a phase that goes on after `done` optimizer steps.

        Raises UserError with the logger's own words where it refuses.
        """
        phase = place.node.phase
        settings = {"seed": self.seed, "mask": place.node.mask, "epochs": phase.epochs}
        settings |= {"lr": phase.lr, "sparsity": str(phase.sparsity)}
        try:
            tracker = KINDS[self.kind](self, place.address.replace("/", "."), done)
            tracker.start()
            if self.kind != "tensorboard" and not done:  # there it makes a run of its own
                tracker.store_init_configuration(settings)
        except OSError:
            raise
        except Exception as error:  # each logger has its own kinds
            why = " ".join(str(error).split())[:300] or type(error).__name__
            raise UserError(f"--log {self.kind}: {why}; {REMEDIES[self.kind]}") from None
        return tracker


def check(kind: str) -> None:
    """Raises UserError for an unknown logger, and for one that is not installed."""
    if kind not in KINDS:
        raise UserError(f"--log {kind}: not known; known: {', '.join(KINDS)}")
    if find_spec(kind) is None:
        raise UserError(f"--log {kind}: is not installed; pip install {kind}")


def _tensorboard(to: Trackers, phase: str, done: int) -> Any:
    from accelerate.tracking import TensorBoardTracker

    folder = to.runs / "tensorboard" / to.label / f"seed{to.seed}"
    return TensorBoardTracker(phase, folder, purge_step=done + 1)


def _wandb(to: Trackers, phase: str, done: int) -> Any:
    from accelerate.tracking import WandBTracker

    to.runs.mkdir(parents=True, exist_ok=True)
    name = f"seed{to.seed}.{phase}"
    words = "\0".join([str(to.runs.absolute()), to.label, name])
    # A logger's own offline mode cannot look up runs; online, the id finds the one to go on with.
    return WandBTracker(
        to.label[:128],
        name=name,
        group=f"seed{to.seed}",
        dir=str(to.runs),
        id=hashlib.sha256(words.encode()).hexdigest()[:16],
        resume="allow" if done else None,
        reinit="finish_previous",
    )


def _mlflow(to: Trackers, phase: str, done: int) -> Any:
    import mlflow
    from accelerate.tracking import MLflowTracker

    to.runs.mkdir(parents=True, exist_ok=True)
    if not os.environ.get("MLFLOW_TRACKING_URI"):  # its store of plain files is no longer taken
        mlflow.set_tracking_uri(f"sqlite:///{to.runs.absolute() / 'mlflow.db'}")
    name, found = f"seed{to.seed}.{phase}", list[Any]()
    if done:
        wanted = f"attributes.run_name = '{name}'"
        known = mlflow.search_experiments(filter_string=f"name = '{to.label}'")
        ids = [one.experiment_id for one in known]
        found = mlflow.search_runs(ids, wanted, output_format="list") if ids else []
    return MLflowTracker(
        to.label,
        logging_dir=(to.runs.absolute() / "mlflow").as_uri(),
        run_id=found[0].info.run_id if found else None,
        run_name=name,
    )


KINDS: dict[str, Callable[[Trackers, str, int], Any]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
REMEDIES = {
    "tensorboard": "leave --log out, or free its folder",
    "wandb": "log in with wandb login, or set WANDB_MODE=offline",
    "mlflow": "check MLFLOW_TRACKING_URI, or unset it for a file beside the runs",
}
