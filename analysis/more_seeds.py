"""What would change a verdict: how many seeds it takes, and what their training costs."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from analysis.cache import remember
from analysis.groups import Group
from analysis.power import MOST_SEEDS, seeds_needed
from analysis.records import Run


class Cost(NamedTuple):
    """What one more seed of a comparison costs, shared phases counted once."""

    hours: float
    unit: str  # "core-hours", or "device-hours" where it was trained on something else


def needed(sd: float, effect: float, alpha: float = 0.05) -> int | None:
    """Returns the fewest seeds that show an effect with power 0.8; None: more than a million."""
    try:
        found = remember(
            ["needed", sd, effect, alpha], lambda: seeds_needed(sd, effect, 0.8, alpha)
        )
    except ValueError:
        return None
    return int(found)


def cost(group: Group, arms: Sequence[str]) -> Cost | None:
    """Returns the mean cost of a seed that has all of these arms, from their records' phases.

    A dense phase that all seeds share is paid for already. None where no seed has all arms, or a
    record does not say how long a phase took.
    """
    seeds = set.intersection(*({*group.arms.get(arm, {})} for arm in arms))
    spent = [_hours([group.arms[arm][seed] for arm in arms]) for seed in sorted(seeds)]
    known = [hours for hours in spent if hours is not None]
    if not known or len(known) < len(spent):
        return None
    device = group.first.phases[-1].provenance.get("device", "")
    return Cost(fmean(known), "core-hours" if device.startswith("cpu") else "device-hours")


def seeds(count: int | None) -> str:
    """Writes a number of seeds."""
    return f"more than {MOST_SEEDS:,}" if count is None else f"{count:,}"


def _hours(runs: Sequence[Run]) -> float | None:
    """Returns how long the phases of one seed's runs took, each phase once; times its cores."""
    spent: dict[str, float | None] = {}
    for run in runs:
        path = ""
        for phase in run.record.phases:
            path += f"/{phase.folder}"
            spent[path] = _core_seconds(phase.provenance)
        if run.record.settings.dense_seed is not None:
            spent.pop(f"/{run.record.phases[0].folder}")
    known = [seconds for seconds in spent.values() if seconds is not None]
    return sum(known) / 3600 if len(known) == len(spent) else None


def _core_seconds(provenance: dict[str, object]) -> float | None:
    seconds = provenance.get("train_seconds")
    if not isinstance(seconds, int | float):
        return None
    on_cpu = str(provenance.get("device", "")).startswith("cpu")
    cores = provenance.get("threads", 1) if on_cpu else 1
    processes = provenance.get("processes", 1)
    return seconds * float(str(cores)) * float(str(processes))
