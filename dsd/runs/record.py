"""Run records: a file per recipe, arm and seed that names its phases, each of them stored once.

results/runs/<recipe>.<arm>.seed0.json names, with their checksums, files such as
results/runs/<recipe>/seed0/dense/sparse/<checksum>.json. `VERSION` rises when a reader of older
records would misread newer ones. docs/records.md explains every field.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dsd.errors import UserError
from dsd.runs import phase_file, sealed
from dsd.runs.files import write_atomically
from dsd.runs.phase_file import PhaseFile, PhaseRecord, read_arrays
from dsd.runs.settings import Settings
from dsd.suite.recipe import validate

LONGEST_LABEL = 160  # bytes
SCHEMA = "dsd-run"
VERSION = 2
OF_THE_FILE = ("schema_name", "version", sealed.SEAL)
DIGITS = 12  # of a checksum, in a file name
REMEDY = "put the file back, or give the record's dsd run again"


class Link(BaseModel):
    """A phase of a record: a file below the record's folder, without its ending."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    sha256: str  # the seal of its JSON file


class Record(BaseModel):
    """One run: an arm of a recipe with one seed, phase by phase. It may hold more."""

    model_config = ConfigDict(extra="allow", frozen=True)

    recipe: str
    title: str
    corpus: dict[str, Any]
    table: str | None
    column: str | None
    scale: str
    overrides: list[str]
    arm: str
    source: str  # whose schedule it is: paper or ours
    notes: list[str] = []  # the recipe's, to be read with the results
    seed: int
    metric: str
    lower_is_better: bool
    links: list[Link]  # called phases in the file
    # What follows is read from the phases' files.
    phases: list[PhaseRecord]
    settings: Settings  # of the last phase
    parameters: int

    @property
    def final(self) -> dict[str, dict[str, float]]:
        """Returns {split: metrics} at the end of the last phase."""
        return self.phases[-1].test

    @property
    def provenance(self) -> dict[str, Any]:
        """Returns the last phase's."""
        return self.phases[-1].provenance


class _Links(BaseModel):
    phases: list[Link] = Field(min_length=1)


def stem(recipe: str, scale: str, overrides: tuple[str, ...], arm: str, seed: int) -> str:
    """Returns a record's file name without its ending."""
    return ".".join([label(recipe, scale, overrides), arm, f"seed{seed}"])


def label(recipe: str, scale: str, overrides: tuple[str, ...] = ()) -> str:
    """Returns the name that a recipe, its scale and its changed settings have in file names.

    A label longer than LONGEST_LABEL is cut and ends in a digest: a file name holds 255 bytes.
    """
    scaled = recipe if scale == "full" else f"{recipe}.{scale}"
    text = "+".join([scaled, *sorted(overrides)])
    name = "".join(c if (c.isascii() and c.isalnum()) or c in "-_.=+" else "_" for c in text)
    if len(name) > LONGEST_LABEL:
        name = f"{name[:LONGEST_LABEL]}~{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return name


def write(path: Path, record: dict[str, Any], phases: Sequence[tuple[str, Path]]) -> None:
    """Writes a record's file, and beside it copies of its phases, each once for all records.

    record: the fields of a record that are not its phases'. phases: (folder below the record's,
    phase.json). A phase is named after its checksum, so that a second one of the same address
    leaves the first to the records that rest on it.
    """
    links = []
    for folder, source in phases:
        file = phase_file.read(source)
        read_arrays(source, file)  # checked: the copy must not be damaged
        name = f"{folder}/{file.sha256[:DIGITS]}"
        links.append({"file": name, "sha256": file.sha256})
        for ending in (".npz", ".json"):
            target, data = path.parent / f"{name}{ending}", source.with_suffix(ending).read_bytes()
            if not target.exists() or target.read_bytes() != data:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(target, data)
    path.parent.mkdir(parents=True, exist_ok=True)
    sealed.write(path, {"schema_name": SCHEMA, "version": VERSION, **record, "phases": links})


def read(path: Path) -> Record:
    """Reads one record and its phases, and checks their checksums.

    Raises UserError, naming the file, for anything but a record of this version, a missing phase,
    and whatever is not as it was written.
    """
    raw = sealed.read(path, REMEDY)
    if raw.get("schema_name") != SCHEMA:
        raise UserError(f"{path}: not a run record (schema_name is not {SCHEMA!r}); move it away")
    if raw.get("version") != VERSION:
        remedy = "convert its folder with dsd convert" if raw.get("version") == 1 else "update it"
        raise UserError(
            f"{path}: record version {raw.get('version')!r}, this program reads {VERSION}; {remedy}"
        )
    if sealed.SEAL not in raw:
        raise UserError(f"{path}: damaged (it has no checksum); {REMEDY}")
    links = validate(_Links, {"phases": raw.pop("phases", None)}, str(path)).phases
    files = [_phase(path, link) for link in links]
    content = {
        **{key: value for key, value in raw.items() if key not in OF_THE_FILE},
        "links": links,
        "phases": [file.record for file in files],
        "settings": files[-1].settings,
        "parameters": files[-1].parameters,
    }
    return validate(Record, content, str(path))


def read_examples(path: Path) -> dict[str, np.ndarray]:
    """Returns the per-example results of a record, by `<path of phases>/<split>/<name>`."""
    found: dict[str, np.ndarray] = {}
    for address, _, arrays in _arrays(path):
        found |= {
            f"{address}/{name}": values
            for name, values in arrays.items()
            if not name.startswith(f"{phase_file.WEIGHTS}/")
        }
    return found


def read_stages(path: Path) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """Returns (stage, {layer: histogram}) of a record's weights, in the order of training."""
    return [
        (stage["stage"], phase_file.histograms(phase, arrays, number))
        for _, phase, arrays in _arrays(path)
        for number, stage in enumerate(phase.stages)
    ]


def phase_files(path: Path, found: Record) -> list[Path]:
    """Returns the files that a record's phases are in, arrays first."""
    files = [_inside(path, link) for link in found.links]
    return [file.with_suffix(ending) for file in files for ending in (".npz", ".json")]


def finite(metrics: dict[str, float], where: str) -> dict[str, float]:
    """Returns the metrics. Raises UserError when one of them is NaN or infinite."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise UserError(f"{where}: {name} is {value}; the network has diverged: lower the rate")
    return metrics


def _phase(path: Path, link: Link) -> PhaseFile:
    """Returns a phase of the record at `path`."""
    file = phase_file.read(_inside(path, link))
    if file.sha256 != link.sha256:
        raise UserError(f"{path}: its phase {link.file} is another one; {REMEDY}")
    return file


def _arrays(path: Path) -> Iterator[tuple[str, PhaseRecord, dict[str, np.ndarray]]]:
    """Yields (path of phases, record, arrays) of each phase."""
    folders: list[str] = []
    for link in read(path).links:
        file = _phase(path, link)
        folders.append(file.record.folder)
        yield "/".join(folders), file.record, read_arrays(_inside(path, link), file)


def _inside(path: Path, link: Link) -> Path:
    """Returns where a phase's JSON file is. Raises UserError when not beside the record."""
    parts = PurePosixPath(link.file).parts
    if not parts or ".." in parts or PurePosixPath(link.file).is_absolute():
        raise UserError(f"{path}: names a phase outside its folder: {link.file!r}; {REMEDY}")
    return path.parent / f"{link.file}.json"
