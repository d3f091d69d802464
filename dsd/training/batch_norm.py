"""BatchNorm whose statistics are those of the whole batch, however many processes share it.

torch's SyncBatchNorm refuses CPUs. Here, as there, a process may have one example, or none.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm


def normalise(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the normalised input (N, C, ...), mean (C), biased variance (C), values a channel.

    The statistics are over all processes, in float32 at least.
    """
    output, mean, variance, count = _Normalise.apply(input, weight, bias, eps)
    return output, mean, variance, count


class SynchronisedBatchNorm(_BatchNorm):
    """BatchNorm of any number of dimensions; all processes call it together while training."""

    normalise = staticmethod(normalise)

    def _check_input_dim(self, input: Tensor) -> None:
        """Takes what the class that it stands for took."""

    def forward(self, input: Tensor) -> Tensor:
        """Returns the normalised input (N, C, ...), by the whole batch's statistics in training."""
        if not self.training:
            return super().forward(input)
        output, mean, variance, count = self.normalise(input, self.weight, self.bias, self.eps)
        if self.running_mean is not None and self.running_var is not None:
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            share: Any = self.momentum
            if share is None:  # a plain average over all batches
                share = self.num_batches_tracked.to(self.running_mean.dtype).reciprocal()
            unbiased = variance * count / (count - 1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)
        return output


def synchronise(net: nn.Module, *, compiled: bool = False) -> None:
    """Has a network's BatchNorm layers share their statistics; names and weights stay.

    compiled: torch.compile will be given the network; it leaves out what asks other processes.
    """
    for module in net.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
            module.__class__ = SynchronisedBatchNorm
            if compiled:  # not otherwise: it takes a second to import the compiler
                module.normalise = torch.compiler.disable(normalise)


class _Normalise(torch.autograd.Function):
    """Ioffe and Szegedy 2015 (arXiv 1502.03167), sums over N and space being over all processes."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        precise = torch.promote_types(input.dtype, torch.float32)
        axes = [axis for axis in range(input.dim()) if axis != 1]
        values, channels = input.to(precise), input.shape[1]
        here = input.numel() // channels
        if here:
            variance, mean = torch.var_mean(values, axes, correction=0)
        else:
            variance = mean = values.new_zeros(channels)
        own = torch.cat([variance, mean, mean.new_full((1,), here)])
        table = own.new_zeros(distributed.get_world_size(), len(own))
        table[distributed.get_rank()] = own
        distributed.all_reduce(table)
        variances, means = table[:, :channels], table[:, channels:-1]
        counts = table[:, -1:]
        count = counts.sum()
        mean = (counts * means).sum(0) / count  # Chan et al. 1979: groups' moments put together
        variance = (counts * (variances + (means - mean).square())).sum(0) / count
        output = F.batch_norm(
            values,
            mean,
            variance,
            None if weight is None else weight.to(precise),
            None if bias is None else bias.to(precise),
            training=False,
            eps=eps,
        )
        ctx.save_for_backward(input, weight, mean, (variance + eps).rsqrt(), count)
        ctx.mark_non_differentiable(mean, variance, count)
        return output.to(input.dtype), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, mean, scale, count = ctx.saved_tensors
        axes = [axis for axis in range(input.dim()) if axis != 1]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        grad = grads[0].to(mean.dtype)
        normal = (input.to(mean.dtype) - mean.view(shape)) * scale.view(shape)
        sums = torch.stack([grad.sum(axes), (grad * normal).sum(axes)])
        own_bias, own_weight = sums.clone()  # DistributedDataParallel adds these up itself
        distributed.all_reduce(sums)
        of_mean, of_scale = (sums / count).view(2, *shape)
        factor = scale if weight is None else scale * weight.to(mean.dtype)
        to_input = (grad - of_mean - normal * of_scale) * factor.view(shape)
        if weight is None:
            return to_input.to(input.dtype), None, None, None
        return (
            to_input.to(input.dtype),
            own_weight.to(weight.dtype),
            own_bias.to(weight.dtype),
            None,
        )
