"""Runs all faults and prints their table: `make faults`, or python -m tests.faults.

The counts are those of the full run; --short takes a small part of each. --write puts the table
into docs/faults.md. Exit code 1 where an outcome is silent, a traceback or lost.
"""

import argparse
import importlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.tally import BAD, ROOT, Tally, table

PAGE = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- table: make faults -->\n", "<!-- end of table -->\n"
FULL = {"kills": 200, "disks": 20, "flips": 500, "overrides": 20_000}
SHORT = {"kills": 6, "disks": 4, "flips": 48, "overrides": 300}


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a small part of each")
    parser.add_argument("--write", action="store_true", help="put the table into docs/faults.md")
    parser.add_argument("--seed", type=int, default=0)
    for name in FULL:
        parser.add_argument(f"--{name}", type=int, help=f"default: {FULL[name]}")
    given = parser.parse_args()
    counts = dict(SHORT if given.short else FULL)
    counts |= {name: getattr(given, name) for name in FULL if getattr(given, name) is not None}
    folder = Path(tempfile.mkdtemp(prefix="dsd-faults-"))
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    tempfile.tempdir = str(folder)  # where reports of what nobody foresaw go
    _import_once()
    started, tallies = time.monotonic(), list[Tally]()
    try:
        for name, run in _kinds(folder, counts, given.seed).items():
            tallies += run()
            print(
                f"{name}: done after {(time.monotonic() - started) / 60:.1f} min", file=sys.stderr
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bad = [line for tally in tallies for line in tally.details]
    text = f"{table(tallies)}\n\n{_made(counts, time.monotonic() - started)}\n"
    print(text)
    print("\n".join(bad), file=sys.stderr)
    if given.write:
        head, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(head + BEGIN + text + END + rest.partition(END)[2])
    return int(any(tally.outcomes[name] for tally in tallies for name in BAD))


def _kinds(folder: Path, counts: dict[str, int], seed: int) -> dict[str, Callable[[], list[Tally]]]:
    from tests.faults.disks import disks
    from tests.faults.flips import flips
    from tests.faults.hostile import hostile
    from tests.faults.kills import kills
    from tests.faults.overrides import overrides

    for name in ("kills", "disks"):
        (folder / name).mkdir()
    return {
        # What forks comes first: torch may have no threads yet.
        "kills": lambda: kills(folder / "kills", counts["kills"], seed=seed),
        "disks": lambda: disks(folder / "disks", counts["disks"]),
        "flips": lambda: flips(folder / "flips", counts["flips"], seed),
        "overrides": lambda: overrides(counts["overrides"], seed),
        "hostile files": lambda: hostile(folder / "hostile"),
    }


def _import_once() -> None:
    """Imports what the forks need, and keeps torch at one thread."""
    import torch

    import dsd.cli  # noqa: F401
    from dsd.suite.folder import Suite

    torch.set_num_threads(1)
    for corpus in ("cifar10", "flickr8k", "an4", "imagenette"):
        Suite(ROOT).task_module(corpus)
    for name in ("resnet", "neuraltalk", "deepspeech"):
        importlib.import_module(f"models.{name}")


def _made(counts: dict[str, int], seconds: float) -> str:
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {said}; {seconds / 60:.0f} minutes on "
        f"{os.cpu_count()} cores, Python {platform.python_version()}."
    )


if __name__ == "__main__":
    sys.exit(main())
