"""Small optimizers that move weights in other places than torch's do, after public designs."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer


class Lookahead(Optimizer):
    """Every k-th step the weights move half-way back to slow copies (Zhang et al., 2019)."""

    def __init__(self, inner: Optimizer, k: int = 2) -> None:
        self.optimizer, self.k, self.count = inner, k, 0
        super().__init__(inner.param_groups, inner.defaults)
        self.slow = [p.detach().clone() for g in inner.param_groups for p in g["params"]]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = self.optimizer.step(closure)
        self.count += 1
        if self.count % self.k == 0:
            weights = (p for group in self.optimizer.param_groups for p in group["params"])
            for slow, weight in zip(self.slow, weights, strict=True):
                slow.lerp_(weight, 0.5)
                weight.copy_(slow)
        return loss


class LookaheadOfGroups(Optimizer):
    """The same, written without Optimizer.__init__, its slow weights in a list a group."""

    def __init__(self, base_optimizer: Optimizer) -> None:
        self.base_optimizer, self.count = base_optimizer, 0
        self.param_groups = base_optimizer.param_groups
        self.slow_weights = [
            [p.clone().detach() for p in group["params"]] for group in self.param_groups
        ]

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.base_optimizer.zero_grad(set_to_none)

    def step(self, closure: Any = None) -> Any:
        loss = self.base_optimizer.step(closure)
        self.count += 1
        if self.count % 2 == 0:
            for group, slow_weights in zip(self.param_groups, self.slow_weights, strict=True):
                for weight, slow in zip(group["params"], slow_weights, strict=True):
                    slow.data.add_(weight.data - slow.data, alpha=0.5)
                    weight.data.copy_(slow.data)
        return loss


class LookaheadOfState(Optimizer):
    """The same, its slow weights in a state of its own, made at the first need."""

    def __init__(self, inner: Optimizer) -> None:
        self.inner, self.count = inner, 0
        self.param_groups, self.defaults = inner.param_groups, inner.defaults
        self.state: Any = defaultdict(dict)

    def step(self, closure: Any = None) -> Any:
        loss = self.inner.step(closure)
        self.count += 1
        if self.count % 2 == 0:
            for weight in (p for group in self.param_groups for p in group["params"]):
                state = self.state[weight]
                if "slow_param" not in state:
                    state["slow_param"] = weight.data.clone()
                state["slow_param"].lerp_(weight.data, 0.5)
                weight.data.copy_(state["slow_param"])
        return loss


class SAM(Optimizer):
    """Two steps: up along the gradient, then back and down by the one found there (Foret, 2021)."""

    def __init__(self, params: Iterable[Tensor], base: type[Optimizer], **options: Any) -> None:
        super().__init__(params, {"rho": 0.5, **options})
        self.base_optimizer = base(self.param_groups, **options)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self, zero_grad: bool = False) -> None:
        for weight in (p for group in self.param_groups for p in group["params"]):
            self.state[weight]["old_p"] = weight.data.clone()
            weight.add_(0.5 * weight.grad / (weight.grad.norm() + 1e-12))
        if zero_grad:
            self.zero_grad()

    @torch.no_grad()
    def second_step(self, zero_grad: bool = False) -> None:
        for weight in (p for group in self.param_groups for p in group["params"]):
            weight.data = self.state[weight]["old_p"]
        self.base_optimizer.step()
        if zero_grad:
            self.zero_grad()

    def step(self, closure: Any = None) -> None:
        closure()
        self.first_step(zero_grad=True)
        with torch.enable_grad():
            closure()
        self.second_step()


class Minimiser:
    """SAM with other names, and no optimizer itself; it goes back by subtracting."""

    def __init__(self, optimizer: Optimizer, model: torch.nn.Module) -> None:
        self.optimizer, self.model = optimizer, model
        self.state: Any = defaultdict(dict)

    @torch.no_grad()
    def ascent_step(self) -> None:
        for weight in self.model.parameters():
            move = 0.5 * weight.grad / (weight.grad.norm() + 1e-12)
            self.state[weight]["e_w"] = move
            weight.add_(move)
        self.optimizer.zero_grad()

    @torch.no_grad()
    def descent_step(self) -> None:
        for weight in self.model.parameters():
            weight.sub_(self.state[weight]["e_w"])
        self.optimizer.step()
        self.optimizer.zero_grad()


class ScheduleFree(Optimizer):
    """SGD whose weights are y in training and x for evaluation (Defazio et al., 2024)."""

    def __init__(self, params: Iterable[Tensor], lr: float, beta: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "beta": beta, "k": 0, "train_mode": True})

    @torch.no_grad()
    def _switch(self, training: bool) -> None:
        for group in self.param_groups:
            if group["train_mode"] != training:
                share = 1 - group["beta"] if training else 1 - 1 / group["beta"]
                for weight in group["params"]:
                    if "z" in self.state[weight]:
                        weight.lerp_(self.state[weight]["z"], share)
                group["train_mode"] = training

    def train(self) -> None:
        self._switch(True)

    def eval(self) -> None:
        self._switch(False)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            group["k"] += 1
            for y in group["params"]:
                z = self.state[y].setdefault("z", y.clone())
                y.lerp_(z, 1 / group["k"])
                y.add_(y.grad, alpha=group["lr"] * (group["beta"] * (1 - 1 / group["k"]) - 1))
                z.sub_(y.grad, alpha=group["lr"])


class MasterWeights:
    """fp32 copies are trained, then written into the model's half weights, as apex does."""

    def __init__(self, params: Iterable[Tensor], base: type[Optimizer], **options: Any) -> None:
        self.half = list(params)
        self.copies = [p.detach().float().clone().requires_grad_() for p in self.half]
        self.optimizer = base(self.copies, **options)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.optimizer.param_groups

    def zero_grad(self) -> None:
        for weight in self.half:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for half, copy in zip(self.half, self.copies, strict=True):
            copy.grad = half.grad.float()
        self.optimizer.step()
        for half, copy in zip(self.half, self.copies, strict=True):
            half.copy_(copy)


class Hidden(Optimizer):
    """Its state and its steps are those of an optimizer in `.optim`, as ZeRO's are."""

    def __init__(self, params: Iterable[Tensor], base: type[Optimizer], **options: Any) -> None:
        super().__init__(params, options)
        self.optim = base(self.param_groups, **options)

    def step(self, closure: Any = None) -> Any:
        return self.optim.step(closure)


class Named(Optimizer):
    """SGD with momentum under another name."""

    def __init__(self, params: Iterable[Tensor], lr: float, name: str) -> None:
        super().__init__(params, {"lr": lr})
        self.name = name

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if self.name not in state:
                    state[self.name] = torch.zeros_like(weight)
                state[self.name].mul_(0.9).add_(weight.grad)
                weight.sub_(state[self.name], alpha=group["lr"])


class Inherits(Adam):
    """Its step calls its base's: torch calls the hooks of both."""

    def __init__(self, params: Any, **options: Any) -> None:
        Adam([nn.Parameter(torch.zeros(1))])  # torch hooks a class when it is first used
        super().__init__(params, **options)

    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


class ByName:
    """Has its optimizers in a dict."""

    def __init__(self, model: nn.Sequential, kind: Any, **options: Any) -> None:
        self.optimizers = {
            name: kind(part.parameters(), **options)
            for name, part in model.named_children()
            if [*part.parameters()]
        }

    def step(self) -> None:
        for one in self.optimizers.values():
            one.step()


class StateInGroups(Optimizer):
    """Keeps its momentum in a list beside the parameters of each group."""

    def __init__(self, model: nn.Sequential, lr: float) -> None:
        super().__init__([{"params": [*part.parameters()]} for part in (model[0], model[2])], {})
        self.lr = lr
        for group in self.param_groups:
            group["momentum_buffers"] = [torch.zeros_like(p) for p in group["params"]]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for weight, buffer in zip(group["params"], group["momentum_buffers"], strict=True):
                weight.sub_(buffer.mul_(0.9).add_(weight.grad), alpha=self.lr)
