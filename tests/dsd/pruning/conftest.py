"""A small network and a training loop that know nothing of masks."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dsd import Sparsifier


def block() -> nn.Module:
    parts = nn.Sequential()
    parts.add_module("conv1", nn.Conv2d(4, 4, 3, padding=1))
    parts.add_module("norm", nn.LayerNorm([4, 6, 6]))  # a scale of three dimensions
    return parts


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(block(), block())
        self.bias_map = nn.Parameter(torch.zeros(4, 6, 6))
        self.fc = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer1(self.bn1(self.conv1(x)).relu()) + self.bias_map
        return self.fc(x.mean((2, 3)))


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    """Train on the same batches in every call."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        images = torch.randn(8, 3, 6, 6, generator=generator)
        labels = torch.randint(5, (8,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()


def _assert_held(s: Sparsifier, model: nn.Module, sparsity: float) -> None:
    """Exactly round(N * sparsity) weights of each layer are +0.0, the others are not zero."""
    assert list(s.masks) == s.layers
    for name, mask in s.masks.items():
        weight = model.get_parameter(name).detach()
        assert int((~mask).sum()) == round(weight.numel() * sparsity)
        assert (weight[~mask] == 0).all()
        assert not weight[~mask].signbit().any()
        assert weight[mask].all()


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def train() -> Callable[..., None]:
    return _train


@pytest.fixture
def assert_held() -> Callable[[Sparsifier, nn.Module, float], None]:
    return _assert_held
