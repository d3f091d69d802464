"""What became of every phase, from the shared folder alone: finished, running, failed ..."""

import hashlib
import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from dsd.errors import UserError, printable
from dsd.runs import checkpoint, heartbeat
from dsd.runs.files import write_atomically
from dsd.runs.tree import FINISHED
from dsd.sweep.plan import Job

SWEEPS = "sweeps"  # below the runs: a list of the phases that each sweep is to train
STATES = ("finished", "running", "waiting", "stopped", "lost", "failed")
LIVE_S = 2.0
SHOWN = 20  # phases with a line of their own


@dataclass(frozen=True)
class State:
    """A phase, and how it stands."""

    label: str  # of the recipe, e.g. points-mlp.mini
    seed: int
    address: str  # e.g. dense/sparse
    state: str
    words: str = ""


def remember(runs: Path, jobs: Sequence[Job]) -> None:
    """Writes down what a sweep is to train, for `dsd status`; the same sweep once."""
    names = sorted({job.folder.relative_to(runs).as_posix() for job in jobs})
    text = json.dumps(names, indent=0).encode()
    folder = runs / SWEEPS
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{hashlib.sha256(text).hexdigest()[:12]}.json", text)


def states(runs: Path) -> list[State]:
    """Returns every phase that is planned, or on disk, below a folder of runs."""
    names = set[str]()
    for file in (runs / SWEEPS).glob("*.json"):
        try:
            names |= {str(name) for name in json.loads(file.read_text())}
        except (ValueError, TypeError):
            raise UserError(f"{file}: damaged; remove it, it is a list for this table") from None
    for mark in (FINISHED, checkpoint.POINTER, heartbeat.FILE):
        for file in runs.glob(f"*/seed*/**/{mark}"):
            names.add(file.parent.relative_to(runs).as_posix())
    found = []
    for name in names:
        parts = re.fullmatch(r"([^/]+)/seed([0-9]+)/([^/].*)", name)
        if parts and ".." not in name.split("/"):
            found.append(State(parts[1], int(parts[2]), parts[3], *_state(runs / name)))
    return sorted(found, key=lambda one: (one.label, one.address, one.seed))


def table(runs: Path) -> RenderableType:
    """Returns each phase's seeds by state, and below them a line for what is not at rest."""
    found = states(runs)
    rows: dict[tuple[str, str], dict[str, list[int]]] = {}
    for one in found:
        rows.setdefault((one.label, one.address), {}).setdefault(one.state, []).append(one.seed)
    columns = [state for state in STATES if any(state in row for row in rows.values())]
    shown = Table("recipe", "phase", *columns, title=f"{escape(str(runs))}: seeds of each phase")
    last = ""
    for (label, address), row in rows.items():
        cells = [ranges(row.get(state, [])) for state in columns]
        shown.add_row(escape(label if label != last else ""), escape(address), *cells)
        last = label
    counts = [(state, sum(one.state == state for one in found)) for state in STATES]
    total = ", ".join(f"{count} {state}" for state, count in counts if count)
    lines = [f"{len(found)} phases: {total}" if found else "no phase yet"]
    special = [one for one in found if one.words]
    for one in special[:SHOWN]:
        words = f"{one.label}/seed{one.seed}/{one.address}: {one.state}, {one.words}"
        lines.append(printable(words))
    if len(special) > SHOWN:
        lines.append(f"and {len(special) - SHOWN} more")
    return Group(shown, *map(escape, lines))


def show(runs: Path, live: bool) -> None:
    """Prints the table; live: renews it until Ctrl-C. Raises UserError where there is no folder."""
    if not runs.is_dir():
        raise UserError(f"{runs}: no such folder; give the one that --runs names")
    if not live:
        Console().print(table(runs))
        return
    with suppress(KeyboardInterrupt), Live(table(runs), auto_refresh=False) as screen:
        while True:
            time.sleep(LIVE_S)
            screen.update(table(runs), refresh=True)


def ranges(seeds: Sequence[int]) -> str:
    """Returns sorted seeds as --seed takes them: 0-4,7."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][-1] + 1:
            parts[-1][1:] = [seed]
        else:
            parts.append([seed])
    return ",".join("-".join(map(str, part)) for part in parts)


def _state(folder: Path) -> tuple[str, str]:
    """Returns a phase's state, and a word on it where it is not finished."""
    if (folder / FINISHED).exists():
        return "finished", ""
    beat = heartbeat.read(folder)
    if beat is None:
        return ("stopped" if (folder / checkpoint.POINTER).exists() else "waiting"), ""
    where = f"on {beat.host}"
    if beat.state == "running":
        share = beat.steps_done / max(beat.steps, 1)
        done = f"step {beat.steps_done} of {beat.steps} ({share:.0%})" if beat.steps else "begins"
        return "running", f"{done}, {where}"
    if beat.state == "lost":
        return "lost", f"no word for {(time.time() - beat.time) / 60:.0f} min, {where}"
    return beat.state, f"{beat.words}, {where}"
