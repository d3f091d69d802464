"""A finished phase on disk: its checkpoint, its phase.json and its record."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsd.errors import UserError
from dsd.runs import checkpoint, phase_file
from dsd.runs.phase_file import PhaseFile, PhaseRecord
from dsd.runs.record import Record, label, read
from dsd.runs.settings import Settings
from dsd.suite.folder import Suite, the_suite
from dsd.suite.recipe import Node


@dataclass(frozen=True)
class Trained:
    """A finished phase, with the record of the arm that ends there."""

    folder: Path
    state: dict[str, Any]  # the checkpoint
    file: PhaseFile
    recipe: str
    scale: str
    record_file: Path | None  # None where no record was found
    record: Record | None

    @property
    def settings(self) -> Settings:
        """Returns the settings that decided the result."""
        return self.file.settings

    @property
    def phase(self) -> PhaseRecord:
        """Returns the phase's part of the record."""
        return self.file.record

    @property
    def path(self) -> tuple[Node, ...]:
        """Returns the phases from the dense one to this one, as they were planned."""
        return self.settings.path

    @property
    def name(self) -> str:
        """Returns <label>.<arm>.seed<N>; without a record, the phases' folders are the arm."""
        if self.record_file:
            return self.record_file.stem
        folders = [self.folder, *self.folder.parents][: len(self.path)]
        phases = "-".join(folder.name for folder in reversed(folders))
        return f"{label(self.recipe, self.scale)}.{phases}.seed{self.settings.seed}"

    @property
    def dense_folder(self) -> Path:
        """Returns the folder of the dense phase; it is another seed's where the recipe says so."""
        folder = [self.folder, *self.folder.parents][len(self.path) - 1]
        seed = self.settings.dense_seed
        seed = self.settings.seed if seed is None else seed
        return folder.parents[1] / f"seed{seed}" / folder.name


def find(suite: Suite, run: Path, runs: Path) -> Trained:
    """Returns the phase of a folder, or the last of a record (.json) whose folders are in `runs`.

    Raises UserError when there is no such phase, or it is not finished.
    """
    if run.suffix == ".json" and not run.is_dir():
        record = read(run)
        folder = _folder_of(record, run, runs)
        return Trained(*_finished(folder), record.recipe, record.scale, run, record)
    folder, state, phase = _finished(run.resolve())
    seed_folder = folder.parents[len(phase.settings.path) - 1]
    recipe, scale = _recipe_of(suite, seed_folder.parent)
    # The checkpoint has neither the arm nor the corpus's notes; the record of the same run has.
    for place in (suite.root / "results" / "runs", seed_folder.parents[1] / "records"):
        for file in sorted(place.glob(f"{recipe}*.seed{phase.settings.seed}.json")):
            record = read(file)
            if _same(record, phase):
                return Trained(folder, state, phase, record.recipe, record.scale, file, record)
    return Trained(folder, state, phase, recipe, scale, None, None)


def folder(run: Path) -> Path:
    """Returns the folder of a record's last phase in the suite's runs/; another path as it is.

    Raises UserError when the record's folders are not there.
    """
    if run.suffix != ".json" or run.is_dir():
        return run
    suite = the_suite()
    return find(suite, run, suite.root / "runs").folder


def _finished(folder: Path) -> tuple[Path, dict[str, Any], PhaseFile]:
    state = checkpoint.load_named(folder)
    file = folder / "phase.json"
    if not file.exists():
        raise UserError(
            f"{folder}: the phase is not finished; give its dsd run command again, it resumes"
        )
    return folder, state, phase_file.read(file)


def _folder_of(record: Record, file: Path, runs: Path) -> Path:
    seed_folder = runs / label(record.recipe, record.scale) / f"seed{record.seed}"
    for phase in sorted(seed_folder.glob("**/phase.json")):
        if _same(record, phase_file.read(phase)):
            return phase.parent.resolve()
    raise UserError(
        f"{file}: the folders of this run are not in {seed_folder}; say where with --runs, or run "
        "it again"
    )


def _same(record: Record, phase: PhaseFile) -> bool:
    """Returns whether a record ends with this very phase."""
    return record.links[-1].sha256 == phase.sha256


def _recipe_of(suite: Suite, folder: Path) -> tuple[str, str]:
    """Returns the recipe and scale in the name of a run's folder."""
    for name in sorted(suite.recipes, key=len, reverse=True):
        if folder.name == name or folder.name.startswith(f"{name}."):
            return name, folder.name.removeprefix(name).removeprefix(".") or "full"
    raise UserError(
        f"{folder}: named after no recipe; keep a phase in <recipe>[.<scale>]/seed<N>/<phases>, "
        "as dsd run writes it"
    )
