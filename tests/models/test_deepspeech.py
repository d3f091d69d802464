"""DeepSpeech: table 6's sizes, the formula; and what both networks of speech have in common."""

import csv
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dsd.pruning.targets import prunable
from models import build
from models.ctc import CTCLoss
from models.deepspeech import DeepSpeech
from models.deepspeech2 import DeepSpeech2

TABLE = Path(__file__).parents[2] / "results/paper/table6_deepspeech_architecture.csv"
LAYERS = ["conv", "fc1", "fc2", "recurrent", "fc3", "output"]


def small(**options):
    torch.manual_seed(0)
    return DeepSpeech(num_classes=5, hidden=6, **options).double()


def small2():
    torch.manual_seed(0)
    return DeepSpeech2(num_classes=5, hidden=6, layers=2).double()


NETS = [small, partial(small, stride=1), partial(small, stride=3), small2]
both = pytest.mark.parametrize("make", [small, small2])


def utterances(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, 161, generator=generator, dtype=torch.float64) for n in lengths]


def batch(spoken, longest, padding):
    """Features (B, longest, 161) with this number after each utterance's end."""
    features = torch.full((len(spoken), longest, 161), padding, dtype=torch.float64)
    for row, one in zip(features, spoken, strict=True):
        row[: len(one)] = one
    return features, [len(one) for one in spoken]


def learned(net, *given_):
    """Activations without what stands after each end, and the gradients of their squares."""
    net.zero_grad()
    activations, lengths = net(*given_)
    said = [activations[:length, i] for i, length in enumerate(lengths)]
    sum(each.square().sum() for each in said).backward()
    return said, {name: p.grad.clone() for name, p in net.named_parameters()}


def test_each_layer_has_as_many_parameters_as_in_table_6():
    net = build("deepspeech")
    with TABLE.open() as file:
        expected = [int(row["parameters"]) for row in csv.DictReader(file)]
    assert [name for name, _ in net.named_children()] == LAYERS
    assert [sum(p.numel() for p in layer.parameters()) for layer in net.children()] == expected
    assert sum(p.numel() for p in net.parameters()) == 8_139_805


def test_fully_connected_and_recurrent_weights_are_pruned():
    net = build("deepspeech", hidden=8)
    optimizer = torch.optim.SGD(net.parameters())
    assert list(prunable(net, optimizer, ["conv", "output"], ["*wards"])) == [
        "fc1.weight", "fc2.weight", "recurrent.forwards", "recurrent.backwards",
        "recurrent.input.weight", "fc3.weight",
    ]  # fmt: skip


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_one_utterance_by_the_formula(stride):
    net = small(stride=stride)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2).add_(0.1)  # so that some units are clipped
    parts, (spoken,) = net.state_dict(), utterances([17])

    def g(x):
        clipped.append((x > 20).any().item())
        return x.clamp(0, 20)

    def dense(x, name):
        return x @ parts[f"{name}.weight"].t() + parts[f"{name}.bias"]

    clipped, padded = [], F.pad(spoken, (0, 0, 5, 5))
    starts = range(0, 17, stride)
    windows = torch.stack([padded[start : start + 11].t().flatten() for start in starts])
    x = g(windows @ parts["conv.weight"].flatten(1).t() + parts["conv.bias"])
    x = g(dense(g(dense(x, "fc1")), "fc2"))
    products, f, b = dense(x, "recurrent.input"), [], []
    for p in products:
        f.append(g(p + (parts["recurrent.forwards"] @ f[-1] if f else 0)))
    for p in products.flip(0):
        b.insert(0, g(p + (parts["recurrent.backwards"] @ b[0] if b else 0)))
    x = g(dense(torch.stack(f) + torch.stack(b), "fc3"))
    activations, lengths = net(spoken[None], [17])
    torch.testing.assert_close(activations[:, 0], dense(x, "output"))
    assert lengths == [len(starts)] == [net.output_frames(17)]
    assert any(clipped)


PADDING = st.sampled_from([7.0, float("nan"), float("inf")])
SPOKEN = st.lists(st.integers(1, 12), min_size=1, max_size=4)


@settings(deadline=None, max_examples=40)
@given(
    make=st.sampled_from(NETS),
    lengths=SPOKEN,
    more=st.integers(0, 5),
    padding=PADDING,
    seed=st.integers(0, 2**20),
)
def test_neither_padding_nor_batch_mates_change_anything(make, lengths, more, padding, seed):
    net, spoken = make().eval(), utterances(lengths, seed)
    said, gradients = learned(net, *batch(spoken, max(lengths) + more, padding))
    total = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    for one, together in zip(spoken, said, strict=True):
        (alone,), gradient = learned(net, one[None], [len(one)])
        torch.testing.assert_close(together, alone)
        total = {name: total[name] + gradient[name] for name in total}
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, total[name], rtol=1e-6, atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(make=st.sampled_from(NETS), lengths=SPOKEN, more=st.integers(1, 5), padding=PADDING)
def test_padding_changes_nothing_while_training(make, lengths, more, padding):
    net, spoken = make(), utterances([13, *lengths])
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    results = []
    for longest, value in [(13, 0.0), (13 + more, padding)]:
        net.load_state_dict(before, strict=False)
        results.append([*learned(net, *batch(spoken, longest, value)), dict(net.named_buffers())])
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-9)


@both
def test_order_comes_back(make):
    net, spoken = make().eval(), utterances([4, 9, 6, 9])
    order = [2, 0, 3, 1]
    said, _ = learned(net, *batch(spoken, 9, 0.0))
    turned, _ = learned(net, *batch([spoken[i] for i in order], 9, 0.0))
    torch.testing.assert_close(turned, [said[i] for i in order])


@both
@pytest.mark.parametrize("frames", [1, 2, 3, 10, 11])
def test_output_frames_are_those_of_the_output(make, frames):
    net = make().eval()
    activations, lengths = net(*batch(utterances([frames]), frames, 0.0))
    assert lengths == [net.output_frames(frames)] == [len(activations)]


@both
def test_activations_are_zero_after_an_utterances_end(make):
    spoken = utterances([4, 9, 6])
    activations, lengths = make()(*batch(spoken, 11, 3.0))
    assert activations.shape == (5, 3, 5)
    assert lengths == [2, 5, 3]
    for i, length in enumerate(lengths):
        assert activations[:length, i].all()
        assert not activations[length:, i].any()


@both
def test_lengths_may_be_a_tensor_and_must_fit(make):
    net, (features, lengths) = make().eval(), batch(utterances([4, 9]), 9, 0.0)
    expected, _ = net(features, lengths)
    assert torch.equal(net(features, torch.tensor(lengths))[0], expected)
    for wrong in ([4], [4, 10], [0, 9]):
        with pytest.raises(ValueError, match=r"lengths: .* of 2 utterances of up to 9 frames"):
            net(features, wrong)


@both
def test_an_empty_batch_gives_gradients_of_zero(make):
    net = make()
    activations, lengths = net(torch.zeros(0, 0, 161).double(), [])
    assert activations.shape == (0, 0, 5)
    assert lengths == []
    CTCLoss()(activations, torch.zeros(0, dtype=torch.int64), lengths, []).backward()
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())


def test_dropout_acts_on_four_layers_in_training_alone(monkeypatch):
    seen = []
    monkeypatch.setattr("models.deepspeech.dropout", lambda x, p: (seen.append(p), x)[1])
    net, given_ = small(dropout=0.1), batch(utterances([4, 9]), 9, 0.0)
    net.eval()(*given_)
    small().train()(*given_)
    assert seen == []
    net.train()(*given_)
    assert seen == [0.1] * 4


def test_the_start_keeps_the_scale():
    torch.manual_seed(0)
    net, squares = build("deepspeech", hidden=256), {}
    for name, layer in net.named_children():
        layer.register_forward_hook(
            lambda _, __, y, name=name: squares.update({name: y.clamp(min=0).square().mean()})
        )
    net(torch.randn(4, 200, 161), [200] * 4)
    assert all(0.6 < squares[name].item() < 1.5 for name in LAYERS[:-1]), squares
    assert not any(p.any() for name, p in net.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize("network", [DeepSpeech, partial(DeepSpeech2, layers=2)])
def test_it_learns_two_transcripts(network):
    torch.manual_seed(0)
    net, loss = network(num_classes=5, hidden=32), CTCLoss(size_average=True)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-2, momentum=0.9, nesterov=True)
    features, labels = torch.randn(2, 40, 161), torch.tensor([1, 2, 2, 3, 4])
    costs = []
    for _ in range(40):
        activations, lengths = net(features, [40, 31])
        cost = loss(activations, labels, lengths, [3, 2])
        optimizer.zero_grad()
        cost.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10)
        optimizer.step()
        costs.append(cost.item())
    assert costs[-1] < 0.1 < 10 < costs[0]


def test_bfloat16_follows_float32():
    torch.manual_seed(0)
    net, features = build("deepspeech", hidden=64), torch.randn(3, 60, 161)
    said, gradients = learned(net, features, [60, 31, 44])
    with torch.autocast("cpu", torch.bfloat16):
        activations, lengths = net(features, [60, 31, 44])
    assert activations.dtype == torch.bfloat16
    net.zero_grad()
    activations.float().square().sum().backward()
    for i, length in enumerate(lengths):
        torch.testing.assert_close(activations[:length, i].float(), said[i], rtol=0.1, atol=0.1)
    for name, p in net.named_parameters():
        assert torch.cosine_similarity(p.grad.flatten(), gradients[name].flatten(), 0) > 0.98, name
