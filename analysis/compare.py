"""`dsd compare`: two records side by side, settings that differ and figures after every phase."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.grid import Grid
from analysis.metrics import metric
from analysis.records import Run
from analysis.words import NOTHING, metric_name, number, phase_name, split_name

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 20  # characters of a curve


def grids(one: Run, other: Run) -> list[Grid]:
    """Returns the tables: what differs, the tests after every phase, and the curves."""
    header = ("", "first", "second")
    who = f"first: {_who(one)}", f"second: {_who(other)}"
    return [
        Grid("Settings that differ", header, list(_settings(one, other)), who),
        Grid("Test figures", (*header, "difference"), list(_tests(one, other))),
        Grid("Curves, from an epoch to the next", header, list(_curves(one, other))),
    ]


def _who(run: Run) -> str:
    return f"{run.label} {run.record.arm} seed {run.record.seed}"


def _settings(one: Run, other: Run) -> Iterator[tuple[str, ...]]:
    sides = [dict(_flat(_deciding(run))) for run in (one, other)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        values = [side.get(key, NOTHING) for side in sides]
        if values[0] != values[1]:
            yield key, *map(_word, values)


def _deciding(run: Run) -> dict[str, Any]:
    """Returns what decides a run's result, phases by their names."""
    settings = run.record.settings.model_dump(mode="json")
    path = settings.pop("path")
    settings.pop("layers")
    phases = {
        str(place): {"name": node["name"], "mask": node["mask"], **node["phase"]}
        for place, node in enumerate(path, 1)
    }
    said = {"arm": run.record.arm, "device": run.record.provenance["device"]}
    said["revision"] = run.record.provenance["revision"]
    return {**said, **settings, "phases": phases}


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}".lstrip("."))
    else:
        yield key, value


def _word(value: Any) -> str:
    if isinstance(value, str) and len(value) > 40:
        return f"{value[:12]}…"
    return number(value) if isinstance(value, float) else str(value)


def _tests(one: Run, other: Run) -> Iterator[tuple[str, ...]]:
    """Yields a row for each phase, test set and metric that either has."""
    sides = [_figures(run) for run in (one, other)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        place, name, split, what = key
        values = [side.get(key) for side in sides]
        decimals = metric(what).decimals
        shown = [NOTHING if value is None else f"{value:.{decimals}f}" for value in values]
        first, second = values
        if first is not None and second is not None:
            shown.append(f"{second - first:+.{decimals}f}")
        else:
            shown.append(NOTHING)
        words = f"{place}. {phase_name(name)}: {split_name(split)} {metric_name(what)}"
        yield words, *shown


def _figures(run: Run) -> dict[tuple[int, str, str, str], float]:
    return {
        (place, phase.name, split, what): value
        for place, phase in enumerate(run.record.phases, 1)
        for split, figures in phase.test.items()
        for what, value in figures.items()
    }


def _curves(one: Run, other: Run) -> Iterator[tuple[str, ...]]:
    sides = [_series(run) for run in (one, other)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        cells = [_curve(side[key], key) if key in side else NOTHING for side in sides]
        yield f"{key[0]} {metric_name(key[1])}", *cells


def _series(run: Run) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for phase in run.record.phases:
        for row in phase.log:
            for split in ("train", "heldout"):
                for name, value in row.get(split, {}).items():
                    found.setdefault((split, name), []).append(value)
    return found


def _curve(values: list[float], key: tuple[str, str]) -> str:
    """Returns values as bars, at most WIDTH, on a logarithmic scale; and their ends in numbers."""
    step = max(1, -(-len(values) // WIDTH))
    thinned = [values[min(i + step, len(values)) - 1] for i in range(0, len(values), step)]
    heights = np.log(np.maximum(thinned, 1e-9))
    heights -= heights.min()
    bars = "".join(BARS[round(h)] for h in heights / (heights.max() or 1.0) * (len(BARS) - 1))
    decimals = metric(key[1]).decimals
    return f"{bars} {values[0]:.{decimals}f} to {values[-1]:.{decimals}f}"
