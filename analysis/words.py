"""How figures and names are written in tables, pictures and sentences."""

import re
from collections.abc import Sequence

from analysis.groups import Gain
from analysis.metrics import metric
from analysis.statistics import Interval, Spread

NOTHING = "-"


def metric_name(name: str) -> str:
    """Returns a metric's name in words, with its unit."""
    return metric(name).title


def phase_name(name: str) -> str:
    """Returns a phase's name as the paper writes it: redense1 is "re-dense1"."""
    return re.sub("^redense", "re-dense", name)


def split_name(split: str) -> str:
    """Returns a test set's name in words: test_beam20 is "beam 20"."""
    return re.sub(r"^test_beam(\d+)$", r"beam \1", split)


def number(value: float) -> str:
    """Writes 0.001 and 1e-5 as short as they can be."""
    return f"{value:g}".replace("e-0", "e-")


def mean_sd(found: Spread | None, decimals: int = 2) -> str:
    """Writes "8.12 ± 0.05 (n 3)"; "not run" for None."""
    return "not run" if found is None else f"{plus_minus(found, decimals)} (n {found.n})"


def plus_minus(found: Spread, decimals: int = 2) -> str:
    """Writes "8.12 ± 0.05"; the mean alone where there is one seed."""
    return f"{found.mean:.{decimals}f}{_plus_minus(found, decimals)}"


def signed(gain: Gain | None, decimals: int = 2) -> str:
    """Writes "+0.37 ± 0.05 (+4.5 %, n 3)"; "-" for None."""
    if gain is None:
        return NOTHING
    found = gain.difference
    return f"{signed_mean(found, decimals)} ({gain.relative_pct:+z.1f} %, n {found.n})"


def signed_mean(found: Spread, decimals: int = 2) -> str:
    """Writes "+0.37 ± 0.05"."""
    return f"{found.mean:+z.{decimals}f}{_plus_minus(found, decimals)}"


def interval(found: Interval | None, decimals: int = 2) -> str:
    """Writes "-0.12 to +0.40"; "-" for None."""
    return f"{found[0]:+z.{decimals}f} to {found[1]:+z.{decimals}f}" if found else NOTHING


def effect(mean: float, name: str, between: Interval | None, decimals: int = 2) -> str:
    """Writes "+1.01 BLEU-4 (-2.70 to +4.71)"; percentages are in points; n 1 has no interval."""
    of = metric(name)
    unit = "points" if of.unit == "%" else of.unit or of.label
    said = f"{mean:+z.{decimals}f} {unit}"
    return f"{said} ({interval(between, decimals)})" if between else said


def p_value(value: float | None) -> str:
    """Writes "0.012" or "< 0.001"; "-" for None."""
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def listed(names: Sequence[str]) -> str:
    """Writes "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _plus_minus(found: Spread, decimals: int) -> str:
    return "" if found.sd is None else f" ± {found.sd:.{decimals}f}"


def capital(text: str) -> str:
    """Returns a sentence with its first letter in capital."""
    return text[:1].upper() + text[1:]
