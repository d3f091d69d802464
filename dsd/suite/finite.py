"""No score comes from NaN or infinity."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from dsd.errors import UserError


@contextmanager
def finite_outputs(net: nn.Module) -> Iterator[list[Any]]:
    """Gives a list that gets a true value for each forward pass with NaN or infinite outputs.

    A label's rank among NaN scores is as good as any, so no metric would show it.
    """
    unsound: list[Any] = []

    def look(module: nn.Module, inputs: Any, outputs: Any) -> None:
        unsound.extend(~torch.isfinite(tensor).all() for tensor in _floats(outputs))

    hook = net.register_forward_hook(look)
    try:
        yield unsound
    finally:
        hook.remove()


def not_finite(where: str) -> UserError:
    """Returns the error that a network's scores are NaN or infinite."""
    return UserError(
        f"{where}: the network's scores are not finite; it has diverged or its weights are "
        "damaged: train it at a lower rate, or give other weights"
    )


def _floats(outputs: Any) -> Iterator[torch.Tensor]:
    """Yields the tensors of floats in what a network returns, however they are nested."""
    if isinstance(outputs, torch.Tensor):
        if outputs.is_floating_point():
            yield outputs
    elif isinstance(outputs, Mapping):
        for value in outputs.values():
            yield from _floats(value)
    elif isinstance(outputs, list | tuple):  # packed sequences are tuples
        for value in outputs:
            yield from _floats(value)
