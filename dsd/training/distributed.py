"""Distributed training: what the trainer does across processes."""

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from dsd.errors import UserError
from dsd.suite.task import Shard


def shard(accelerator: Accelerator) -> Shard:
    """Returns which part of every batch this process has."""
    return Shard(accelerator.process_index, accelerator.num_processes)


def loss_weight(accelerator: Accelerator, examples: int, whole: int) -> float:
    """Returns the weight of this process's loss for its share of the batch.

    examples: those that this process has read of its part. whole: those of the batch, of all
    processes together; they are known without asking. With the weight, the mean of the processes'
    gradients is the gradient of the whole batch, also where parts differ in size. An example that
    could not be read adds nothing, whichever process has it.
    """
    return examples * accelerator.num_processes / whole


def any_process(accelerator: Accelerator, *flags: bool) -> list[bool]:
    """Returns, for each flag, whether any process raises it, so that all processes agree."""
    if accelerator.num_processes == 1:
        return list(flags)
    raised = torch.tensor([float(flag) for flag in flags], device=accelerator.device)
    return [value > 0 for value in accelerator.reduce(raised, "sum").tolist()]


def total(accelerator: Accelerator, values: Tensor) -> list[float]:
    """Returns the sums of the values over all processes."""
    summed: list[float] = accelerator.reduce(values, "sum").tolist()
    return summed


def gather(accelerator: Accelerator, one: Any) -> list[Any]:
    """Returns the objects of all processes, by rank."""
    if accelerator.num_processes == 1:
        return [one]
    return list(gather_object([one]))


def agreed(accelerator: Accelerator, seen: bool, folder: Path) -> bool:
    """Returns what all processes see in a folder. Raises UserError where they see other things."""
    if len({*gather(accelerator, seen)}) > 1:
        raise UserError(
            f"{folder}: some processes see a phase there and some do not; give --runs a folder "
            "that all nodes share"
        )
    return seen


def same_buffers(accelerator: Accelerator, net: nn.Module) -> None:
    """Broadcasts the first process's buffers; BatchNorm's running statistics differ by process."""
    if accelerator.num_processes > 1:
        for buffer in net.buffers():
            torch.distributed.broadcast(buffer, 0)
