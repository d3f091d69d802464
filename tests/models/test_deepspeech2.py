"""Deep Speech 2: table 8's sizes, BatchNorm over spoken frames alone, and the formula.

What it shares with DeepSpeech is tested there.
"""

import csv
from pathlib import Path

import pytest
import torch

from dsd.pruning.targets import prunable
from models import build
from models.deepspeech2 import DeepSpeech2
from models.recurrent import bidirectional

TABLE = Path(__file__).parents[2] / "results/paper/table8_deepspeech2_architecture.csv"


@pytest.fixture(scope="module")
def full():
    with torch.device("meta"):
        return build("deepspeech2")


def parameters(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def test_each_layer_has_as_many_parameters_as_in_table_8(full):
    with TABLE.open() as file:
        *expected, ctc = [int(row["parameters"]) for row in csv.DictReader(file)]
    layers = [(full.conv1, full.norm1), (full.conv2, full.norm2), *((r,) for r in full.recurrent)]
    assert [parameters(*layer) for layer in [*layers, (full.fc, full.norm)]] == expected
    assert ctc == 95_054  # a misprint: not a multiple of 1761, the parameters of a symbol
    assert parameters(full) == sum(expected) + 29 * 1761 == 67_696_733


def test_fully_connected_and_recurrent_weights_are_pruned(full):
    optimizer = torch.optim.SGD(full.parameters())
    recurrent = [
        f"recurrent.{i}.{name}"
        for i in range(7)
        for name in ("forwards", "backwards", "input.weight")
    ]
    names = prunable(full, optimizer, ["conv1", "conv2", "output"], ["*wards"])
    assert list(names) == [*recurrent, "fc.weight"]


def normal(x, axes):
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def test_one_utterance_by_the_formula():
    torch.manual_seed(0)
    net = DeepSpeech2(num_classes=5, hidden=6, layers=2).double()
    spoken = torch.randn(21, 161, dtype=torch.float64)
    x = spoken.t()[None, None]
    x = normal(net.conv1(x), (0, 3)).clamp(0, 20)
    assert x.shape == (1, 32, 81, 11)
    x = normal(net.conv2(x), (0, 3)).clamp(0, 20)
    assert x.shape == (1, 32, 41, 11)
    x = x[0].flatten(0, 1).t()
    for layer in net.recurrent:
        products = normal(x @ layer.input.weight.t(), 0)
        x = bidirectional(products, layer.forwards, layer.backwards, [1] * 11)
    x = normal(x @ net.fc.weight.t(), 0).clamp(0, 20)
    activations, _ = net(spoken[None], [21])
    expected = x @ net.output.weight.t() + net.output.bias
    torch.testing.assert_close(activations[:, 0], expected, rtol=1e-6, atol=1e-8)


def test_a_norms_scale_is_of_its_channel_and_frequency():
    torch.manual_seed(0)
    net = DeepSpeech2(num_classes=5, hidden=6, layers=1).double()
    seen = {}
    net.conv2.register_forward_pre_hook(lambda _, inputs: seen.update(planes=inputs[0]))
    with torch.no_grad():
        net.norm1.weight.zero_()
        net.norm1.bias.zero_()
        net.norm1.bias[3 * 81 + 7] = 1.0
    net(torch.randn(1, 8, 161, dtype=torch.float64), [8])
    assert (seen["planes"][0, 3, 7] == 1).all()
    assert seen["planes"].sum() == 4


def test_statistics_are_of_all_spoken_frames():
    torch.manual_seed(0)
    net = DeepSpeech2(num_classes=5, hidden=6, layers=1).double()
    features = torch.randn(2, 20, 161, dtype=torch.float64)
    features[1, 8:] = 0.0
    net(features, [20, 8])
    planes = net.conv1(features.transpose(1, 2)[:, None])
    frames = torch.cat([planes[0], planes[1, :, :, :4]], 2).flatten(0, 1)
    torch.testing.assert_close(net.norm1.running_mean, 0.1 * frames.mean(1))
    torch.testing.assert_close(net.norm1.running_var, 0.9 + 0.1 * frames.var(1))


def test_bfloat16_follows_float32():
    torch.manual_seed(0)
    net, features = DeepSpeech2(hidden=32, layers=2), torch.randn(3, 60, 161)
    results = []
    for bf16 in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            activations, _ = net(features, [60, 31, 44])
        activations.float().square().sum().backward()
        results.append([activations, *(p.grad for p in net.parameters())])
    assert results[1][0].dtype == torch.bfloat16
    for exact, rounded in zip(*results, strict=True):
        close = torch.cosine_similarity(exact.flatten(), rounded.flatten().float(), 0)
        assert close > 0.95
