"""A finished phase on disk: a sealed JSON file, and beside it an .npz with its arrays.

The .npz holds the per-example results, `<split>/<name>`, and the histograms of the weights,
`weights/<number of the stage>/<part>`, whose first axis are the layers in the record's order.
docs/records.md explains every field.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from dsd.errors import UserError
from dsd.runs import sealed
from dsd.runs.files import write_atomically
from dsd.runs.settings import Settings
from dsd.suite.recipe import validate

if TYPE_CHECKING:  # it imports torch, which reading a file doesn't need
    from dsd.pruning.statistics import Histogram

FORMAT = 3
REMEDY = "put the file back, or remove it and train the phase again"
WEIGHTS = "weights"
PARTS = ("half_width", "counts", "below", "above", "zeros")  # of a histogram

Arrays = Mapping[str, np.ndarray]


class PhaseRecord(BaseModel):
    """One phase of a run: its plan, its results, its provenance. It may hold more."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    folder: str  # its name in the tree of phases, with the mask in it
    mask: str
    sparsity: float
    epochs: float
    steps: int
    lr: float
    decay: dict[str, Any]
    log: list[dict[str, Any]]  # a row an epoch: epoch, lr, train, heldout
    carried_over_epoch: float  # see the recipe's carry_over
    layers: dict[str, dict[str, int]]  # layer -> weights, kept
    stages: list[dict[str, str]]  # stage, moment; the histograms are in the arrays
    sign_changes: dict[str, int]  # layer -> against the phase's start
    reborn: dict[str, Any]  # layer -> what became of its pruned weights, after re-dense
    test: dict[str, dict[str, float]]  # split -> metrics
    skipped: list[str]  # examples of any split that could not be used
    provenance: dict[str, Any]  # and the seconds trained


class PhaseFile(BaseModel):
    """What the JSON file holds; it marks a phase finished."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    settings: Settings
    parameters: int  # of the network
    record: PhaseRecord
    arrays: str  # SHA-256 of the .npz
    sha256: str = ""  # of the rest of the file


def write(path: Path, file: PhaseFile, arrays: Arrays) -> None:
    """Writes the arrays and, last, the JSON file; fills in both checksums."""
    data = _pack(arrays)
    write_atomically(path.with_suffix(".npz"), data)
    content = file.model_copy(update={"arrays": _sha256(data)})
    sealed.write(path, content.model_dump(mode="json", exclude={"sha256"}))


def read(path: Path) -> PhaseFile:
    """Reads a phase's JSON file. Raises UserError when it is damaged or of another format."""
    raw = sealed.read(path, REMEDY)
    check_format(raw, path)
    if sealed.SEAL not in raw:
        raise UserError(f"{path}: damaged (it has no checksum); {REMEDY}")
    return validate(PhaseFile, raw, str(path))


def check_format(raw: Mapping[str, Any], where: Path, known: int = FORMAT) -> None:
    """Raises UserError when a run's file has another format than this version's."""
    found = raw.get("format", 1)
    if found != known:
        older = isinstance(found, int) and found < known
        remedy = "convert the folder with dsd convert" if older else "update this program"
        raise UserError(f"{where}: has format {found}, this program reads {known}; {remedy}")


def read_arrays(path: Path, file: PhaseFile) -> dict[str, np.ndarray]:
    """Returns the arrays beside a phase's JSON file. Raises UserError when they are damaged."""
    beside = path.with_suffix(".npz")
    try:
        data = beside.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{beside}: missing; {REMEDY}") from None
    if _sha256(data) != file.arrays:
        raise UserError(f"{beside}: damaged (not the file that {path.name} names); {REMEDY}")
    return unpack(data, beside)


def unpack(data: bytes, where: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz file's bytes; nothing in it is run."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: _decoded(values) for name, values in arrays.items()}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{where}: damaged ({' '.join(str(error).split())}); {REMEDY}") from None


def pack_histograms(stages: Sequence[Mapping[str, "Histogram"]]) -> dict[str, np.ndarray]:
    """Returns the arrays of stages, each {layer: histogram}; all have the same layers."""
    return {
        f"{WEIGHTS}/{number}/{part}": _small(np.array([one[part] for one in layers.values()]))  # type: ignore[literal-required]
        for number, layers in enumerate(stages)
        for part in PARTS
        if layers
    }


def histograms(record: PhaseRecord, arrays: Arrays, stage: int) -> dict[str, dict[str, Any]]:
    """Returns {layer: histogram} of one of a phase's stages; counts are an array."""
    if f"{WEIGHTS}/{stage}/counts" not in arrays:
        return {}
    parts = [arrays[f"{WEIGHTS}/{stage}/{part}"] for part in PARTS]
    return {
        layer: {
            part: values if values.ndim else values.item()
            for part, values in zip(PARTS, row, strict=True)
        }
        for layer, *row in zip(record.layers, *parts, strict=True)
    }


def _pack(arrays: Arrays) -> bytes:
    """Returns an .npz file, the same bytes each time; LZMA takes a third less than numpy's own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        for name, values in arrays.items():
            # UTF-8: numpy's own texts take four bytes a letter
            small = np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asanyarray(small), allow_pickle=False)
    return buffer.getvalue()


def _decoded(values: np.ndarray) -> np.ndarray:
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values


def _small(values: np.ndarray) -> np.ndarray:
    """Returns counts in the smallest type that holds them."""
    if values.dtype.kind == "f" or not values.size:
        return values
    return values.astype(np.min_scalar_type(values.max()))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
