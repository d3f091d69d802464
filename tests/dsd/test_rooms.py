"""Arrows between the rooms of dsd/ point down only: cli -> sweep -> training, export -> runs ->
suite -> pruning; integrations -> pruning. The library (pruning, integrations) needs torch alone,
and dsd/ knows no task, network or corpus."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

DSD = Path(__file__).parents[2] / "dsd"
BELOW = {  # a room -> the rooms that it may import
    "pruning": set(),
    "integrations": {"pruning"},
    "suite": {"pruning"},
    "runs": {"pruning", "suite"},
    "training": {"pruning", "suite", "runs"},
    "export": {"pruning", "suite", "runs"},
    "sweep": {"suite", "runs", "training"},
    "commands": {"suite", "runs", "training", "export", "sweep"},
}
DOORS = {"errors"}  # any room may use these
FILES = sorted(path.relative_to(DSD) for path in DSD.glob("*/*.py"))


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("file", FILES, ids=str)
def test_arrows_point_down(file):
    room = file.parts[0]
    allowed = BELOW[room] | {room} | DOORS
    for name in imported(DSD / file):
        top, _, rest = name.partition(".")
        if top == "dsd":
            assert rest.partition(".")[0] in allowed, f"dsd/{file} imports {name}"
        assert top not in {"models", "data", "recipes", "analysis", "benchmarks"}, name


def test_the_library_needs_torch_alone():
    library = [*DSD.glob("pruning/*.py"), DSD / "integrations/schedule.py"]
    tops = {name.partition(".")[0] for file in library for name in imported(file)}
    assert tops <= {"torch", "dsd"} | sys.stdlib_module_names
    for name in ("transformers", "lightning"):  # each needs its own library besides, no other
        tops = {n.partition(".")[0] for n in imported(DSD / f"integrations/{name}.py")}
        assert tops <= {"torch", "dsd", name, f"pytorch_{name}"} | sys.stdlib_module_names


def test_the_library_imports_no_room_of_the_suite():
    """`import dsd` costs little beyond torch: the suite's packages stay out."""
    listing = (
        "import sys, torch; before = {*sys.modules}; import dsd, dsd.integrations;"
        "print(*sorted({*sys.modules} - before))"
    )
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True)
    added = done.stdout.split()
    assert "dsd.pruning.sparsifier" in added, done.stderr
    assert {name.partition(".")[0] for name in added} <= {"dsd", "torch"} | sys.stdlib_module_names
    rooms = {name.split(".")[1] for name in added if name.startswith("dsd.")}
    assert rooms == {"pruning", "integrations", "errors"}


def test_every_room_is_known():
    assert {file.parts[0] for file in FILES} == set(BELOW)
    assert {path.stem for path in DSD.glob("*.py")} == {
        *("__init__", "__main__", "api", "cli", "errors")
    }


@pytest.mark.parametrize(
    ("command", "not_needed"),
    [
        ("--help", {"torch", "numpy", "pydantic"}),
        ("--version", {"torch", "numpy"}),
        ("list", {"torch", "numpy"}),
    ],
)
def test_what_trains_nothing_starts_quickly(command, not_needed):
    words = [sys.executable, "-X", "importtime", "-m", "dsd", command]
    done = subprocess.run(words, capture_output=True, text=True, cwd=DSD.parent, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in loaded
    assert not not_needed & loaded
