"""Names of recipes, phases and commands: what is one, and which was meant."""

import difflib
import re
from typing import Any

# Of phases, arms, folders: they come from files that people exchange.
NAME = re.compile(r"[A-Za-z0-9_-]+")


def nearest(word: str, known: Any) -> str:
    """Returns '; did you mean ...?' for an error message, or the list of known words."""
    known = [str(k) for k in known]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""
