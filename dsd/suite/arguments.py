"""The words of a command line, before anything is made of them."""

from collections.abc import Sequence

from dsd.errors import UserError


def refuse_empty(words: Sequence[str]) -> None:
    """Raises UserError for an empty word or value: most often a variable that is not set.

    An empty path would silently be the working folder, an empty name no name at all.
    """
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        option, equals, value = word.partition("=")
        if not word.strip():
            where = before if before.startswith("-") else f"argument {place + 1}"
            raise UserError(
                f"{where}: is empty; is a variable not set? Give a value, or leave it out"
            )
        if option.startswith("--") and equals and not value.strip():
            raise UserError(
                f"{option}: is empty; is a variable not set? Give a value, or leave it out"
            )
        if "\0" in word:
            raise UserError(f"{word!r}: holds a NUL byte; leave it out")
