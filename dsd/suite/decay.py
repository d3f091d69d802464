"""Decay of the learning rate within a phase.

To add one, write its name in `shape`, its factor in `scale` and a line in the docstring.
"""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, le=1e6)]


class Decay(BaseModel):
    """How the learning rate decays within one phase; `at` is in epochs since the phase began.

    constant: the phase's rate throughout. step: times `factor` at each epoch of `at`. cosine: along
    half a cosine to zero. poly: times (1 - fraction of the phase done)^power, Caffe's "poly".
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    shape: Literal["constant", "step", "cosine", "poly"] = "constant"
    at: tuple[Positive, ...] = ()
    factor: Positive = 0.1
    power: Positive = 0.5

    def scale(self, epochs_done: float, epochs: float) -> float:
        """Returns the factor of the phase's learning rate after `epochs_done` of `epochs`."""
        if self.shape == "step":
            return float(self.factor ** sum(epochs_done >= at for at in self.at))
        left = max(0.0, 1 - epochs_done / epochs)
        if self.shape == "cosine":
            return (1 - math.cos(math.pi * left)) / 2
        if self.shape == "poly":
            return float(left**self.power)
        return 1.0
