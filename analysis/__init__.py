"""Tables, figures and the report, from the records of runs. It trains nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def load(folder: "str | Path") -> "pd.DataFrame":
    """Returns the results in a folder of records as one tidy table; see analysis/frame.py."""
    from analysis import frame  # pandas is imported when it is used: every dsd command gets here

    return frame.load(folder)
