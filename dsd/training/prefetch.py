"""Batches on the device: on a GPU the next one is copied while the network computes."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from dsd.suite.task import Batch


def on_device(
    batches: Iterable[Batch], device: torch.device, channels_last: bool = False
) -> Iterator[dict[str, Any]]:
    """Yields the batches on a device, contiguous; images (N, C, H, W) channels-last where asked.

    On a GPU one batch is read ahead, and copied on a stream of its own from pinned memory.
    """
    if device.type != "cuda":
        for batch in batches:
            yield _moved(batch, device, channels_last)
        return
    stream = torch.cuda.Stream(device)
    ahead: tuple[dict[str, Any], torch.cuda.Event] | None = None
    for batch in batches:
        with torch.cuda.stream(stream):
            coming = _moved(_pinned(batch), device, channels_last), stream.record_event()
        if ahead:
            yield _arrived(*ahead)
        ahead = coming
    if ahead:
        yield _arrived(*ahead)


def _moved(batch: Batch, device: torch.device, channels_last: bool) -> dict[str, Any]:
    def move(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        layout = (
            torch.channels_last if channels_last and value.dim() == 4 else torch.contiguous_format
        )
        return value.to(device, non_blocking=True).contiguous(memory_format=layout)

    return {key: move(value) for key, value in batch.items()}


def _pinned(batch: Batch) -> dict[str, Any]:
    return {k: v.pin_memory() if isinstance(v, Tensor) else v for k, v in batch.items()}


def _arrived(batch: dict[str, Any], copied: torch.cuda.Event) -> dict[str, Any]:
    """Has the current stream wait for the copy, and the memory be kept until it is done with it."""
    now = torch.cuda.current_stream()
    now.wait_event(copied)
    for value in batch.values():
        if isinstance(value, Tensor):
            value.record_stream(now)
    return batch
