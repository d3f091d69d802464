"""VGG-16, torchvision's. First convolution: `features.0`."""

import torchvision
from torch import nn


def vgg16(num_classes: int = 1000) -> nn.Module:
    """Returns VGG-16, 138 357 544 parameters: (B, 3, 224, 224) -> logits (B, num_classes)."""
    net: nn.Module = torchvision.models.vgg16(num_classes=num_classes)
    return net
