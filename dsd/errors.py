"""Errors that a user can fix, and the one place that puts any error in a line."""

import os
import platform
import sys
import sysconfig
import tempfile
import traceback
from datetime import UTC, datetime

NO_MEMORY = (  # what torch says, whatever it was asked for
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "Storage size calculation overflowed",
    "integer multiplication overflow",
    "invalid memory size",
    "value cannot be converted to type int64_t without overflow",
)


class UserError(Exception):
    """One line: the file or key, what is wrong, and the remedy.

    The command prints it without a traceback and exits with code 2.
    """


def explain(error: Exception) -> tuple[str, int]:
    """Returns the line for an error, and the exit code: 2 for what a user can fix, else 1.

    The traceback of an error that nobody foresaw goes into a file, which the line names.
    """
    if isinstance(error, UserError):
        return printable(str(error)), 2
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)
    ):
        first = first.rpartition("DefaultCPUAllocator: ")[2]
        return printable(f"not enough memory ({first}); lower task.batch_size or other sizes"), 2
    if isinstance(error, OSError):
        where = error.filename or "the system"
        return printable(f"{where}: {error.strerror or first}; fix it, run again"), 2
    kind, file, where = type(error).__name__, _of_a_suite(error), _report(error)
    if file:
        said = f"{file}: {kind}: {first}; fix it, the traceback is in {where}"
    else:
        said = f"an error in dsd itself: {kind}: {first}; please report it with {where}"
    return printable(f"{said} (--debug shows it)"), 1


def _of_a_suite(error: Exception) -> str:
    """Returns file:line where a suite's own code raised an error, "" where dsd or a library did."""
    libraries = ("site-packages", sysconfig.get_path("stdlib"))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not any(part in frame.filename for part in libraries):
            inside = f"{os.sep}recipes{os.sep}" in frame.filename
            return f"{frame.filename}:{frame.lineno}" if inside else ""
    return ""


def printable(text: str, keep: str = "\n\t") -> str:
    """Returns text without what a terminal would obey: control characters are written as \\x1b."""
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _report(error: Exception) -> str:
    """Writes the traceback to a file in the temporary folder; returns its name."""
    from dsd import __version__

    words = (
        f"dsd {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, process {os.environ.get('RANK', '0')}",
        " ".join(sys.argv),
        "".join(traceback.format_exception(error)),
    )
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="dsd-error-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write("\n".join(words))
            return file.name
    except OSError as fault:
        return f"what --debug prints (no file: {fault.strerror})"
