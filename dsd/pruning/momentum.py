"""What becomes of the optimizer's state where weights are pruned and where they return."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

Momentum = Literal["pruned", "reset", "keep"]
MOMENTA = ("momentum_buffer", "exp_avg")  # the state that moves a weight by itself


@torch.no_grad()
def settle(
    optimizer: Optimizer, momentum: Momentum, masked: Iterable[tuple[Tensor, Tensor]]
) -> None:
    """Settle the state of (parameter, its mask, zero where pruned); Sparsifier has the choices."""
    if momentum == "reset":
        optimizer.state.clear()
    elif momentum == "pruned":
        for weight, mask in masked:
            for key in MOMENTA:
                moment = optimizer.state.get(weight, {}).get(key)
                if moment is not None:
                    moment.masked_fill_(mask == 0, 0)
