"""Weights that a layer computes from parameters: weight_norm, spectral_norm, parametrizations.

What is pruned is the parameter whose zeros are the zeros of the layer's weight, and no other.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


@dataclass(frozen=True)
class Source:
    """How a layer computes its weight from the parameter that it is pruned through."""

    weight: Callable[[], Tensor]  # computes the layer's weight, without side effects
    norms: tuple[int, ...]  # axes of the norm that it may be divided by, which must not become 0


def parameter_name(module: nn.Module, name: str) -> str:
    """Returns the name, below the module, of the parameter behind its weight of this name."""
    if is_parametrized(module, name):
        chain = module.parametrizations[name]  # type: ignore[index]
        own = "original" if hasattr(chain, "original") else "original1"
        return f"parametrizations.{name}.{own}"
    for hook in module._forward_pre_hooks.values():  # the forms before parametrizations
        if isinstance(hook, WeightNorm | SpectralNorm) and hook.name == name:
            return f"{name}_v" if isinstance(hook, WeightNorm) else f"{name}_orig"
    return name


def source(module: nn.Module, name: str) -> Source | None:
    """Returns how a module computes its weight of this name; None where that is a parameter.

    Raises ValueError when zeros in the parameter would not be the zeros of the layer's weight.
    """
    shape = dict(module.named_parameters())[parameter_name(module, name)].shape
    every = tuple(range(len(shape)))

    def but(dim: int | None) -> tuple[int, ...]:
        return every if dim in (None, -1) else tuple(axis for axis in every if axis != dim)

    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm) and hook.name == name:
            return Source(partial(hook.compute_weight, module), but(hook.dim))
        if isinstance(hook, SpectralNorm) and hook.name == name:
            return Source(partial(hook.compute_weight, module, False), every)
    if not is_parametrized(module, name):
        return None
    chain: ParametrizationList = module.parametrizations[name]  # type: ignore
    alone = chain[0] if len(chain) == 1 else None
    if isinstance(alone, parametrizations._WeightNorm):
        return Source(_computed(chain), but(alone.dim))
    if not isinstance(alone, parametrizations._SpectralNorm) and not _keeps_zeros(chain):
        kinds = ", ".join(type(part).__name__.lstrip("_") for part in chain)
        raise ValueError(
            f"the parametrization {kinds} makes a weight whose zeros are not those of a parameter; "
            "exclude it, or remove the parametrization"
        )
    return Source(_computed(chain), every)


def spare(scores: Tensor, norms: tuple[int, ...]) -> Tensor:
    """Returns scores in which the largest along the norm's axes is larger than all others.

    So no norm loses all of its weights, and is 0, while there are others to prune.
    """
    lifted = torch.inf if scores.is_floating_point() else torch.iinfo(scores.dtype).max
    order = [*(axis for axis in range(scores.dim()) if axis not in norms), *norms]
    moved = scores.permute(order)
    by_norm = moved.reshape(-1, math.prod(scores.shape[axis] for axis in norms))
    lone = by_norm.scatter(1, by_norm.argmax(1, keepdim=True), lifted)
    return lone.view(moved.shape).permute([order.index(axis) for axis in range(scores.dim())])


def _computed(chain: ParametrizationList) -> Callable[[], Tensor]:
    @torch.no_grad()
    def weight() -> Tensor:
        modes = [(module, module.training) for module in chain.modules()]
        chain.eval()  # spectral_norm's power iteration moves its buffers in training
        try:
            return chain()
        finally:
            for module, training in modes:
                module.training = training

    return weight


@torch.no_grad()
def _keeps_zeros(chain: ParametrizationList) -> bool:
    """Returns whether zeros put into the one parameter come out, these and no others: by trial.

    Also when its other parameters have been trained: one that adds B @ A, from B = 0, does not.
    """
    if not hasattr(chain, "original") or chain.original.is_meta:
        return False
    trial = copy.deepcopy(chain).eval()
    generator = torch.Generator().manual_seed(0)
    kept = torch.rand(chain.original.shape, generator=generator) < 0.5
    kept.view(-1)[0] = True  # not all pruned, however small
    kept = kept.to(chain.original.device)
    kept &= chain.original != 0
    others = [p for p in trial.parameters() if p is not trial.original and p.is_floating_point()]
    with torch.random.fork_rng(devices=[]):  # it may draw random numbers
        try:
            trial.original.mul_(kept)
            for moved in (False, True):
                for other in others if moved else ():
                    other.add_(torch.rand(other.shape, generator=generator).to(other) + 0.5)
                weight = trial()
                if weight.shape != kept.shape or not torch.equal(weight != 0, kept):
                    return False
        except Exception:  # whatever a parametrization of one's own raises
            return False
    return True
