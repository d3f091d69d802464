"""The words of a command line, before they are used."""

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsd.errors import UserError
from dsd.suite.values import parse_override

if TYPE_CHECKING:
    from dsd.suite.recipe import Recipe

MOST_SEEDS = 10_000  # in one command: more is a slip of the finger
LARGEST_SEED = 2**63 - 1


def seeds(words: Sequence[str]) -> list[int]:
    """Returns the seeds of `0-4`, `0,3` and the like, each once, in their order.

    Raises UserError for anything else.
    """
    found: list[int] = []
    for word in words:
        for part in word.split(","):
            ends = re.fullmatch(r"([0-9]{1,19})(?:-([0-9]{1,19}))?", part.strip())
            if not ends:
                raise UserError(f"--seed {word}: give whole numbers from 0 on, as 3, 0,3 or 0-4")
            first, last = int(ends[1]), int(ends[2] or ends[1])
            if last > LARGEST_SEED:
                raise UserError(f"--seed {word}: the largest seed is {LARGEST_SEED}")
            if last < first:
                raise UserError(f"--seed {word}: ends before it begins; write {last}-{first}")
            if last - first >= MOST_SEEDS:
                raise UserError(f"--seed {word}: more than {MOST_SEEDS} seeds; split the command")
            found += range(first, last + 1)
    return list(dict.fromkeys(found))


def arms(recipe: "Recipe", words: Sequence[str]) -> list[str]:
    """Returns the arms that --arm names, each once, as in dsd,finetune; `all` is every arm.

    Raises UserError for an arm that the recipe has not.
    """
    given = [name for word in words for name in word.split(",")]
    names = list(recipe.arms) if "all" in given else list(dict.fromkeys(given))
    for name in names:
        recipe.plan(name)
    return names


def combinations(words: Sequence[str]) -> list[tuple[str, ...]]:
    """Returns every combination of settings written key=a,b,c; commas in brackets part nothing.

    Raises UserError for what is not written so.
    """
    choices = []
    for word in words:
        key, equals, values = word.partition("=")
        choices.append([f"{key}{equals}{value}" for value in _parted(values)])
        for one in choices[-1]:
            parse_override(one)
    return list(itertools.product(*choices))


def _parted(text: str) -> list[str]:
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if letter in "'\"" and quote in ("", letter):
            quote = "" if quote else letter
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    if len(parts) > 1 and not all(part.strip() for part in parts):
        raise UserError(f"{text!r}: a value between commas is missing")
    return parts


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
