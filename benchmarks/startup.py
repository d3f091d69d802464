"""Commands that do no training, against importing the command line's libraries.

    python -m benchmarks.startup [--rounds 7] [--out FILE]

A turn is a process from its start to its end. No record has changed, so nothing is written again.
"""

import subprocess
import sys
from functools import partial
from typing import Any

import torch

from benchmarks.pairs import ROOT, compare, options, write

LIBRARIES = "import typer, rich.console, pydantic, yaml"  # took 0.28 CPU seconds
CASES = [  # command, target: at most 0.5, 0.5, 1.5 and 3 CPU seconds, over those 0.28
    ("--help", 1.8),
    ("list", 1.8),
    ("tables --check", 5.4),
    ("report", 10.7),
]


def case(command: str, target: float, rounds: int, libraries: str = LIBRARIES) -> dict[str, Any]:
    """Compares one command with the start of Python and the libraries."""
    start, words = partial(python, "-c", libraries), command.split()
    ways = {"libraries": start, "command": partial(python, "-m", "dsd", *words), "again": start}
    result = compare(ways, rounds, torch.device("cpu"))
    return {"case": f"dsd {command}", "target": target, **result}


def python(*words: str) -> None:
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)


def main() -> None:
    chosen = options(__doc__ or "", "startup", rounds=7, of_torch=False)
    cases = (case(*each, rounds=chosen.rounds) for each in CASES)
    write("startup", cases, torch.device("cpu"), chosen.out)


if __name__ == "__main__":
    main()
