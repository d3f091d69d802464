"""Residual networks as in fb.resnet.torch. First convolution: `conv1`.

ResNet-18 and ResNet-50 are torchvision's. ResNet-20 is ours: torchvision has no CIFAR network.
"""

import torch.nn.functional as F
import torchvision
from torch import Tensor, nn


def resnet18(num_classes: int = 1000) -> nn.Module:
    """Returns ResNet-18, 11 689 512 parameters: (B, 3, 224, 224) -> logits (B, num_classes)."""
    return _initialised(torchvision.models.resnet18(num_classes=num_classes))


def resnet50(num_classes: int = 1000) -> nn.Module:
    """Returns ResNet-50, 25 557 032 parameters: (B, 3, 224, 224) -> logits (B, num_classes)."""
    return _initialised(torchvision.models.resnet50(num_classes=num_classes))


def resnet20(num_classes: int = 10) -> nn.Module:
    """Returns ResNet-20, 269 722 parameters: (B, 3, 32, 32) -> logits (B, num_classes)."""
    return _initialised(CifarResNet(num_classes))


class CifarResNet(nn.Module):
    """The 20-layer network of He et al. 2015, section 4.2, with shortcut A."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16), Block(16, 16), Block(16, 16))
        self.layer2 = nn.Sequential(Block(16, 32), Block(32, 32), Block(32, 32))
        self.layer3 = nn.Sequential(Block(32, 64), Block(64, 64), Block(64, 64))
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut: (B, inputs, H, W) -> (B, outputs, H, W).

    Where the number of channels grows, height and width are halved.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + shortcut_a(x, y.shape[1]))


def shortcut_a(x: Tensor, channels: int) -> Tensor:
    """Returns x, or every second pixel of it with zero channels appended: no parameters.

    (B, C, H, W) -> (B, channels, H, W) if C == channels, else (B, channels, H / 2, W / 2).
    """
    if x.shape[1] == channels:
        return x
    return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, channels - x.shape[1]))


def _initialised(net: nn.Module) -> nn.Module:
    """Initialises as fb.resnet.torch's resnet.lua: He's normal by fan-out, zero bias in `fc`."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    return net
