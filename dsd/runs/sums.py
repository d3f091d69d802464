"""Checksums of every file of a folder, in the form of sha256sum (SHA256SUMS)."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from dsd.errors import UserError
from dsd.runs.files import sha256, write_atomically

SUMS = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def check_sums(
    folder: Path, sums: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> str:
    """Compares every file below a folder with `sums`, or writes that file; returns a line on it.

    What begins with a dot, and features/, which is computed from the rest, are left out. progress:
    called with how many files are done, of how many. Raises UserError naming a file that was
    changed, is missing or is new, and how many there are.
    """
    known = _read(sums) if sums.exists() else None
    files = _files(folder, sums)
    found = {}
    for done, file in enumerate(files, start=1):
        found[file] = sha256(folder / file)
        progress(done, len(files))
    if known is None:
        lines = [f"{digest}  {file}\n" for file, digest in found.items()]
        write_atomically(sums, "".join(lines).encode("utf-8", "surrogateescape"))
        return f"{sums}: written, {len(found)} files; the next --checksums compares with it"
    for fault, names in {
        "changed": [name for name in found if name in known and found[name] != known[name]],
        "missing": [name for name in known if name not in found],
        "new": [name for name in found if name not in known],
    }.items():
        if names:
            raise UserError(
                f"{folder / names[0]}: {fault} since {sums} was written ({len(names)} files are); "
                f"restore the corpus, or remove {sums.name} if it is right as it is"
            )
    return f"{sums}: {len(found)} files, each as it was"


def _files(folder: Path, sums: Path) -> list[str]:
    found, seen = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        if Path(parent) == folder and "features" in folders:
            folders.remove("features")
        paths = [Path(parent, name) for name in names if not name.startswith(".")]
        own = sums.absolute()
        found += [str(path.relative_to(folder)) for path in paths if path.absolute() != own]
    return sorted(found)


def _read(path: Path) -> dict[str, str]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    matches = [LINE.fullmatch(line) for line in text.splitlines()]
    if not matches or not all(matches):
        raise UserError(f"{path}: damaged; restore it, or remove it to write it again")
    return {match[2]: match[1] for match in matches if match}
