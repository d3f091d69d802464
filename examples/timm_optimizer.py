"""DSD with an optimizer of timm's factory, such as lion or lookahead_adamw: give its name."""

import sys

import torch
from timm.optim import create_optimizer_v2
from torch import nn
from torch.nn import functional as F

from dsd import Sparsifier

torch.manual_seed(0)
images, labels = torch.randn(256, 3, 16, 16), torch.randint(10, (256,))
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten(),
    nn.Linear(32 * 25, 10),
)  # fmt: skip
name = sys.argv[1] if len(sys.argv) > 1 else "lookahead_adamw"
optimizer = create_optimizer_v2(model, opt=name, lr=1e-3, weight_decay=0.05)
sparsifier = Sparsifier(model, optimizer, sparsity=0.5, exclude=["0"])


def train(epochs: int) -> None:
    for _ in range(epochs):
        for batch in torch.randperm(256).split(32):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
    print(f"loss {loss.item():.3f}, {sparsifier.zeros:.0%} zeros")


train(4)
sparsifier.sparsify()
train(4)
sparsifier.densify()
train(4)
