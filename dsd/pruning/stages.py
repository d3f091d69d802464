"""The weights of every prunable layer at every stage of Algorithm 1, small enough to keep.

The paper's figure 2 has five stages: dense, pruned, sparse-trained, zeros restored, re-dense.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from dsd.pruning.statistics import half_width, histogram, returned, sign_changes

State = Mapping[str, Tensor]


def half_widths(net: nn.Module, layers: Iterable[str]) -> dict[str, float]:
    """Returns each layer's histogram range, fixed once so that all stages share their bins."""
    parameters = dict(net.named_parameters())
    return {name: half_width(parameters[name]) for name in layers}


def stage(net: nn.Module, widths: Mapping[str, float]) -> dict[str, Any]:
    """Returns {layer: histogram} of the network as it is now."""
    parameters = dict(net.named_parameters())
    return {name: histogram(parameters[name], width) for name, width in widths.items()}


def changes(net: nn.Module, before: State, layers: Iterable[str]) -> dict[str, int]:
    """Returns {layer: number of weights with the opposite sign of `before`}."""
    parameters = dict(net.named_parameters())
    return {name: sign_changes(before[name], parameters[name]) for name in layers}


def reborn(net: nn.Module, masks: State, before_pruning: State) -> dict[str, Any]:
    """Returns {layer: what became of the weights that the mask had pruned}."""
    parameters = dict(net.named_parameters())
    return {
        name: returned(mask, before_pruning[name], parameters[name]) for name, mask in masks.items()
    }
