"""Scoring a split: per-example results first, figures from them."""

from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from dsd.suite.task import Shard, Task, to_device
from dsd.training.stop import Stop, Stopped


def score(
    task: Task,
    net: nn.Module,
    accelerator: Accelerator,
    split: str,
    *,
    channels_last: bool = False,
    stop: Stop | None = None,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Returns (figures, per-example arrays in the split's order) of a network on a split.

    Uses no random generator. Raises Stopped when a stop is asked for; nothing is lost by it.
    """
    was_training = net.training
    net.eval()
    shard = Shard(accelerator.process_index, accelerator.num_processes)
    columns: dict[str, list[Any]] = {}
    try:
        with torch.inference_mode():
            for batch in task.eval_batches(split, shard):
                if stop and stop.asked() and accelerator.num_processes == 1:
                    raise Stopped(stop.reason)
                batch = to_device(batch, accelerator.device, channels_last)
                for name, values in task.predict(net, batch).items():
                    values = values.cpu().tolist() if isinstance(values, torch.Tensor) else values
                    columns.setdefault(name, []).extend(values)
    finally:
        net.train(was_training)
    if accelerator.num_processes > 1:
        shards = gather_object([columns])
        names = {name for shard in shards for name in shard}
        columns = {name: [v for shard in shards for v in shard.get(name, [])] for name in names}
    order = np.argsort(np.asarray(columns.pop("index")), kind="stable")
    results = {name: _small(np.asarray(columns[name])[order]) for name in sorted(columns)}
    return task.metrics(split, results), results


def _small(values: np.ndarray) -> np.ndarray:
    """Returns the values in the smallest type that the record needs: the sidecar is kept in git."""
    if values.dtype == np.float64:
        return values.astype(np.float32)
    if values.dtype == np.int64 and len(values):
        ends = (np.min_scalar_type(end) for end in (values.min(), values.max()))
        return values.astype(np.promote_types(*ends))
    return values
