"""The bidirectional recurrence against the formula, step by step and one sequence at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence

from models.recurrent import CLIP, Recurrent, bidirectional, clipped_relu, mirrored

WIDTH = 3
LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def drawn(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


def packed(sequences: list[torch.Tensor]) -> PackedSequence:
    return pack_sequence(sequences, enforce_sorted=False)


def plainly(products: torch.Tensor, forwards: torch.Tensor, backwards: torch.Tensor):
    """One sequence, (T, H)."""
    f, b, zero = [], [], torch.zeros(products.shape[1], dtype=products.dtype)
    for p in products:
        f.append((p + forwards @ (f[-1] if f else zero)).clamp(0, 20))
    for p in products.flip(0):
        b.insert(0, (p + backwards @ (b[0] if b else zero)).clamp(0, 20))
    return torch.stack(f) + torch.stack(b)


@settings(deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 2**20), scale=st.sampled_from([0.5, 5.0]))
def test_states_and_gradients_are_those_of_the_formula(lengths, seed, scale):
    products = [drawn(n, WIDTH, seed=seed + i, scale=scale) for i, n in enumerate(lengths)]
    weights = [drawn(WIDTH, WIDTH, seed=seed - 1 - i) for i in range(2)]
    wanted = drawn(sum(lengths), WIDTH, seed=seed).detach()

    def states(ours: bool):
        batch = packed(products)
        if ours:
            data = bidirectional(batch.data, *weights, batch.batch_sizes.tolist())
            return torch.cat(unpack_sequence(batch._replace(data=data)))
        return torch.cat([plainly(each, *weights) for each in products])

    torch.testing.assert_close(states(ours=True), states(ours=False))
    gradients = [
        torch.autograd.grad(states(ours), [*products, *weights], wanted, allow_unused=True)
        for ours in (True, False)
    ]
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, torch.zeros_like(got) if expected is None else expected)


@pytest.mark.parametrize("sizes", [[4, 3, 3, 1], [2, 2, 2], [1], [3]])
def test_gradients_are_those_of_differences(sizes):
    arguments = (
        drawn(sum(sizes), WIDTH, scale=2.0),
        drawn(WIDTH, WIDTH),
        drawn(WIDTH, WIDTH, seed=1),
    )
    assert torch.autograd.gradcheck(lambda *given: bidirectional(*given, sizes), arguments)


def test_states_are_clipped_and_shut_units_learn_nothing():
    products = torch.tensor([[-1.0, 0.0, 30.0, 7.0]], requires_grad=True)
    states = bidirectional(products, torch.eye(4), torch.eye(4), [1])
    assert states.tolist() == [[0, 0, 2 * CLIP, 14]]
    states.sum().backward()
    assert products.grad.tolist() == [[0, 0, 0, 2]]
    x = torch.tensor([-1.0, 0.0, 7.0, 20.0, 30.0], requires_grad=True)
    clipped_relu(x).sum().backward()
    assert clipped_relu(x).tolist() == [0, 0, 7, 20, 20]
    assert x.grad.tolist() == [0, 0, 1, 0, 0]


@given(lengths=LENGTHS)
def test_mirrored_turns_each_sequence_round(lengths):
    sequences = [torch.arange(n) + 100 * i for i, n in enumerate(lengths)]
    batch = packed(sequences)
    turned = batch.data[mirrored(batch.batch_sizes.tolist())]
    for sequence, back in zip(sequences, unpack_sequence(batch._replace(data=turned)), strict=True):
        assert torch.equal(back, sequence.flip(0))


def test_the_layer_is_input_product_then_recurrence():
    layer = Recurrent(5, WIDTH).double()
    inputs = drawn(6, 5)
    expected = bidirectional(
        inputs @ layer.input.weight.t() + layer.input.bias, layer.forwards, layer.backwards, [4, 2]
    )
    torch.testing.assert_close(layer(inputs, [4, 2]), expected)


def test_a_normalised_layer_has_no_bias_but_batchnorm_over_all_frames():
    layer = Recurrent(5, WIDTH, normalised=True).double()
    assert set(layer.state_dict()) == {
        "input.weight", "forwards", "backwards", "norm.weight", "norm.bias",
        "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
    }  # fmt: skip
    inputs = drawn(6, 5)
    products = inputs @ layer.input.weight.t()
    mean, variance = products.mean(0), products.var(0, correction=0)
    normal = (products - mean) / (variance + layer.norm.eps).sqrt()
    expected = bidirectional(normal, layer.forwards, layer.backwards, [4, 2])
    torch.testing.assert_close(layer(inputs, [4, 2]), expected)


def test_the_start_keeps_the_scale_over_many_steps():
    torch.manual_seed(0)
    layer = Recurrent(128, 256)
    for matrix in (layer.forwards, layer.backwards):
        torch.testing.assert_close(matrix @ matrix.t(), torch.eye(256), rtol=0, atol=1e-5)
    assert not torch.equal(layer.forwards, layer.backwards)
    assert not layer.input.bias.any()
    with torch.no_grad():
        states = layer(torch.randn(4 * 500, 128), [4] * 500).view(500, 4, 256)
    for squares in states.square().mean((1, 2))[5:-5].split(98):
        assert squares.mean().item() == pytest.approx(1.0, abs=0.25)


def test_bfloat16_follows_float32():
    torch.manual_seed(0)
    layer, inputs, sizes = Recurrent(32, 48), torch.randn(120, 32), [4] * 30
    gradients = []
    for bf16 in (False, True):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            states = layer(inputs, sizes)
        assert states.dtype == (torch.bfloat16 if bf16 else torch.float32)
        states.float().square().sum().backward()
        gradients.append({name: p.grad.flatten() for name, p in layer.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.cosine_similarity(gradient, gradients[1][name], 0) > 0.99, name
