"""What happens to the optimizer's state at prune and at re-dense."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

Momentum = Literal["pruned", "reset", "keep"]
MOMENTA = ("momentum_buffer", "exp_avg")  # state that moves a weight without a gradient


@torch.no_grad()
def reset_momentum(
    optimizer: Optimizer, momentum: Momentum, masked: Iterable[tuple[Tensor, Tensor]]
) -> None:
    """Resets the optimizer's state as `momentum` says, see Sparsifier.

    masked: pairs of a parameter and its mask, of the same shape, zero where pruned.
    """
    if momentum == "reset":
        optimizer.state.clear()
    elif momentum == "pruned":
        for weight, mask in masked:
            for key in MOMENTA:
                moment = optimizer.state.get(weight, {}).get(key)
                if moment is not None:
                    moment.masked_fill_(mask == 0, 0)
