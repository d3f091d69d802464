"""SqueezeNet, torchvision's. First convolution: `features.0`.

Caffe's 1.0 pads the 1 x 1 classifier by one pixel and torchvision's does not: the authors' pruned
weights score the same top-1 on 500 ImageNet images either way. Caffe's 1.1 does not pad.
"""

import torchvision
from torch import nn


def squeezenet(num_classes: int = 1000) -> nn.Module:
    """Returns SqueezeNet 1.0, 1 248 424 parameters: (B, 3, 227, 227) -> logits (B, num_classes)."""
    net: nn.Module = torchvision.models.squeezenet1_0(num_classes=num_classes)
    return net


def squeezenet1_1(num_classes: int = 1000) -> nn.Module:
    """Returns SqueezeNet 1.1, 1 235 496 parameters: (B, 3, 227, 227) -> logits (B, num_classes)."""
    net: nn.Module = torchvision.models.squeezenet1_1(num_classes=num_classes)
    return net
