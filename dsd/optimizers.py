"""Optimizers by the name a recipe gives them."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from dsd.errors import UserError
from dsd.recipe import Optimizer

_CLASSES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def make_optimizer(
    settings: Optimizer, parameters: Iterable[nn.Parameter], lr: float
) -> torch.optim.Optimizer:
    """Returns the torch optimizer; settings left out keep torch's defaults.

    Raises UserError when the optimizer does not know a setting, e.g. Adam and nesterov.
    """
    given = settings.model_dump(exclude={"name"}, exclude_none=True)
    try:
        return _CLASSES[settings.name](parameters, lr=lr, **given)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer: not settings of {settings.name}: {error}") from None
