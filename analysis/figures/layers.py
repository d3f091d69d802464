"""The layer whose histograms are drawn when none is named. To add a network: a line here."""

from collections.abc import Collection, Mapping
from typing import Any

from dsd.suite.names import nearest

DEFAULTS = {  # network -> parameter
    "alexnet": "conv3.weight",
    "deepspeech": "recurrent.forwards",
    "deepspeech2": "recurrent.1.forwards",
    "googlenet": "inception_5b.conv3x3.weight",  # the paper's figure 2
    "neuraltalk": "WLSTM",
    "resnet18": "layer4.1.conv2.weight",
    "resnet20": "layer3.2.conv2.weight",
    "resnet50": "layer4.2.conv2.weight",
    "squeezenet": "features.10.expand3x3.weight",
    "squeezenet1_1": "features.11.expand3x3.weight",
    "vgg16": "features.28.weight",
}


def network(recipe: str, task: Mapping[str, Any]) -> str:
    """Returns the network of a recipe: what its task says, else the second part of its name."""
    return str(task.get("network") or recipe.partition("-")[2])


def choose(network: str, pruned: Collection[str], layer: str | None) -> str:
    """Returns the pruned layer that is named ("conv2" or "conv2.weight"), or the network's default.

    `pruned`: the names of the pruned parameters. A network without a default has its first.
    Raises ValueError that names the nearest layer when there is none of that name.
    """
    if layer is None:
        default = DEFAULTS.get(network, "")
        return default if default in pruned else next(iter(pruned))
    for name in (layer, f"{layer}.weight"):
        if name in pruned:
            return name
    raise ValueError(f"no layer {layer!r} is pruned{nearest(layer, pruned)}")
