"""How each number was made: command, revision, device, time of every run."""

from collections.abc import Sequence

from analysis.grid import Grid
from analysis.groups import Group
from analysis.records import Run
from analysis.table import Column, Table

UNKNOWN = "unknown"


def grid(groups: Sequence[Group]) -> Grid:
    """Returns a row a record; training time is of all its phases, shared ones included."""
    rows = [run for group in groups for seeds in group.arms.values() for run in seeds.values()]
    return Table("How each number was made", COLUMNS, rows).grid()


def _made(name: str) -> Column:
    return Column(name, name, value=lambda run: run.record.provenance.get(name) or UNKNOWN)


def _versions(run: Run) -> str:
    versions = run.record.provenance.get("versions", {})
    return ", ".join(f"{name} {found}" for name, found in versions.items()) or UNKNOWN


def _minutes(run: Run) -> str:
    seconds = [phase.provenance.get("train_seconds") for phase in run.record.phases]
    return UNKNOWN if None in seconds else f"{sum(filter(None, seconds)) / 60:.0f}"


COLUMNS = (
    *(Column("record.arm", "run"), Column("record.seed", "seed"), _made("command")),
    Column("", "revision", value=lambda run: run.record.provenance.get("revision", UNKNOWN)[:10]),
    *map(_made, ("device", "precision")),
    Column("", "versions", value=_versions),
    _made("date"),
    Column("", "trained (minutes)", value=_minutes),
    Column("path.name", "record"),
)
