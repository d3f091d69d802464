"""Run records read together."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dsd.errors import UserError
from dsd.runs.record import Record, label, read


@dataclass(frozen=True)
class Run:
    """A record and where it lies."""

    path: Path
    record: Record

    @property
    def address(self) -> str:
        """Returns the path of its phases, e.g. dense/sparse/redense."""
        return "/".join(phase.folder for phase in self.record.phases)

    @property
    def label(self) -> str:
        """Returns recipe, scale and changed settings as file names have them."""
        return label(self.record.recipe, self.record.scale, tuple(self.record.overrides))

    @property
    def notes(self) -> list[str]:
        """Returns what must be said beside the figures: of the corpus, then of the recipe."""
        return [*self.corpus_notes, *self.record.notes]

    @property
    def corpus_notes(self) -> list[str]:
        """Returns what sets the corpus apart from the complete, original one."""
        skipped = {name for phase in self.record.phases for name in phase.skipped}
        left_out = [f"{len(skipped)} unusable examples left out"] if skipped else []
        return [*self.record.corpus.get("notes", []), *left_out]


def read_all(folder: Path, scale: str | None = None) -> list[Run]:
    """Reads all records of a folder, or those of one scale, sorted by file name.

    Raises UserError that names the file: no record, a record with gaps, two records of one run.
    """
    seen: dict[tuple[object, ...], Path] = {}
    runs = []
    for path in sorted(folder.glob("*.json")):
        record = read(path)
        _check_whole(path, record)
        identity = (*conditions(record), record.arm, record.seed)
        if identity in seen:
            raise UserError(
                f"{path}: arm {record.arm}, seed {record.seed} of {record.recipe} is also in "
                f"{seen[identity].name}; move one of the two away"
            )
        seen[identity] = path
        runs.append(Run(path, record))
    return [run for run in runs if scale in (None, run.record.scale)]


def conditions(record: Record) -> tuple[str, str, tuple[str, ...]]:
    """Returns what a record's file is named after, but for arm and seed."""
    return record.recipe, record.scale, tuple(sorted(record.overrides))


def once(words: Iterable[str]) -> list[str]:
    """Returns each word once, in order."""
    return list(dict.fromkeys(words))


def _check_whole(path: Path, record: Record) -> None:
    """Raises UserError when a record lacks a phase or a test figure."""
    if [phase.folder for phase in record.phases] != [n.folder for n in record.settings.path]:
        raise UserError(f"{path}: its phases are not those of its settings; make the record again")
    for phase in record.phases:
        if not any(record.metric in figures for figures in phase.test.values()):
            raise UserError(f"{path}: a phase has no test {record.metric}; make the record again")
