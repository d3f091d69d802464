"""The five-stage histograms of all layers of a run, as the page's script draws them."""

from dataclasses import dataclass
from typing import Any

from analysis.figures.histograms import Round, choose_layer, layers, rounds, stages
from analysis.records import Run


@dataclass(frozen=True)
class Histograms:
    """What the layer chooser needs."""

    layers: list[str]
    first: str  # the layer that is shown first
    rounds: int
    caption: str
    data: dict[str, list[dict[str, Any]]]  # layer -> a round each -> what a panel needs


def histograms(run: Run) -> Histograms | None:
    """Returns the histograms of a run's layers, None for an arm that was never pruned."""
    names, count = layers(run), len(rounds(run))
    if not count:
        return None
    return Histograms(
        names,
        choose_layer(run, None),
        count,
        f"Arm {run.record.arm}, seed {run.record.seed}. Weight value across, weights per bin "
        "upwards; the same axes in all stages; the exact zeros stand in another colour beneath the "
        "rest, and what exceeds the axis is cut off.",
        {name: [_shown(run, name, number + 1) for number in range(count)] for name in names},
    )


def _shown(run: Run, layer: str, number: int) -> dict[str, Any]:
    found = Round(stages(run, layer, number))
    reach = found.reach
    return {
        "half": float(f"{found.end:.6g}"),
        "limit": round(found.limit),
        "said": f"{layer}: {found.stages[0].weights:,} weights; {found.beyond}.",
        "stages": [
            {
                "name": stage.name,
                "counts": stage.counts[reach].tolist(),
                "zeros": stage.zeros,
                "said": "; ".join(found.said(stage)),
            }
            for stage in found.stages
        ],
    }
