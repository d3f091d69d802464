"""GoogLeNet as Caffe's bvlc_googlenet, the paper's baseline. First convolution: `conv1`.

torchvision's differs: it has BatchNorm, no LRN, and 3 x 3 convolutions in the 5 x 5 branches.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Logits = Tensor | tuple[Tensor, Tensor, Tensor]


class Inception(nn.Module):
    """Four branches side by side, of (1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj) channels.

    (B, inputs, H, W) -> (B, 1x1 + 3x3 + 5x5 + pool_proj, H, W).
    """

    def __init__(self, inputs: int, channels: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        c1, c3_reduce, c3, c5_reduce, c5, c_pool = channels
        self.conv1x1 = nn.Conv2d(inputs, c1, 1)
        self.conv3x3_reduce = nn.Conv2d(inputs, c3_reduce, 1)
        self.conv3x3 = nn.Conv2d(c3_reduce, c3, 3, padding=1)
        self.conv5x5_reduce = nn.Conv2d(inputs, c5_reduce, 1)
        self.conv5x5 = nn.Conv2d(c5_reduce, c5, 5, padding=2)
        self.pool_proj = nn.Conv2d(inputs, c_pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = [
            self.conv1x1(x),
            self.conv3x3(F.relu(self.conv3x3_reduce(x))),
            self.conv5x5(F.relu(self.conv5x5_reduce(x))),
            self.pool_proj(F.max_pool2d(x, 3, stride=1, padding=1)),
        ]
        return F.relu(torch.cat(branches, 1))


class AuxiliaryHead(nn.Module):
    """A classifier on an inner layer, for training: (B, inputs, 14, 14) -> (B, num_classes)."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, stride=3, ceil_mode=True)
        self.to_4x4 = nn.AdaptiveAvgPool2d(4)  # the identity at 224 pixels
        self.conv = nn.Conv2d(inputs, 128, 1)
        self.fc = nn.Linear(128 * 4 * 4, 1024)
        self.dropout = nn.Dropout(0.7)
        self.classifier = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(self.to_4x4(self.pool(x)))).flatten(1)
        return self.classifier(self.dropout(F.relu(self.fc(x))))


class GoogLeNet(nn.Module):
    """Szegedy et al. 2014: 57 convolutions, no BatchNorm, local response normalisation.

    (B, 3, 224, 224) -> logits (B, num_classes); in train mode, with heads, (logits, aux1, aux2).
    Hyper-parameters and initialisation: bvlc_googlenet/train_val.prototxt. Its pools round up.
    """

    def __init__(self, num_classes: int = 1000, aux_heads: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.conv2_reduce = nn.Conv2d(64, 64, 1)
        self.conv2 = nn.Conv2d(64, 192, 3, padding=1)
        self.inception_3a = Inception(192, (64, 96, 128, 16, 32, 32))
        self.inception_3b = Inception(256, (128, 128, 192, 32, 96, 64))
        self.inception_4a = Inception(480, (192, 96, 208, 16, 48, 64))
        self.inception_4b = Inception(512, (160, 112, 224, 24, 64, 64))
        self.inception_4c = Inception(512, (128, 128, 256, 24, 64, 64))
        self.inception_4d = Inception(512, (112, 144, 288, 32, 64, 64))
        self.inception_4e = Inception(528, (256, 160, 320, 32, 128, 128))
        self.inception_5a = Inception(832, (256, 160, 320, 32, 128, 128))
        self.inception_5b = Inception(832, (384, 192, 384, 48, 128, 128))
        self.aux1 = AuxiliaryHead(512, num_classes) if aux_heads else None
        self.aux2 = AuxiliaryHead(528, num_classes) if aux_heads else None
        self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.dropout = nn.Dropout(0.4)
        self.classifier = nn.Linear(1024, num_classes)
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):  # Caffe's "xavier": uniform, of variance 1 / fan-in
                nn.init.kaiming_uniform_(parameter, nonlinearity="linear")
            else:
                nn.init.constant_(parameter, 0.0 if "classifier" in name else 0.2)

    def forward(self, x: Tensor) -> Logits:
        x = self.norm(self.pool(F.relu(self.conv1(x))))
        x = F.relu(self.conv2(F.relu(self.conv2_reduce(x))))
        x = self.pool(self.norm(x))
        x = self.pool(self.inception_3b(self.inception_3a(x)))
        after_4a = self.inception_4a(x)
        after_4d = self.inception_4d(self.inception_4c(self.inception_4b(after_4a)))
        x = self.pool(self.inception_4e(after_4d))
        x = self.inception_5b(self.inception_5a(x)).mean((2, 3))
        logits = self.classifier(self.dropout(x))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return logits, self.aux1(after_4a), self.aux2(after_4d)
        return logits


def googlenet(num_classes: int = 1000, aux_heads: bool = True) -> GoogLeNet:
    """Returns GoogLeNet; 13 378 280 parameters with its auxiliary heads, 6 998 552 without."""
    return GoogLeNet(num_classes, aux_heads)
