"""Optimizers, by their names in recipes."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from dsd.errors import UserError
from dsd.suite.optimizers import classes
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


class MuonWithAdamW:
    """Muon for a network's matrices, AdamW for its other parameters; both have the phase's rate.

    Muon takes weights of two axes alone; convolutions, biases and normalisation are AdamW's, with
    torch's defaults but for the decay. `adjust_lr_fn` is by default "match_rms_adamw", which makes
    AdamW's rates right for Muon (Liu et al., arXiv:2502.16982). Raises ValueError where there is no
    matrix.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0, **muon: Any
    ) -> None:
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for parameter in params:
            (matrices if parameter.dim() == 2 else others).append(parameter)
        if not matrices:
            raise ValueError("Muon needs weights of two axes, the network has none; use adamw")
        muon = {"adjust_lr_fn": "match_rms_adamw", **muon}
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, **muon)
        ]
        if others:
            self.parts.append(torch.optim.AdamW(others, lr=lr, weight_decay=weight_decay))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Returns the groups of both."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        """Updates all weights once."""
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Drops all gradients."""
        for part in self.parts:
            part.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Returns what both have."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads what `state_dict` returned. Raises ValueError or KeyError for another's."""
        for part, its in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(its)


AnyOptimizer = torch.optim.Optimizer | MuonWithAdamW
_OURS: dict[str, Callable[..., AnyOptimizer]] = {
    "rmsprop_eps_inside": RMSpropEpsInside,
    "muon": MuonWithAdamW,
}


def make_optimizer(
    settings: Optimizer, parameters: Iterable[nn.Parameter], lr: float, *, fused: bool = False
) -> AnyOptimizer:
    """Returns the optimizer; settings that are not given have torch's defaults, no decay but that.

    fused: one kernel for all weights, where torch has one (SGD, Adam); the last bits differ.

    Raises UserError for a setting that the optimizer does not have, e.g. nesterov in Adam.
    """
    make = _OURS.get(settings.name) or classes()[settings.name]
    given = dict(settings.settings)
    if fused and "fused" in inspect.signature(make).parameters:
        given["fused"] = True
    try:
        return make(parameters, lr=lr, **given)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer: not settings of {settings.name}: {error}") from None


def clear_state(optimizer: AnyOptimizer) -> None:
    """Forgets momentum and all else that an optimizer keeps for its parameters."""
    for part in optimizer.parts if isinstance(optimizer, MuonWithAdamW) else [optimizer]:
        part.state.clear()
