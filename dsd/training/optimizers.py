"""Optimizers, by their names in recipes."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from dsd.errors import UserError
from dsd.suite.recipe import Optimizer


class RMSpropEpsInside(torch.optim.Optimizer):
    """RMSprop with eps inside the root: w -= lr * g / sqrt(square_avg + eps), as in NeuralTalk.

    torch adds eps to the root. With eps 1e-8 the difference is large: inside the root it slows
    weights whose gradients stay below 1e-4, such as those of rare words. `square_avg` starts at
    zero and is the moving average of g^2, with decay `alpha` a step.
    Source: imagernn/solver.py in github.com/karpathy/neuraltalk.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Updates the weights once. Returns what `closure`, if given, computes again: the loss."""
        with torch.enable_grad():
            loss = closure() if closure else None
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            grads = [p.grad for p in weights]
            for weight in weights:
                if not self.state[weight]:
                    self.state[weight]["square_avg"] = torch.zeros_like(weight)
            averages = [self.state[weight]["square_avg"] for weight in weights]
            if not weights:
                continue
            if group["weight_decay"]:
                grads = list(torch._foreach_add(grads, weights, alpha=group["weight_decay"]))
            torch._foreach_mul_(averages, group["alpha"])
            torch._foreach_addcmul_(averages, grads, grads, 1 - group["alpha"])
            roots = torch._foreach_sqrt(torch._foreach_add(averages, group["eps"]))
            torch._foreach_addcdiv_(weights, grads, roots, -group["lr"])
        return loss


_CLASSES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "rmsprop_eps_inside": RMSpropEpsInside,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def make_optimizer(
    settings: Optimizer, parameters: Iterable[nn.Parameter], lr: float, *, fused: bool = False
) -> torch.optim.Optimizer:
    """Returns the torch optimizer; settings that are not given have torch's defaults.

    fused: one kernel for all weights, where torch has one (SGD, Adam); the last bits differ.

    Raises UserError for a setting that the optimizer does not have, e.g. nesterov in Adam.
    """
    given = settings.model_dump(exclude={"name"}, exclude_none=True)
    if fused and "fused" in inspect.signature(_CLASSES[settings.name]).parameters:
        given["fused"] = True
    try:
        return _CLASSES[settings.name](parameters, lr=lr, **given)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer: not settings of {settings.name}: {error}") from None
