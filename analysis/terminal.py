"""A layer's weights in the stages of DSD as bars in the terminal: the paper's figure 2 in text."""

from itertools import pairwise

import numpy as np
from rich.text import Text

from analysis.arms import BLUE, VERMILION
from analysis.figures.histograms import Round, Stage, choose_layer, stages
from analysis.records import Run

BARS = " ▁▂▃▄▅▆▇█"
ROWS, COLUMNS = 4, 48


def histogram(run: Run, layer: str | None = None, number: int = 1) -> Text:
    """Returns the stages one below the other, on the same axes; zeros are a bar of their own.

    Raises UserError when the layer or the round cannot be drawn.
    """
    layer = choose_layer(run, layer)
    found = Round(stages(run, layer, number))
    record = run.record
    text = Text(
        f"{record.title}: {layer}, {found.stages[0].weights:,} weights "
        f"({record.arm}, seed {record.seed})\n"
    )
    for stage in found.stages:
        text.append(f"\n{stage.name}: {', '.join(found.said(stage))}\n")
        for row in _rows(stage, found):
            text.append_text(row)
            text.append("\n")
        left, right = f"{-found.end:.3g}", f"{found.end:.3g}"
        text.append(f"{left}{'0':^{COLUMNS - len(left) - len(right)}}{right}\n", style="dim")
    return text


def _rows(stage: Stage, found: Round) -> list[Text]:
    """Returns the rows of a histogram, the highest first."""
    counts = stage.counts.copy()
    middle = len(counts) // 2
    counts[middle] += stage.zeros
    shown = counts[found.reach]
    zero_at = middle - found.reach.start
    edges = np.linspace(0, len(shown), COLUMNS + 1)
    columns = [shown[int(a) : max(int(a) + 1, int(b))].max() for a, b in pairwise(edges)]
    zero_column = int(np.searchsorted(edges, zero_at, side="right")) - 1
    eighths = np.minimum(1, np.array(columns) / found.limit) * ROWS * 8
    rows = []
    for level in reversed(range(ROWS)):
        row = Text()
        for column, height in enumerate(eighths):
            bar = BARS[int(np.clip(np.ceil(height) - 8 * level, 0, 8))]
            zero = column == zero_column and stage.zeros
            row.append(bar, style=VERMILION if zero else BLUE)
        rows.append(row)
    return rows
