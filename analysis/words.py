"""How figures and names are written in tables, pictures and sentences."""

import re
from collections.abc import Sequence

from analysis.groups import Gain
from analysis.metrics import metric
from analysis.statistics import Interval, Spread


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


def mean_sd(found: Spread | None) -> str:
    """Writes "8.12 ± 0.05 (n 3)"; "not run" for None."""
    return "not run" if found is None else f"{plus_minus(found)} (n {found.n})"


def plus_minus(found: Spread) -> str:
    """Writes "8.12 ± 0.05"; the mean alone where there is one seed."""
    return f"{found.mean:.2f}" + ("" if found.sd is None else f" ± {found.sd:.2f}")


def signed(gain: Gain | None) -> str:
    """Writes "+0.37 ± 0.05 (+4.5 %, n 3)"; "-" for None."""
    if gain is None:
        return "-"
    mean, sd, n = gain.difference
    spread = "" if sd is None else f" ± {sd:.2f}"
    return f"{mean:+.2f}{spread} ({gain.relative_pct:+.1f} %, n {n})"


def interval(found: Interval | None) -> str:
    """Writes "-0.12 to +0.40"; "-" for None."""
    return f"{found[0]:+z.2f} to {found[1]:+z.2f}" if found else "-"


def p_value(value: float | None) -> str:
    """Writes "0.012" or "< 0.001"; "-" for None."""
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def listed(names: Sequence[str]) -> str:
    """Writes "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
