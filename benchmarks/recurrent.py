"""Our bidirectional recurrent layer against torch's RNN of the same width, in training.

    python -m benchmarks.recurrent [--rounds 10] [--device cpu] [--threads 1] [--out FILE]

A turn is forward and backward through one layer, of a packed batch with lengths like AN4's. torch's
RNN has an input matrix and three biases more, and does not clip. Before that, the two are checked
against each other, with the same weights.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from benchmarks.pairs import compare, options, write
from models.recurrent import Recurrent

WIDTHS = (256, 1024)
UTTERANCES, SHORTEST, LONGEST = 16, 60, 260  # steps: every second frame of 1.2 to 5.2 seconds
LEAST = 1.0  # on the CPU


def case(
    width: int,
    *,
    rounds: int,
    device: torch.device,
    utterances: int = UTTERANCES,
    steps: tuple[int, int] = (SHORTEST, LONGEST),
) -> dict[str, Any]:
    """Compares forward and backward of layers with as many inputs as units."""
    torch.manual_seed(0)
    lengths = torch.randint(steps[0], steps[1] + 1, (utterances,)).tolist()
    batch = pack_sequence([torch.randn(n, width) for n in lengths], enforce_sorted=False)
    layer = Recurrent(width, width)
    rnn = like(layer)
    check(layer, rnn, batch)
    layer, rnn, inputs = layer.to(device), rnn.to(device), batch.data.to(device).requires_grad_()
    packed, sizes = PackedSequence(inputs, batch.batch_sizes), batch.batch_sizes.tolist()
    received = torch.randn_like(inputs), torch.randn(len(inputs), 2 * width, device=device)

    def ours() -> None:
        _gradients(layer, inputs, layer(inputs, sizes), received[0])

    def theirs() -> None:
        _gradients(rnn, inputs, rnn(packed)[0].data, received[1])

    return {
        "case": f"{width} units, {utterances} utterances",
        "steps": {"shortest": min(lengths), "longest": max(lengths), "of all": sum(lengths)},
        "least": LEAST if device.type == "cpu" else None,
        **compare({"ours": ours, "theirs": theirs, "ours again": ours}, rounds, device),
    }


def like(layer: Recurrent) -> nn.RNN:
    """Returns torch's RNN with the layer's weights; its states are the two that ours adds up."""
    width, inputs = layer.input.weight.shape
    rnn = nn.RNN(inputs, width, nonlinearity="relu", bidirectional=True)
    recurrent = {"": layer.forwards, "_reverse": layer.backwards}
    with torch.no_grad():
        for direction, weights in recurrent.items():
            rnn.get_parameter(f"weight_ih_l0{direction}").copy_(layer.input.weight)
            rnn.get_parameter(f"bias_ih_l0{direction}").copy_(layer.input.bias)
            rnn.get_parameter(f"weight_hh_l0{direction}").copy_(weights)
            rnn.get_parameter(f"bias_hh_l0{direction}").zero_()
    return rnn


def check(layer: Recurrent, rnn: nn.RNN, batch: PackedSequence) -> None:
    """Ends the program if states or the gradients of the inputs differ, in float64.

    In float32 a unit may be open in one and shut in the other, by rounding alone.
    """
    layer, rnn = copy.deepcopy(layer).double(), copy.deepcopy(rnn).double()
    results = []
    for ours in (True, False):
        inputs = batch.data.double().requires_grad_()
        if ours:
            states = layer(inputs, batch.batch_sizes.tolist())
        else:
            pair = rnn(batch._replace(data=inputs))[0].data
            states = pair.unflatten(1, (2, -1)).sum(1)
        results.append((states, torch.autograd.grad(states.square().sum(), inputs)[0]))
    for name, got, expected in zip(("states", "gradients"), *results, strict=True):
        if not torch.allclose(got, expected, rtol=1e-7, atol=1e-7):
            raise SystemExit(f"the layers disagree: {name}")


def _gradients(module: nn.Module, inputs: Tensor, states: Tensor, received: Tensor) -> None:
    torch.autograd.grad(states, [inputs, *module.parameters()], received)


def main() -> None:
    chosen = options(__doc__ or "", "recurrent", rounds=10)
    cases = (case(width, rounds=chosen.rounds, device=chosen.device) for width in WIDTHS)
    write("recurrent", cases, chosen.device, chosen.out)


if __name__ == "__main__":
    main()
