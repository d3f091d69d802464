"""Names of modules and parameters, and the entries of options that match them; needs no torch."""

from difflib import get_close_matches
from fnmatch import fnmatchcase


def ancestry(name: str) -> list[str]:
    """Returns the modules that hold a parameter, and its name: a.b.weight -> a, a.b, a.b.weight."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def matches(entry: str, names: list[str], option: str) -> set[str]:
    """Returns the names that an entry of an option matches, by exact name or glob.

    Raises ValueError when it matches none, with the nearest name.
    """
    found = {entry} & {*names} or {name for name in names if fnmatchcase(name, entry)}
    if not found:
        nearest = get_close_matches(entry, names, n=1, cutoff=0)
        raise ValueError(
            f'{option}: no module or parameter is named "{entry}"; '
            f"the nearest is {', '.join(nearest) or 'none'}"
        )
    return found
