"""DSD: dense-sparse-dense training (Han et al., ICLR 2017).

In any training loop:

    from dsd import Sparsifier

    s = Sparsifier(model, optimizer, sparsity=0.3)
    s.sparsify()  # prune, then train sparse: the loop calls optimizer.step() as before
    s.densify()  # drop the masks, then train dense again, at a lower rate
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dsd.errors import UserError

if TYPE_CHECKING:
    from dsd.api import open_suite as open_suite
    from dsd.pruning.criteria import blockwise
    from dsd.pruning.masks import magnitude_mask, random_mask
    from dsd.pruning.schedule import Gradual
    from dsd.pruning.sparsifier import Sparsifier

__version__ = "0.2.0.dev0"
__all__ = [
    "Gradual",
    "Sparsifier",
    "UserError",
    "__version__",
    "blockwise",
    "magnitude_mask",
    "random_mask",
]
_WHERE = {  # imported when asked for: the command needs no torch to list recipes
    "open_suite": "dsd.api",  # not in __all__: it needs more than torch
    "Gradual": "dsd.pruning.schedule",
    "Sparsifier": "dsd.pruning.sparsifier",
    "blockwise": "dsd.pruning.criteria",
    "magnitude_mask": "dsd.pruning.masks",
    "random_mask": "dsd.pruning.masks",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
