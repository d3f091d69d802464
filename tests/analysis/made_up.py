"""A layer's histogram as records hold it."""

from typing import Any


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
