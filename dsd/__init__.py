"""DSD: dense-sparse-dense training (Han et al., ICLR 2017).

In any training loop:

    from dsd import Sparsifier

    s = Sparsifier(model, optimizer, sparsity=0.3)
    s.sparsify()  # prune, then train sparse: the loop calls optimizer.step() as before
    s.densify()  # drop the masks, then train dense again, at a lower rate
"""

from dsd.errors import UserError
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
