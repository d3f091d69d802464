"""NeuralTalk against the original program's own values, and as a network among the others."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_packed_sequence, pad_sequence

from benchmarks import per_sentence
from dsd.errors import UserError
from models import build
from models.neuraltalk import NeuralTalk, targets
from models.packed_lstm import input_gates, packed_lstm, tick

GOLDEN = Path(__file__).parent / "neuraltalk.npz"  # made by karpathy/neuraltalk in Python 2.7
SENTENCES = 6


@pytest.fixture
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture
def net(golden) -> NeuralTalk:
    arrays = {k.removeprefix("param_"): v for k, v in golden.items() if k.startswith("param_")}
    return NeuralTalk.from_numpy(arrays).eval()


@pytest.fixture
def batch(golden):
    sentences = [torch.from_numpy(golden[f"sentence_{i}"]) for i in range(SENTENCES)]
    words = pad_sequence(sentences, batch_first=True)
    return torch.from_numpy(golden["features"]), words, [len(s) for s in sentences]


def test_the_arrays_keep_name_shape_and_dtype(golden, net):
    for name, parameter in net.named_parameters():
        assert parameter.dtype == torch.float64
        np.testing.assert_array_equal(parameter.detach().numpy(), golden[f"param_{name}"])
    assert set(net.state_dict()) == {"We", "be", "Ws", "WLSTM", "Wd", "bd"}


def test_logits_equal_the_originals(golden, net, batch):
    logits, lengths = pad_packed_sequence(net(*batch), batch_first=True)
    for i, length in enumerate(lengths):
        expected = torch.from_numpy(golden[f"logits_{i}"])
        torch.testing.assert_close(logits[i, :length], expected, rtol=1e-10, atol=1e-10)


def test_loss_perplexity_and_every_gradient_equal_the_originals(golden, net, batch):
    _, words, lengths = batch
    cost = net.cost(*batch)
    cost.backward()
    assert cost.item() == pytest.approx(golden["loss"].item(), rel=1e-5)
    for name, parameter in net.named_parameters():
        expected = torch.from_numpy(golden[f"grad_{name}"])
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-5, atol=1e-12)
    nats = F.cross_entropy(net(*batch).data, targets(words, lengths).data, reduction="sum").item()
    perplexity = np.exp(nats / sum(n + 1 for n in lengths))
    assert perplexity == pytest.approx(golden["perplexity"].item(), rel=1e-10)


@pytest.mark.parametrize("beam", [1, 3, 7])
def test_captions_equal_the_originals(golden, net, beam):
    found = net.caption(torch.from_numpy(golden["features"]), beam=beam)
    for i, (words, log_probability) in enumerate(found):
        assert words == [w for w in golden[f"beam{beam}_words_{i}"].tolist() if w]
        expected = golden[f"beam{beam}_logprob_{i}"].item()
        assert log_probability == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("beam", [1, 3, 7, 50])
def test_captions_that_end_are_those_of_the_originals_rules(golden, net, beam):
    features = golden["features"]
    lengths = set()
    for towards_end in np.linspace(1, 9, 17):
        with torch.no_grad():
            net.bd[0, 0] = towards_end
        arrays = {name: p.detach().numpy() for name, p in net.named_parameters()}
        found = net.caption(torch.from_numpy(features), beam=beam)
        for (words, log_probability), image in zip(found, features, strict=True):
            expected, score = per_sentence.caption(arrays, image, beam)  # equals the golden values
            assert words == expected
            assert log_probability == pytest.approx(score, rel=1e-10)
            lengths.add(len(words))
    assert 0 in lengths
    if beam < len(net.Ws):  # wider ones end at once or not at all
        assert any(0 < length < 20 for length in lengths), "the case needs captions that end"


def test_no_result_depends_on_padding_or_on_the_rest_of_the_batch(net, batch):
    features, words, lengths = batch
    garbage = F.pad(words, (0, 3), value=7)
    garbage[torch.arange(garbage.shape[1]) >= torch.tensor(lengths)[:, None]] = 7
    logits, _ = pad_packed_sequence(net(features, garbage, lengths), batch_first=True)
    for i, n in enumerate(lengths):
        alone = net(features[i : i + 1], words[i : i + 1, :n], [n]).data
        torch.testing.assert_close(logits[i, : n + 1], alone, rtol=1e-12, atol=1e-12)


def test_a_caption_may_have_no_word_the_vocabulary_knows(net, batch):
    features, words, _ = batch
    logits = net(features, words[:, :0], [0] * SENTENCES)
    assert logits.data.shape == (SENTENCES, 40)
    assert targets(words[:, :0], [0] * SENTENCES).data.tolist() == [0] * SENTENCES


def test_the_recurrences_gradient_is_that_of_the_formula():
    torch.manual_seed(0)
    sizes = [4, 4, 3, 1, 1]
    inputs = torch.randn(sum(sizes), 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(1 + 3 + 2, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: packed_lstm(x, w, sizes), (inputs, weights))
    hidden = cell = torch.zeros(4, 2, dtype=torch.float64)
    for now, expected in zip(
        inputs.split(sizes), packed_lstm(inputs, weights, sizes).split(sizes), strict=True
    ):
        gates = input_gates(now, weights)
        hidden, cell = tick(gates, hidden[: len(now)], cell[: len(now)], weights)
        torch.testing.assert_close(hidden, expected)


def test_dropout_acts_in_training_alone(net, batch):
    assert torch.equal(net(*batch).data, net(*batch).data)
    net.train()
    assert not torch.equal(net(*batch).data, net(*batch).data)
    net.dropout = 0.0
    trained = net(*batch).data
    assert torch.equal(trained, net.eval()(*batch).data)


def test_the_papers_size_and_the_originals_start():
    net = build("neuraltalk")
    assert sum(p.numel() for p in net.parameters()) == 2_876_138
    assert net.We.shape == (4096, 256)
    assert net.WLSTM.shape == (513, 1024)
    for name in ("We", "Ws", "WLSTM", "Wd"):
        largest = net.get_parameter(name).abs().max().item()
        assert 0.0999 < largest <= 0.1
    assert not net.be.any()
    assert not net.bd.any()
    assert build("neuraltalk", num_classes=11, features=5).Wd.shape == (256, 11)


def test_arrays_that_do_not_fit_are_refused(golden):
    arrays = {k.removeprefix("param_"): v for k, v in golden.items() if k.startswith("param_")}
    with pytest.raises(UserError, match=r"WLSTM is of shape \(33, 63\), but must be \(33, 64\)"):
        NeuralTalk.from_numpy({**arrays, "WLSTM": arrays["WLSTM"][:, 1:]})
    with pytest.raises(UserError, match="bd: missing or unknown"):
        NeuralTalk.from_numpy({k: v for k, v in arrays.items() if k != "bd"})
    for odd in (arrays["Ws"][0], arrays["Ws"].astype(int)):
        with pytest.raises(UserError, match=r"Ws is torch.*, but must be floats of two axes"):
            NeuralTalk.from_numpy({**arrays, "Ws": odd})
    with pytest.raises(UserError, match="Wx: missing or unknown"):
        NeuralTalk.from_numpy({**arrays, "Wx": arrays["bd"]})


def test_bfloat16_training_follows_float32(golden, batch):
    arrays = {k.removeprefix("param_"): v for k, v in golden.items() if k.startswith("param_")}
    net = NeuralTalk.from_numpy({k: v.astype(np.float32) for k, v in arrays.items()}, dropout=0.0)
    features, words, lengths = batch
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(features.float(), words, lengths)
        F.cross_entropy(logits.data, targets(words, lengths).data, reduction="sum").backward()
    for name, parameter in net.named_parameters():
        expected = torch.from_numpy(golden[f"grad_{name}"]).float().flatten() * SENTENCES
        assert F.cosine_similarity(parameter.grad.flatten(), expected, 0) > 0.99, name
