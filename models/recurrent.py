"""Deep Speech's bidirectional recurrent layer over packed sequences, and its gradient.

Hannun et al. 2014 (arXiv 1412.5567): clipped ReLUs, one input matrix for both directions, whose
states are added up. Written out because torch's RNN has an input matrix for each direction, chains
the states, does not clip, and its recurrent weights' gradient is added up one time step at a
time, where one product over all does.
"""

from itertools import accumulate, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models.packing import on_device

CLIP = 20.0  # Hannun et al. 2014, section 2
aten = torch.ops.aten


def clipped_relu(x: Tensor) -> Tensor:
    """Returns min(max(x, 0), 20); the gradient at either bend is zero."""
    return F.hardtanh(x, 0.0, CLIP)


class Recurrent(nn.Module):
    """The layer: `input` and its bias, `forwards` and `backwards` (H, H), rows as nn.Linear's.

    normalised: BatchNorm of the input product, over all frames of the batch, stands for the bias
    (Amodei et al. 2016, arXiv 1512.02595, section 3.2). The initialisation is ours. Recurrent
    matrices are orthogonal: as half of the units are shut, states neither grow nor die over time.
    Input weights are normal with variance 1 / 3E, as summing two states makes squares three times
    larger.
    """

    def __init__(self, inputs: int, hidden: int, *, normalised: bool = False) -> None:
        super().__init__()
        self.input = nn.Linear(inputs, hidden, bias=not normalised)
        self.norm = nn.BatchNorm1d(hidden) if normalised else nn.Identity()
        self.forwards = nn.Parameter(torch.empty(hidden, hidden))
        self.backwards = nn.Parameter(torch.empty(hidden, hidden))
        nn.init.normal_(self.input.weight, std=(3 * inputs) ** -0.5)
        if self.input.bias is not None:
            nn.init.zeros_(self.input.bias)
        nn.init.orthogonal_(self.forwards)
        nn.init.orthogonal_(self.backwards)

    def forward(self, inputs: Tensor, sizes: list[int]) -> Tensor:
        """Returns the summed states (N, H) of packed inputs (N, E); sizes as `bidirectional`'s."""
        return bidirectional(self.norm(self.input(inputs)), self.forwards, self.backwards, sizes)


def bidirectional(
    products: Tensor, forwards: Tensor, backwards: Tensor, sizes: list[int]
) -> Tensor:
    """Returns f + b (N, H), where f_t = g(p_t + U f_t-1), b_t = g(p_t + V b_t+1), g clips.

    products: p (N, H), packed. forwards: U, backwards: V, (H, H). sizes: sequences that reach each
    time step, never rising, N in sum; the first rows of a time step go on in the next. b starts at
    each sequence's own end.
    """
    recurrent = torch.stack([forwards, backwards]).to(products.dtype)
    states: Tensor = _Recurrence.apply(products, recurrent, sizes)
    return states


class _Recurrence(torch.autograd.Function):
    """Products (N, H), recurrent weights (2, H, H) of both directions -> sums of states (N, H)."""

    @staticmethod
    def forward(ctx: Any, products: Tensor, recurrent: Tensor, sizes: list[int]) -> Tensor:
        mirror = on_device(mirrored(sizes), products.device)
        states = torch.stack([products, products[mirror]])
        steps, weights = states.split(sizes, 1), recurrent.transpose(1, 2)
        steps[0].clamp_(0.0, CLIP)
        for before, now in pairwise(steps):
            now.baddbmm_(before[:, : now.shape[1]], weights).clamp_(0.0, CLIP)
        ctx.save_for_backward(states, recurrent, mirror)
        ctx.sizes = sizes
        return states[0] + states[1][mirror]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        states, recurrent, mirror = ctx.saved_tensors
        d_states = torch.stack([grads[0], grads[0][mirror]])
        steps, d_steps = states.split(ctx.sizes, 1), d_states.split(ctx.sizes, 1)
        for t in reversed(range(len(steps))):
            now = d_steps[t]
            aten.hardtanh_backward.grad_input(now, steps[t], 0.0, CLIP, grad_input=now)
            if t:
                d_steps[t - 1][:, : now.shape[1]].baddbmm_(now, recurrent)
        went_on = [before[:, : now.shape[1]] for before, now in pairwise(steps)]
        d_recurrent = d_states[:, ctx.sizes[0] :].transpose(1, 2) @ torch.cat(
            went_on or [states[:, :0]], 1
        )
        return d_states[0] + d_states[1][mirror], d_recurrent, None


def mirrored(sizes: list[int]) -> Tensor:
    """Returns for each packed row (N,) the row of the same sequence as far from its other end."""
    counts = torch.tensor(sizes)
    step = torch.repeat_interleave(counts)
    starts = torch.tensor([0, *accumulate(sizes)])
    sequence = torch.arange(len(step)) - starts[step]
    lengths = (counts[:, None] > torch.arange(sizes[0])).sum(0)
    return starts[lengths[sequence] - 1 - step] + sequence
