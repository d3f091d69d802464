"""Run records: one JSON file per recipe, arm and seed, with a versioned schema.

`VERSION` rises when a reader of older records would misread newer ones. docs/records.md explains
every field.
"""

import hashlib
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from dsd.errors import UserError
from dsd.runs.files import write_atomically
from dsd.suite.recipe import validate

LONGEST_LABEL = 160  # bytes
SCHEMA = "dsd-run"
VERSION = 1


class _Open(BaseModel):
    """Known fields are checked; a record may hold more."""

    model_config = ConfigDict(extra="allow", frozen=True)


class PhaseRecord(_Open):
    """One phase of a run: its plan, its results, its provenance."""

    name: str
    folder: str  # its name in the tree of phases, with the mask in it
    mask: str
    sparsity: float
    epochs: float
    steps: int
    lr: float
    decay: dict[str, Any]
    log: list[dict[str, Any]]  # a row an epoch: epoch, lr, train, heldout
    handed_on_epoch: float  # the epoch carried over, see the recipe's carry_over
    layers: dict[str, dict[str, int]]  # layer -> weights, kept
    stages: list[dict[str, Any]]  # stage, moment, layers -> histogram
    sign_changes: dict[str, int]  # layer -> against the phase's start
    returned: dict[str, Any]  # layer -> what became of its pruned weights, after re-dense
    test: dict[str, dict[str, float]]  # split -> metrics
    skipped: list[str]  # examples of any split that could not be used
    made: dict[str, Any]  # provenance, and the seconds trained


class Record(_Open):
    """One run: an arm of a recipe with one seed, phase by phase."""

    schema_name: str = SCHEMA
    version: int = VERSION
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
    settings: dict[str, Any]
    parameters: int
    phases: list[PhaseRecord]
    final: dict[str, dict[str, float]]
    examples: dict[str, str] = {}  # file, sha256
    made: dict[str, Any]  # provenance of the last phase


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


def write(path: Path, record: Record, examples: dict[str, np.ndarray]) -> None:
    """Writes the record and, beside it, its per-example results (`.npz`)."""
    sidecar = path.with_name(path.name.removesuffix(".json") + ".npz")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **examples)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(sidecar, buffer.getvalue())
    named = {"file": sidecar.name, "sha256": hashlib.sha256(buffer.getvalue()).hexdigest()}
    content = record.model_copy(update={"examples": named}).model_dump(mode="json")
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    write_atomically(path, (_compact_lists(text) + "\n").encode())


def read(path: Path) -> Record:
    """Reads and checks one record.

    Raises UserError, naming the file, for anything but JSON, another schema or version, a missing
    field, and a number that is not finite.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not a run record: {error}") from None
    if not isinstance(raw, dict) or raw.get("schema_name") != SCHEMA:
        raise UserError(f"{path}: not a run record (schema_name is not {SCHEMA!r}); move it away")
    if raw.get("version") != VERSION:
        raise UserError(
            f"{path}: record version {raw.get('version')!r} is not known; this program reads "
            f"version {VERSION}: update it, or run that arm again"
        )
    return validate(Record, raw, str(path))


def read_examples(path: Path) -> dict[str, np.ndarray]:
    """Returns the per-example results that belong to the record at `path`.

    Keys are `<path of phases>/<split>/<name>`. Raises UserError when the sidecar is missing or
    belongs to another record.
    """
    named = read(path).examples
    sidecar = path.with_name(named["file"])
    if not sidecar.exists():
        raise UserError(f"{sidecar}: missing; it belongs to {path.name}")
    data = sidecar.read_bytes()
    if hashlib.sha256(data).hexdigest() != named["sha256"]:
        raise UserError(f"{sidecar}: not the file that {path.name} was written with")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)


def finite(metrics: dict[str, float], where: str) -> dict[str, float]:
    """Returns the metrics. Raises UserError when one of them is NaN or infinite."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise UserError(f"{where}: {name} is {value}; the network has diverged: lower the rate")
    return metrics


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}, which is not a finite number")


def _compact_lists(text: str) -> str:
    """Puts each list of plain numbers on one line, so that histograms stay short in a diff."""
    return re.sub(
        r"\[\n[\s\d.,eE+-]*\]", lambda found: "[" + " ".join(found[0][1:-1].split()) + "]", text
    )
