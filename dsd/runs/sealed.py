"""JSON files that carry a checksum of what they hold, so that damage never passes for a result."""

import hashlib
import json
from pathlib import Path
from typing import Any

from dsd.errors import UserError
from dsd.runs.files import write_atomically

SEAL = "sha256"


def digest(content: dict[str, Any]) -> str:
    """Returns the SHA-256 of JSON-ready content, whatever its layout in a file; without a seal."""
    bare = {key: value for key, value in content.items() if key != SEAL}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes content as JSON, a member a line, with its checksum."""
    sealed = {**content, SEAL: digest(content)}
    lines = (
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False, ensure_ascii=False)}"
        for key, value in sealed.items()
    )
    write_atomically(path, ("{" + ",\n ".join(lines) + "}\n").encode())


def read(path: Path, remedy: str) -> dict[str, Any]:
    """Returns a file's content, with its seal where it has one.

    Raises UserError with the remedy when the file is not there, or not as it was written.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; {remedy}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name a record (.json) in it") from None
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(f"{path}: damaged ({_short(error)}); {remedy}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: damaged (not an object); {remedy}")
    if SEAL in raw and raw[SEAL] != digest(raw):
        raise UserError(f"{path}: damaged (its checksum is not the one written); {remedy}")
    return raw


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}, which is not a finite number")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
