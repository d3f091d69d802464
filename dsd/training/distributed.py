"""Several processes as one: all that the trainer needs to know of them."""

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from dsd.suite.task import Shard


def shard(accelerator: Accelerator) -> Shard:
    """Returns which part of every batch is this process's."""
    return Shard(accelerator.process_index, accelerator.num_processes)


def share(accelerator: Accelerator, examples: int) -> float:
    """Returns what makes the mean of the processes' gradients the whole batch's, shards uneven."""
    if accelerator.num_processes == 1:
        return 1.0
    count = torch.tensor(float(examples), device=accelerator.device)
    return examples * accelerator.num_processes / accelerator.reduce(count, "sum").item()


def any_process(accelerator: Accelerator, *flags: bool) -> list[bool]:
    """Makes all processes act as one: a flag counts if any process raises it."""
    if accelerator.num_processes == 1:
        return list(flags)
    raised = torch.tensor([float(flag) for flag in flags], device=accelerator.device)
    return [value > 0 for value in accelerator.reduce(raised, "sum").tolist()]


def total(accelerator: Accelerator, values: Tensor) -> list[float]:
    """Returns the sums of the values over all processes."""
    summed: list[float] = accelerator.reduce(values, "sum").tolist()
    return summed


def gather(accelerator: Accelerator, one: Any) -> list[Any]:
    """Returns what each process gives, in the order of their ranks."""
    if accelerator.num_processes == 1:
        return [one]
    return list(gather_object([one]))


def same_buffers(accelerator: Accelerator, net: nn.Module) -> None:
    """Gives all processes the first one's buffers; BatchNorm's running values differ."""
    if accelerator.num_processes > 1:
        for buffer in net.buffers():
            torch.distributed.broadcast(buffer, 0)
