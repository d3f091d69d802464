"""What is wrong with a command line, found without running it."""

import importlib.util
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from functools import cache
from typing import Any

import typer

import dsd.cli
from dsd.errors import UserError
from dsd.suite import arguments
from dsd.suite.folder import Suite
from dsd.suite.recipe import validate
from dsd.sweep.command import parted
from tests.docs.pages import ROOT, Command

SUITE = Suite(ROOT)
VARIABLES = {*(name.upper() for name in SUITE.corpora), "WEIGHTS"}
UNFINISHED = ("MissingParameter", "BadOptionUsage")  # prose may name a command alone
PLACEHOLDER = re.compile(r"<.*>|[A-Z0-9.]+")


class Wrong(Exception):
    """A command line that cannot work."""


def check(command: Command, prose: bool = False) -> None:
    """Raises Wrong. prose: the words that a command needs may be missing, or be placeholders."""
    program, *words = command.words
    if unknown := command.variables.keys() - VARIABLES:
        raise Wrong(f"no corpus or option is in {', '.join(unknown)}")
    if program not in PROGRAMS:
        raise Wrong(f"{program} is none of {', '.join(PROGRAMS)}; give the block a language")
    try:
        PROGRAMS[program](words, prose)
    except UserError as error:
        raise Wrong(str(error)) from None


@cache
def dsd_commands() -> dict[str, Any]:
    """The command's own, and those that tasks and the analysis add."""
    found = dict(typer.main.get_group(dsd.cli.app).commands)
    for file in SUITE.commands():
        added = typer.Typer()
        SUITE.command_module(file).add_commands(added)
        found |= typer.main.get_group(added).commands
    return found


def of_dsd(words: list[str], prose: bool) -> None:
    name, *words = words
    known = dsd_commands()
    while name in known and hasattr(known[name], "commands"):
        known = known[name].commands
        name, *words = words
    if name not in known:
        raise Wrong(f"no command is called {name!r}")
    try:
        given = known[name].make_context(name, [*words]).params
    except UserError:
        raise
    except Exception as error:
        if type(error).__name__ not in UNFINISHED or not prose:
            raise Wrong(f"dsd {name}: {error}") from None
        return
    given = {key: value for key, value in given.items() if not _placeholder(value, prose)}
    _check_files(words)
    if "corpus" in given:
        SUITE.task_module(given["corpus"])
    if given.get("seed"):
        arguments.seeds(given["seed"])
    if name == "sweep":
        recipes, settings, _ = parted(given["words"], given["slurm"] or None)
        choices = arguments.combinations(settings)
    elif "recipe" in given:
        recipes, choices = [given["recipe"]], [tuple(given.get("settings") or ())]
    else:
        return
    for recipe in recipes:
        for overrides in choices:
            found = SUITE.recipe(recipe, given.get("scale", "full"), overrides)
            validate(SUITE.task_module(found.corpus).Settings, found.task, "task")
            arguments.arms(found, given.get("arm") or ["dsd"])


def of_make(words: list[str], prose: bool) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, equals, _ = word.partition("=")
        if equals and name not in VARIABLES and f"$({name})" not in makefile:
            raise Wrong(f"nothing reads {name}")
    outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", *words],
        cwd=ROOT,
        env=outside,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Wrong(done.stderr.strip())
    for line in done.stdout.replace("\\\n", " ").splitlines():
        for variable, first in re.findall(r"for (\w+) in (\S+)", line):
            line = line.replace(f"${variable}", first)
        for called in re.findall(r"\.venv/bin/dsd (.*?)(?:\|\||;|$)", line):
            of_dsd(shlex.split(re.sub(r"\$\w+", "1", called)), prose)


def of_python(words: list[str], prose: bool) -> None:
    if words[0] != "-m":
        _check_script(words[0])
    elif words[1] == "dsd":
        of_dsd(words[2:], prose)
    elif importlib.util.find_spec(words[1]) is None:
        raise Wrong(f"no module is called {words[1]}")


def of_torchrun(words: list[str], prose: bool) -> None:
    from torch.distributed.run import get_args_parser

    try:
        given = get_args_parser().parse_args(words)
    except SystemExit:
        raise Wrong("torchrun does not take these options") from None
    if not given.module:
        _check_script(given.training_script)
    else:
        of_python(["-m", given.training_script, *given.training_script_args], prose)


def of_pip(words: list[str], prose: bool) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for word in words[1:]:
        package, bracket, extra = word.partition("[")
        if bracket and package in (".", "dsd-training") and extra.rstrip("]") not in extras:
            raise Wrong(f"there is no extra {extra.rstrip(']')}")


def of_shell(words: list[str], prose: bool) -> None:
    if words != [".venv/bin/activate"]:
        raise Wrong("only .venv/bin/activate is there to be read")


PROGRAMS: dict[str, Callable[[list[str], bool], None]] = {
    "dsd": of_dsd,
    "make": of_make,
    "python": of_python,
    "torchrun": of_torchrun,
    "pip": of_pip,
    ".": of_shell,
    "cp": lambda words, prose: _check_files(words),
    "mkdir": lambda words, prose: None,
}


def _placeholder(value: object, prose: bool) -> bool:
    return prose and isinstance(value, str) and bool(PLACEHOLDER.fullmatch(value))


def _check_files(words: list[str]) -> None:
    for word in words:
        if word.startswith("results/") and not list(ROOT.glob(word)):
            raise Wrong(f"no file is called {word}")


def _check_script(name: str) -> None:
    if not (ROOT / name).is_file():
        raise Wrong(f"no file is called {name}")
