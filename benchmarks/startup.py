"""Commands that do no training, against importing what they cannot do without.

    python -m benchmarks.startup [--rounds 7] [--out FILE]

A turn is a process from its start to its end. The tables and the report are made once before; what
is timed is making them with no record changed.
"""

import subprocess
import sys
from functools import partial
from typing import Any

import torch

from benchmarks.pairs import ROOT, compare, options, write

LIBRARIES = "import typer, rich.console, pydantic, yaml"
TABLES = "import pandas, matplotlib, jinja2"
CASES = [  # command, what it needs, target: at most
    ("--help", LIBRARIES, 1.8),
    ("list", LIBRARIES, 1.8),
    ("tables", TABLES, 2.0),
    ("report", TABLES, 4.0),
]


def case(command: str, libraries: str, target: float, rounds: int) -> dict[str, Any]:
    """Compares one command with the start of Python and its libraries."""
    needs = partial(python, "-c", libraries)
    ways = {"libraries": needs, "command": partial(python, "-m", "dsd", command), "again": needs}
    result = compare(ways, rounds, torch.device("cpu"))
    return {"case": f"dsd {command}", "limit": 1.0, "target": target, **result}


def python(*words: str) -> None:
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)


def main() -> None:
    chosen = options(__doc__ or "", "startup", rounds=7)
    cases = (case(*each, rounds=chosen.rounds) for each in CASES)
    write("startup", cases, torch.device("cpu"), chosen.out)


if __name__ == "__main__":
    main()
