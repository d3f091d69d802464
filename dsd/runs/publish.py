"""From runs/records/, where every run writes, to results/: records that others shall rely on."""

from pathlib import Path

from dsd.errors import UserError
from dsd.runs import record
from dsd.runs.files import write_atomically
from dsd.runs.record import Record, phase_files, read_examples


def publish(path: Path, into: Path) -> Path | None:
    """Copies a record and its phases into a folder; returns the copy, None where it is there.

    Raises UserError for a record that is damaged, of a miniature, or made by code that no revision
    holds, and where the folder has another record of the same name.
    """
    found = record.read(path)
    read_examples(path)  # checks the arrays, too
    _check(path, found)
    target = into / path.name
    data = path.read_bytes()
    if target.exists():
        if target.read_bytes() == data:
            return None
        raise UserError(
            f"{target}: is another run of the same name; move it away to publish {path} in its "
            "place, or give the new run a seed of its own"
        )
    for file in phase_files(path, found):
        copy = into / file.relative_to(path.parent)
        if not copy.exists() or copy.read_bytes() != file.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(copy, file.read_bytes())
    write_atomically(target, data)  # last: a record's phases are there before it
    return target


def _check(path: Path, found: Record) -> None:
    if found.scale == "mini":
        raise UserError(f"{path}: is of a miniature, which is no evidence for the paper's claim")
    if found.corpus.get("own"):
        raise UserError(f"{path}: is of data of your own; dsd report --records shows it")
    for phase in found.phases:
        for session in (phase.provenance, *phase.provenance.get("earlier_sessions", ())):
            revision = session["revision"]
            if revision == "unknown" or revision.endswith("+changes"):
                raise UserError(
                    f"{path}: phase {phase.name} was trained by code that no revision holds "
                    f"({revision}); commit what changed and run it again"
                )
    overrides = tuple(found.overrides)
    own = record.stem(found.recipe, found.scale, overrides, found.arm, found.seed)
    if path.stem != own:
        raise UserError(f"{path}: is the record {own}.json under another name; name it so")
