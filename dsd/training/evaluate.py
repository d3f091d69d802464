"""Evaluation of a split: per-example results, and the metrics computed from them."""

from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from dsd.runs import record
from dsd.suite.finite import finite_outputs, not_finite
from dsd.suite.task import Task
from dsd.training import distributed
from dsd.training.prefetch import on_device
from dsd.training.run import Run
from dsd.training.sharding import whole_weights
from dsd.training.stop import Stop, Stopped


def evaluate(
    run: Run, net: nn.Module, split: str, stop: Stop | None = None
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Returns (metrics, per-example arrays) of a run's unwrapped network on a split.

    stop: checked between batches; leave it out where there is nothing to save. Raises Stopped.
    """
    distributed.same_buffers(run.accelerator, net)
    channels_last = run.options.channels_last
    with whole_weights(net):
        return evaluate_split(
            run.task, net, run.accelerator, split, channels_last=channels_last, stop=stop
        )


def evaluate_split(
    task: Task,
    net: nn.Module,
    accelerator: Accelerator,
    split: str,
    *,
    channels_last: bool = False,
    stop: Stop | None = None,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Returns (metrics, per-example arrays in the split's order) of a network on a split.

    Uses no random generator. Raises Stopped when a stop is asked for; evaluating changes nothing.
    Raises UserError when the network gives a score, or the metrics are, NaN or infinite.
    """
    was_training = net.training
    net.eval()
    shard = distributed.shard(accelerator)
    columns: dict[str, list[Any]] = {}
    try:
        with torch.inference_mode(), finite_outputs(net) as unsound:
            batches = task.eval_batches(split, shard)
            for batch in on_device(batches, accelerator.device, channels_last):
                if stop and stop.asked() and accelerator.num_processes == 1:
                    raise Stopped(stop.reason)
                for name, values in task.predict(net, batch).items():
                    values = values.cpu().tolist() if isinstance(values, torch.Tensor) else values
                    columns.setdefault(name, []).extend(values)
    finally:
        net.train(was_training)
    (found,) = distributed.any_process(accelerator, bool(sum(unsound)))
    if found:
        raise not_finite(split)
    parts = distributed.gather(accelerator, columns)
    names = {name for part in parts for name in part}
    columns = {name: [v for part in parts for v in part.get(name, [])] for name in names}
    order = np.argsort(np.asarray(columns.pop("index")), kind="stable")
    results = {name: _small(np.asarray(columns[name])[order]) for name in sorted(columns)}
    if not all(np.isfinite(each).all() for each in results.values() if each.dtype.kind == "f"):
        raise not_finite(split)
    return record.finite(task.metrics(split, results), split), results


def _small(values: np.ndarray) -> np.ndarray:
    """Returns the values in a small type: float32, or the smallest integer; git keeps the file."""
    if values.dtype == np.float64:
        return values.astype(np.float32)
    if values.dtype == np.int64 and len(values):
        ends = (np.min_scalar_type(end) for end in (values.min(), values.max()))
        return values.astype(np.promote_types(*ends))
    return values
