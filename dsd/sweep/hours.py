"""How long a phase takes, estimated from the phases that were trained before."""

import json
from pathlib import Path
from statistics import median

from dsd.runs import record
from dsd.runs.tree import Place
from dsd.suite.folder import Suite
from dsd.suite.recipe import Recipe


class Hours:
    """Seconds an epoch of each phase of a recipe and scale, from its records and its runs.

    They were measured wherever those ran.
    """

    def __init__(self, suite: Suite, recipe: Recipe, runs: Path) -> None:
        label = record.label(recipe.name, recipe.scale)
        folders = (suite.root / "results" / "runs" / label, runs / "records" / label)
        files = [file for folder in folders for file in folder.glob("seed*/**/*.json")]
        files += (runs / label).glob("seed*/**/phase.json")
        self._seconds: dict[str, list[float]] = {}
        for file in files:
            self._add(file)

    def of(self, place: Place) -> float | None:
        """Returns the hours of a phase: the median of its like, or of any phase; None: unknown."""
        others = [second for seconds in self._seconds.values() for second in seconds]
        known = self._seconds.get(place.node.name, others)
        return median(known) * place.node.phase.epochs / 3600 if known else None

    def _add(self, file: Path) -> None:
        try:
            phase = json.loads(file.read_text())["record"]
            seconds, epochs = phase["provenance"]["train_seconds"], phase["epochs"]
            if epochs:
                self._seconds.setdefault(phase["name"], []).append(seconds / epochs)
        except (OSError, ValueError, KeyError, TypeError):
            return  # an estimate needs no damaged file; whoever reads it for its results says so
