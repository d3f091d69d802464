"""The recurrence of NeuralTalk's LSTM over packed sequences, and its gradient.

Written out because torch's LSTM has a tanh on the cell, and because autograd through a loop adds
up the recurrent weights' gradient one time step at a time, where one product over all does.
"""

from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def packed_lstm(inputs: Tensor, weights: Tensor, sizes: list[int]) -> Tensor:
    """Returns the hidden states (N, H) of N packed inputs (N, E).

    weights: (1 + E + H, 4H): the bias row, input rows and recurrent rows; columns: input, forget
    and output gates, cell's input. sizes: sequences that reach each time step, never rising, N in
    sum; the first rows of a time step go on in the next. Source: imagernn/lstm_generator.py of
    NeuralTalk.
    """
    gates = input_gates(inputs, weights)
    recurrent = weights[1 + inputs.shape[1] :].to(gates.dtype)
    hidden: Tensor = _Recurrence.apply(gates, recurrent, sizes)
    return hidden


def input_gates(inputs: Tensor, weights: Tensor) -> Tensor:
    """Returns the part of the gates (N, 4H) that bias and inputs (N, E) give."""
    return torch.addmm(weights[0], inputs, weights[1 : 1 + inputs.shape[1]])


def tick(gates: Tensor, hidden: Tensor, cell: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the next hidden state and cell, (B, H) each, after one time step.

    gates: (B, 4H), the time step's `input_gates`. hidden, cell: (B, H). weights: as
    `packed_lstm`'s.
    """
    width = hidden.shape[1]
    gates = torch.addmm(gates, hidden, weights[-width:])
    i, f, o = gates[:, : 3 * width].sigmoid().chunk(3, 1)
    cell = i * gates[:, 3 * width :].tanh() + f * cell
    return o * cell, cell


class _Recurrence(torch.autograd.Function):
    """Gates without their recurrent part (N, 4H), recurrent weights (H, 4H) -> hidden (N, H)."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, recurrent: Tensor, sizes: list[int]) -> Tensor:
        width = len(recurrent)
        gates = gates.clone()
        hidden, cells = gates.new_empty(len(gates), width), gates.new_empty(len(gates), width)
        for now, before in _steps(sizes):
            if before:
                gates[now].addmm_(hidden[before], recurrent)
            gates[now, : 3 * width].sigmoid_()
            gates[now, 3 * width :].tanh_()
            i, f, o, candidate = gates[now].chunk(4, 1)
            torch.mul(i, candidate, out=cells[now])
            if before:
                cells[now].addcmul_(f, cells[before])
            torch.mul(o, cells[now], out=hidden[now])
        ctx.save_for_backward(gates, cells, hidden, recurrent)
        ctx.sizes = sizes
        return hidden

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        gates, cells, hidden, recurrent = ctx.saved_tensors
        width, steps = len(recurrent), _steps(ctx.sizes)
        d_hidden, d_cells, d_gates = grads[0].clone(), torch.zeros_like(cells), gates.clone()
        for now, before in reversed(steps):
            i, f, o, candidate = gates[now].chunk(4, 1)
            d_i, d_f, d_o, d_candidate = d_gates[now].chunk(4, 1)
            torch.mul(cells[now], d_hidden[now], out=d_o)
            d_cell = d_cells[now].addcmul_(o, d_hidden[now])
            torch.mul(candidate, d_cell, out=d_i)
            torch.mul(i, d_cell, out=d_candidate)
            if before:
                torch.mul(cells[before], d_cell, out=d_f)
                torch.mul(f, d_cell, out=d_cells[before])
            else:
                d_f.zero_()
            opened, d_opened = gates[now, : 3 * width], d_gates[now, : 3 * width]
            aten.sigmoid_backward.grad_input(d_opened, opened, grad_input=d_opened)
            aten.tanh_backward.grad_input(d_candidate, candidate, grad_input=d_candidate)
            if before:
                d_hidden[before].addmm_(d_gates[now], recurrent.t())
        went_on = torch.cat([hidden[before] for _, before in steps if before] or [hidden[:0]])
        return d_gates, went_on.t() @ d_gates[ctx.sizes[0] :], None


def _steps(sizes: list[int]) -> list[tuple[slice, slice | None]]:
    """Returns each time step's rows, and the rows before them that go on (None: the first)."""
    starts = [0, *accumulate(sizes)]
    return [
        (slice(start, start + size), slice(before, before + size) if t else None)
        for t, (size, start, before) in enumerate(zip(sizes, starts, [0, *starts], strict=False))
    ]
