"""The five-stage histograms of all layers of a run, as the page's script draws them."""

from dataclasses import dataclass
from typing import Any

from analysis.figures.histograms import (
    choose_layer,
    count_limit,
    cut_off,
    rounds,
    shown_bins,
    stages,
)
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
    record = run.record
    count = rounds(record)
    if not count:
        return None
    names = [name for name, figures in record.phases[0].layers.items() if figures["weights"]]
    return Histograms(
        names,
        choose_layer(record, None),
        count,
        f"Arm {record.arm}, seed {record.seed}. Weight value across, weights per bin upwards; the "
        "same axes in all stages; the exact zeros stand in another colour beneath the rest, and "
        "what exceeds the axis is cut off.",
        {name: [_shown(run, name, number) for number in range(1, count + 1)] for name in names},
    )


def _shown(run: Run, layer: str, number: int) -> dict[str, Any]:
    found = stages(run.record, layer, number)
    limit, reach = count_limit(found), shown_bins(found)
    beyond = max(1 - stage.counts[reach].sum() / max(1, stage.nonzero) for stage in found)
    return {
        "bins": reach.stop - reach.start,
        "half": float(f"{found[0].edges[reach.stop]:.6g}"),
        "limit": round(limit),
        "said": f"{layer}: {found[0].weights:,} weights; at most {beyond:.1%} of the non-zero ones "
        "lie beyond the axis.",
        "stages": [
            {
                "name": stage.name,
                "counts": stage.counts[reach].tolist(),
                "zeros": stage.zeros,
                "said": "; ".join(
                    filter(
                        None,
                        [f"{stage.zeros / stage.weights:.1%} exactly zero", cut_off(stage, limit)],
                    )
                ),
            }
            for stage in found
        ],
    }
