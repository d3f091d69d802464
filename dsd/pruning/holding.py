"""Which Sparsifiers hold masks: of one weight the newest alone."""

import warnings
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from typing import Protocol
from weakref import WeakSet

from torch import Tensor, nn


class Holder(Protocol):
    """A Sparsifier."""

    def held(self) -> dict[str, nn.Parameter]: ...

    def let_go(self, names: Collection[str], undo: ExitStack) -> None: ...


HOLDING: "WeakSet[Holder]" = WeakSet()  # those with masks; the optimizers' hooks keep them alive


def take_over(own: Holder, weights: Iterable[Tensor], undo: ExitStack) -> None:
    """Has other Sparsifiers drop their masks of these weights, with a warning.

    Such as that of an earlier round of a loop, or of a notebook's cell that is run again.
    """
    mine = {id(weight) for weight in weights}
    for other in [*HOLDING]:
        theirs = {} if other is own else other.held()
        if shared := [name for name, weight in theirs.items() if id(weight) in mine]:
            more = f" and {len(shared) - 1} more" if shared[1:] else ""
            warnings.warn(
                f"an earlier Sparsifier held masks of {shared[0]}{more}; this one takes over, and "
                "they are dropped. Call its densify() or finish() first to avoid this warning",
                stacklevel=3,
            )
            other.let_go(shared, undo)
