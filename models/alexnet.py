"""AlexNet as Caffe's bvlc_alexnet, the one of the paper's model zoo. First convolution: `conv1`.

torchvision's is another network ("One weird trick": 64 filters first, no groups, no LRN).
"""

import torch.nn.functional as F
from torch import Tensor, nn


class AlexNet(nn.Module):
    """Krizhevsky et al. 2012: convolutions in two groups, local response normalisation.

    (B, 3, 227, 227) -> logits (B, num_classes). Other sizes are pooled to the 6 x 6 that fc6 needs.
    Layer names, hyper-parameters and initialisation: bvlc_alexnet/train_val.prototxt.
    """

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.fc6 = nn.Linear(256 * 6 * 6, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, num_classes)
        self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.to_6x6 = nn.AdaptiveAvgPool2d(6)  # the identity at 227 pixels
        self.dropout = nn.Dropout(0.5)
        for name, std, bias in (
            ("conv1", 0.01, 0.0),
            ("conv2", 0.01, 0.1),
            ("conv3", 0.01, 0.0),
            ("conv4", 0.01, 0.1),
            ("conv5", 0.01, 0.1),
            ("fc6", 0.005, 0.1),
            ("fc7", 0.005, 0.1),
            ("fc8", 0.01, 0.0),
        ):
            nn.init.normal_(self.get_parameter(f"{name}.weight"), std=std)
            nn.init.constant_(self.get_parameter(f"{name}.bias"), bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.norm(F.relu(self.conv1(x))))
        x = self.pool(self.norm(F.relu(self.conv2(x))))
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        x = self.to_6x6(self.pool(F.relu(self.conv5(x)))).flatten(1)
        x = self.dropout(F.relu(self.fc6(x)))
        x = self.dropout(F.relu(self.fc7(x)))
        return self.fc8(x)


def alexnet(num_classes: int = 1000) -> AlexNet:
    """Returns AlexNet; 60 965 224 parameters with 1000 classes."""
    return AlexNet(num_classes)
