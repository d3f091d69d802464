"""The networks: exact sizes, shapes, structure, initialisation; mostly on the meta device."""

import importlib
import subprocess
import sys

import pytest
import torch
from torch import nn

from dsd.errors import UserError
from models import NETWORKS, build
from models.resnet import Block, shortcut_a

COUNTS = {
    "alexnet": 60_965_224,
    "squeezenet": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "googlenet": 13_378_280,
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnet20": 269_722,
}


def on_meta(name, **options):
    with torch.device("meta"):
        return build(name, **options)


def parameters(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_number_of_parameters(name, count):
    assert parameters(on_meta(name)) == count


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("alexnet", 227), ("alexnet", 224), ("alexnet", 64),
        ("squeezenet", 227), ("squeezenet", 224), ("squeezenet1_1", 227), ("squeezenet1_1", 64),
        ("googlenet", 224), ("googlenet", 227), ("googlenet", 64),
        ("vgg16", 224), ("vgg16", 64),
        ("resnet18", 224), ("resnet50", 224), ("resnet18", 64),
        ("resnet20", 32),
    ],
)  # fmt: skip
def test_logits(name, pixels):
    net = on_meta(name, num_classes=7).eval()
    assert net(torch.empty(2, 3, pixels, pixels, device="meta")).shape == (2, 7)


@pytest.mark.parametrize("name", COUNTS)
def test_first_convolution_has_the_documented_name(name):
    net = on_meta(name)
    first = next(key for key, module in net.named_modules() if isinstance(module, nn.Conv2d))
    assert net.get_submodule(first).in_channels == 3
    assert first == ("features.0" if name in ("vgg16", "squeezenet", "squeezenet1_1") else "conv1")
    doc = importlib.import_module(f"models.{NETWORKS[name]}").__doc__
    assert f"First convolution: `{first}`." in doc


def test_unknown_network():
    with pytest.raises(UserError, match=r"^no network is called 'resnet-18'; did you mean 'resnet"):
        build("resnet-18")
    with pytest.raises(UserError, match="known: alexnet, squeezenet, "):
        build("transformer")


def test_import_of_models_is_light():
    program = "import models, sys; print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


class TestGoogLeNet:
    def test_convolutions(self):
        net = on_meta("googlenet")
        convs = {k: m for k, m in net.named_modules() if isinstance(m, nn.Conv2d)}
        assert sum(not key.startswith("aux") for key in convs) == 57
        assert len(convs) == 59
        fives = [m for k, m in convs.items() if k.endswith("5x5")]
        assert [m.kernel_size for m in fives] == [(5, 5)] * 9
        assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())

    def test_without_heads(self):
        net = on_meta("googlenet", aux_heads=False)
        assert parameters(net) == 6_998_552
        assert net.train()(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)

    def test_train_mode_returns_three_logits(self):
        outputs = on_meta("googlenet").train()(torch.empty(2, 3, 224, 224, device="meta"))
        assert [tuple(y.shape) for y in outputs] == [(2, 1000)] * 3

    def test_sizes_inside(self):
        """Caffe's pools round up: 56, 28, 14 and 7 pixels, and 4 in the heads."""
        net, sizes = on_meta("googlenet").train(), {}
        for key, module in net.named_modules():
            module.register_forward_hook(
                lambda _, __, y, key=key: sizes.update({key: getattr(y, "shape", [])[1:]})
            )
        net(torch.empty(1, 3, 224, 224, device="meta"))
        assert sizes["conv1"] == (64, 112, 112)
        assert sizes["conv2"] == (192, 56, 56)
        assert sizes["inception_3a"] == (256, 28, 28)
        assert sizes["inception_3b"] == (480, 28, 28)
        assert sizes["inception_4a"] == (512, 14, 14)
        assert sizes["inception_4e"] == (832, 14, 14)
        assert sizes["inception_5b"] == (1024, 7, 7)
        assert sizes["aux1.pool"] == (512, 4, 4)
        assert sizes["aux2.pool"] == (528, 4, 4)

    def test_heads_hang_where_they_should(self):
        net = build("googlenet", num_classes=3).train()
        aux = net(torch.randn(1, 3, 64, 64))[1:]
        for y, last, beyond in zip(aux, ("4a", "4d"), ("4b", "4e"), strict=True):
            net.zero_grad()
            y.sum().backward(retain_graph=True)
            assert net.get_submodule(f"inception_{last}").conv1x1.weight.grad.abs().sum() > 0
            assert net.get_submodule(f"inception_{beyond}").conv1x1.weight.grad is None

    def test_inception_is_four_branches(self):
        block = build("googlenet").inception_3a
        x = torch.randn(1, 192, 5, 5)
        pooled = nn.functional.max_pool2d(x, 3, 1, 1)
        parts = [
            block.conv1x1(x),
            block.conv3x3(block.conv3x3_reduce(x).relu()),
            block.conv5x5(block.conv5x5_reduce(x).relu()),
            block.pool_proj(pooled),
        ]
        for got, part in zip(block(x).split([64, 128, 32, 32], 1), parts, strict=True):
            torch.testing.assert_close(got, part.relu())

    def test_initialisation(self):
        net = build("googlenet")
        weight = net.inception_5b.conv3x3.weight  # fan-in 192 x 9
        bound = (3 / (192 * 9)) ** 0.5
        assert weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)
        for key, bias in net.named_parameters():
            if key.endswith("bias"):
                assert (bias == (0.0 if "classifier" in key else 0.2)).all(), key

    def test_dropout(self):
        net = on_meta("googlenet")
        assert (net.dropout.p, net.aux1.dropout.p, net.aux2.dropout.p) == (0.4, 0.7, 0.7)


@pytest.mark.parametrize(
    ("name", "order"),
    [
        (
            "alexnet",
            "conv1 norm pool conv2 norm pool conv3 conv4 conv5 pool to_6x6 "
            "fc6 dropout fc7 dropout fc8",
        ),
        (
            "googlenet",
            "conv1 pool norm conv2_reduce conv2 norm pool inception_3a inception_3b pool "
            "inception_4a inception_4b inception_4c inception_4d inception_4e pool "
            "inception_5a inception_5b dropout classifier aux1 aux2",
        ),
    ],
)
def test_layers_run_in_order(name, order):
    net, run = on_meta(name).train(), []
    for key, module in net.named_children():
        module.register_forward_pre_hook(lambda _, __, key=key: run.append(key))
    net(torch.empty(2, 3, 227, 227, device="meta"))
    assert run == order.split()


@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_local_response_normalisation_is_caffes(name):
    """Caffe: x / (1 + alpha / n * (sum of squares over n = 5 channels)) ** beta."""
    x = 100 * torch.randn(1, 8, 1, 1, generator=torch.Generator().manual_seed(0))
    expected = [
        x[0, c, 0, 0].item()
        / (1 + 1e-4 / 5 * (x[0, max(c - 2, 0) : c + 3] ** 2).sum().item()) ** 0.75
        for c in range(8)
    ]
    assert on_meta(name).norm(x).flatten().tolist() == pytest.approx(expected, rel=1e-5)


class TestAlexNet:
    def test_is_grouped(self):
        net = on_meta("alexnet")
        shapes = [tuple(getattr(net, f"conv{i}").weight.shape) for i in range(1, 6)]
        assert shapes == [
            (96, 3, 11, 11), (256, 48, 5, 5), (384, 256, 3, 3), (384, 192, 3, 3), (256, 192, 3, 3)
        ]  # fmt: skip

    @pytest.mark.parametrize("pixels", [227, 224])
    def test_pools_to_6x6_by_itself(self, pixels):
        net, seen = on_meta("alexnet"), []
        net.to_6x6.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
        net(torch.empty(1, 3, pixels, pixels, device="meta"))
        assert seen == [(1, 256, 6, 6)]
        x = torch.randn(1, 2, 6, 6)
        assert torch.equal(net.to_6x6(x), x)

    def test_initialisation(self, monkeypatch):
        seen = []
        monkeypatch.setattr(nn.init, "normal_", lambda w, std: seen.append((tuple(w.shape), std)))
        net = on_meta("alexnet", num_classes=7)
        assert {shape: std for shape, std in seen if len(shape) == 2} == {
            (4096, 9216): 0.005, (4096, 4096): 0.005, (7, 4096): 0.01
        }  # fmt: skip
        assert [std for shape, std in seen if len(shape) == 4] == [0.01] * 5
        assert net.dropout.p == 0.5


class TestResNet20:
    def test_shortcut_a_subsamples_and_pads(self):
        x = torch.randn(2, 3, 6, 4)
        y = shortcut_a(x, 5)
        assert y.shape == (2, 5, 3, 2)
        for c in range(5):
            for i in range(3):
                for j in range(2):
                    expected = x[:, c, 2 * i, 2 * j] if c < 3 else torch.zeros(2)
                    assert torch.equal(y[:, c, i, j], expected)
        assert shortcut_a(x, 3) is x

    def test_block_adds_the_shortcut(self):
        block = Block(2, 4).eval()
        x = torch.randn(2, 2, 8, 8)
        inner = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
        expected = torch.cat([x[:, :, ::2, ::2], torch.zeros(2, 2, 4, 4)], 1) + inner
        torch.testing.assert_close(block(x), expected.relu())

    def test_shortcuts_have_no_parameters(self):
        net = build("resnet20")
        weights = [m.weight.shape for m in net.modules() if isinstance(m, nn.Conv2d)]
        assert len(weights) == 19
        assert {tuple(shape[2:]) for shape in weights} == {(3, 3)}

    def test_every_part_learns(self):
        net = build("resnet20")
        net(torch.randn(2, 3, 32, 32)).sum().backward()
        assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("name", ["resnet18", "resnet20"])
def test_resnet_initialisation(name):
    """fb.resnet.torch: convolutions normal with deviation sqrt(2 / (k k outputs)), fc bias zero."""
    net = build(name)
    for conv in (m for m in net.modules() if isinstance(m, nn.Conv2d)):
        out, _, height, width = conv.weight.shape
        expected = (2 / (height * width * out)) ** 0.5
        tolerance = 5 / conv.weight.numel() ** 0.5
        assert conv.weight.std().item() == pytest.approx(expected, rel=tolerance)
        assert conv.bias is None
    assert not net.fc.bias.any()
    assert all((m.weight == 1).all() for m in net.modules() if isinstance(m, nn.BatchNorm2d))
