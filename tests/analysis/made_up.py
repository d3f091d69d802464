"""A layer's histograms as records hold them."""

from typing import Any

DENSE = [0, 1, 4, 9, 4, 1, 0]
SPARSE = [0, 1, 5, 0, 4, 1, 0]
REDENSE = [0, 1, 5, 8, 4, 1, 0]

Stages = list[list[dict[str, Any]]]  # of each phase


def histogram(
    counts: list[int], zeros: int = 0, below: int = 0, above: int = 0, half_width: float = 0.7
) -> dict[str, Any]:
    """Returns the counts of a layer's weights, with what a record says beside them."""
    return {
        "half_width": half_width,
        "counts": counts,
        "below": below,
        "above": above,
        "zeros": zeros,
    }


def seen(layer: str = "a.weight", **named: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the stages of one phase: {stage, _ for - or a space: a layer's histogram}."""
    return [
        {
            "stage": name.replace("_", " ") if name == "zeros_restored" else name.replace("_", "-"),
            "moment": "end",
            "layers": {layer: found},
        }
        for name, found in named.items()
    ]


def pruned_once(layer: str = "a.weight") -> Stages:
    """Returns the stages of dsd's three phases: of 20 weights 8 are pruned, 1 stays zero."""
    return [
        seen(layer, dense=histogram(DENSE, above=1)),
        seen(layer, pruned=histogram(SPARSE, 8, above=1), sparse_trained=histogram(SPARSE, 8, 1)),
        seen(layer, zeros_restored=histogram(SPARSE, 8, 1), re_dense=histogram(REDENSE, 1)),
    ]


def pruned_twice() -> Stages:
    """Returns the stages of five phases; the second round prunes less."""
    less = histogram([0, 1, 5, 3, 4, 1, 0], 6)
    return [
        *pruned_once(),
        seen(pruned=less, sparse_trained=less),
        seen(zeros_restored=less, re_dense=histogram([0, 1, 5, 7, 4, 1, 0], 2)),
    ]
