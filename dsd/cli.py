"""The `dsd` command: its own commands and those of the suite around; every error is one line."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

try:
    import typer

    from dsd.commands import corpora, networks, records, train

    if find_spec("accelerate") is None:
        raise ModuleNotFoundError("accelerate", name="accelerate")
except ModuleNotFoundError as missing:
    sys.exit(f"dsd: {missing.name} is missing; the command needs pip install 'dsd-training[cli]'")

from dsd import __version__
from dsd.errors import UserError, explain
from dsd.runs.files import full_disk, no_space
from dsd.suite import arguments
from dsd.suite.folder import Suite, find_suite, the_suite
from dsd.suite.names import nearest

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Dense-Sparse-Dense training: train dense, prune and retrain under the mask, drop the
    mask and retrain dense.

    A first run, without any data: `dsd run imagenet-resnet18 --scale mini --arm all`.""",
)

# Idle threads sleep: beside other work those that spin can be a hundred times slower. Read when
# torch is imported, which is later.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

for each in (train, networks, records, corpora):
    each.add_commands(app)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, too.")
    ] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> NoReturn:
    """Runs the command. Any error is one line: exit code 2 if the user can fix it, else 1."""
    for stream in (sys.stdout, sys.stderr):  # a terminal of ASCII alone gets escapes
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:]
    debug = "--debug" in words
    sys.argv[1:] = words = [word for word in words if word != "--debug"]
    try:
        arguments.refuse_empty(words)
        known = _add_commands(find_suite() if words != ["--version"] else None, words)
        if words and not words[0].startswith("-") and words[0] not in known:
            the_suite()
            raise UserError(f"no command is called {words[0]!r}{nearest(words[0], known)}")
        app(prog_name="dsd")
    except Exception as error:
        if debug:
            traceback.print_exc()
        disk = full_disk(error)
        fault = no_space(Path(disk.filename or "."), disk) if disk else error
        _fail(*explain(error if isinstance(error, UserError) else fault))
    sys.exit(0)


def _add_commands(suite: Suite | None, words: Sequence[str]) -> list[str]:
    """Adds a suite's commands; returns the names of all. Only what is called is imported."""
    own = list(typer.main.get_group(app).commands)
    for file, declared in (suite.commands() if suite else {}).items():
        if taken := sorted({*own} & declared.keys()):
            raise UserError(f"{file.with_suffix('.toml')}: {taken[0]} is dsd's own; rename it")
        if suite and words and words[0] in declared:
            suite.command_module(file).add_commands(app)
            continue
        for name, words_of_help in declared.items():
            app.command(name, help=words_of_help)(lambda: None)
    return list(typer.main.get_group(app).commands)


def _fail(message: str, code: int) -> NoReturn:
    if os.environ.get("RANK", "0") != "0" and code != 1:
        # One line, however many processes have the user's mistake: the first one's failure ends
        # the others meanwhile. But this one may be alone, with a file that only it has read.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(3)
    print(f"dsd: {message}", file=sys.stderr)
    sys.exit(code)
