"""The networks: `from models import build; build("resnet18", num_classes=1000)`.

To add one: a file with a function of the network's name, and a line here.
"""

from importlib import import_module
from typing import Any

from torch import nn

from dsd.errors import UserError
from dsd.suite.names import nearest

NETWORKS = {  # name: its file
    "alexnet": "alexnet",
    "squeezenet": "squeezenet",
    "squeezenet1_1": "squeezenet",
    "googlenet": "googlenet",
    "vgg16": "vgg",
    "resnet18": "resnet",
    "resnet50": "resnet",
    "resnet20": "resnet",
    "neuraltalk": "neuraltalk",
    "efficientnet_lite0": "efficientnet_lite",
    "deepspeech": "deepspeech",
    "deepspeech2": "deepspeech2",
}


def build(name: str, **options: Any) -> nn.Module:
    """Returns a freshly initialised network, by default the paper's.

    Every one takes `num_classes` (default 1000; resnet20: 10); its file documents the other
    options. Raises UserError for an unknown name.
    """
    if name not in NETWORKS:
        raise UserError(f"no network is called {name!r}{nearest(name, NETWORKS)}")
    network: nn.Module = getattr(import_module(f"models.{NETWORKS[name]}"), name)(**options)
    return network
