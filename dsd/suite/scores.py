"""How many decimals a score needs."""

import math
from collections.abc import Iterable


def decimals(metric: str, values: Iterable[float]) -> int:
    """Returns the decimals that show a metric's values: two, or four digits of what is below 1.

    Shares of 0 to 1 need four, percentages two.
    """
    largest = max((abs(value) for value in values), default=0.0)
    if metric.endswith("_pct") or not 0 < largest < 1:
        return 2
    return min(3 - math.floor(math.log10(largest)), 10)
