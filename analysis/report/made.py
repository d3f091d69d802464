"""How each number was made: command, revision, device, time of every run."""

from collections.abc import Sequence

from analysis.grid import Grid
from analysis.records import Group, Run

HEADER = ("run", "seed", "command", "revision", "device", "precision", "versions", "date")


def grid(groups: Sequence[Group]) -> Grid:
    """Returns a row a record; training time is of all its phases, shared ones included."""
    arms = (arms for group in groups for arms in group.arms.values())
    rows = [_row(run) for seeds in arms for run in seeds.values()]
    header = (*HEADER, "trained (minutes)", "record")
    return Grid("How each number was made", header, rows)


def _row(run: Run) -> tuple[str, ...]:
    record = run.record
    made = record.made
    versions = ", ".join(f"{name} {found}" for name, found in made.get("versions", {}).items())
    seconds = [phase.made.get("train_seconds") for phase in record.phases]
    known = [value for value in seconds if value is not None]
    return (
        record.arm,
        str(record.seed),
        str(made.get("command", "unknown")),
        str(made.get("revision", "unknown"))[:10],
        str(made.get("device", "unknown")),
        str(made.get("precision", "unknown")),
        versions or "unknown",
        str(made.get("date", "unknown")),
        f"{sum(known) / 60:.0f}" if len(known) == len(seconds) else "unknown",
        run.path.name,
    )
