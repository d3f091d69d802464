"""What became of each try, counted; and what a forked `dsd` said."""

import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dsd.errors import UserError
from tests.forked import no_gpu

ROOT = Path(__file__).parents[2]
GOOD = ("right", "refused")  # the right result; one line, exit code 2, nothing lost
BAD = ("silent", "traceback", "lost")  # another result; no line; what was finished is gone


@dataclass
class Tally:
    """The outcomes of the tries of one kind."""

    kind: str
    outcomes: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)  # of bad ones

    def add(self, outcome: str, what: str = "") -> None:
        """Counts an outcome; `what` was tried, which is kept of a bad one."""
        self.outcomes[outcome] += 1
        if outcome in BAD:
            self.details.append(f"{self.kind}: {outcome}: {what}")

    def row(self) -> str:
        """Returns the tally as a row of the table."""
        counts = " | ".join(str(self.outcomes[name]) for name in (*GOOD, *BAD))
        return f"| {self.kind} | {self.outcomes.total()} | {counts} |"


def table(tallies: Sequence[Tally]) -> str:
    """Returns all tallies as a Markdown table."""
    total = Tally("**all**", sum((tally.outcomes for tally in tallies), Counter()))
    head = ["| tried | tries | right result | refused in one line | silent | traceback | lost |"]
    return "\n".join([*head, "|" + "---|" * 7, *(tally.row() for tally in [*tallies, total])])


def judge(
    tally: Tally, what: str, read: Callable[[], object], same: Callable[[object], bool]
) -> None:
    """Counts what reading gives: the same, another value, a line of refusal, or anything else."""
    try:
        found = read()
    except UserError as error:
        tally.add("refused" if "\n" not in str(error) else "traceback", f"{what}: {error}")
    except Exception as error:  # what a user would see as a traceback
        tally.add("traceback", f"{what}: {type(error).__name__}: {str(error)[:200]}")
    else:
        tally.add("right" if same(found) else "silent", what)


class Said(NamedTuple):
    """A command's exit code (negative: the signal that ended it) and what it printed."""

    code: int
    out: str


def start(words: Sequence[str], folder: Path, before: Callable[[], None] | None = None) -> "Forked":
    """Forks a `dsd WORDS...` in a folder: a new process without paying for the imports again."""
    sys.stdout.flush()
    read, write = os.pipe()  # not a file: a limit on files is not for what it says
    process = os.fork()
    if process == 0:
        code = 1
        try:
            for stream in (1, 2):
                os.dup2(write, stream)
            os.chdir(folder)
            no_gpu()
            if before:
                before()
            sys.argv = ["dsd", *words]
            from dsd.cli import main

            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(write)
    return Forked(process, read)


class Forked:
    """A command that runs in a fork of this process."""

    def __init__(self, process: int, out: int) -> None:
        self.process, self._out = process, out

    def wait(self) -> Said:
        """Waits for its end."""
        with open(self._out, "rb") as out:
            text = out.read().decode(errors="replace")
        _, status = os.waitpid(self.process, 0)
        return Said(os.waitstatus_to_exitcode(status), text)


def run(words: Sequence[str], folder: Path, before: Callable[[], None] | None = None) -> Said:
    """Runs a `dsd WORDS...` in a folder to its end."""
    return start(words, folder, before).wait()


def refusal(said: Said) -> bool:
    """Returns whether a command ended as it ends for a user's mistake: code 2, one last line."""
    last = said.out.strip().splitlines()[-1:] or [""]
    return said.code == 2 and last[0].startswith("dsd: ") and "Traceback" not in said.out
