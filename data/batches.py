"""What all loaders share: batches of places in a set, their parts, seeds and worker processes.

The order of an epoch depends on (seed, epoch) alone. Neither workers nor processes change what is
in a batch.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from dsd.errors import UserError
from dsd.suite.task import S, Shard

T = TypeVar("T")


def in_batches(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Returns an order cut into batches; the last one may be short."""
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def parts(batches: Sequence[S], first_step: int, shard: Shard) -> list[S]:
    """Returns this process's part of each batch from `first_step` on."""
    return [shard.part(batch) for batch in batches[first_step:]]


def in_workers(
    dataset: Dataset[T | UserError], batches: list[np.ndarray], workers: int
) -> Iterator[T]:
    """Yields `dataset[batch]` for each batch of places, read in so many processes (0: in this one).

    Raises the UserError that the dataset returns: raised in a worker it would be a traceback.
    """
    loader: DataLoader[T | UserError] = DataLoader(
        dataset,
        batch_size=None,
        sampler=batches,  # one item is one batch
        num_workers=min(workers, len(batches)),
        collate_fn=_as_it_is,
        worker_init_fn=_outlive_signals,
        generator=torch.Generator(),  # without it, iterating draws from the global generator
    )
    for item in loader:
        if isinstance(item, UserError):
            raise item
        yield item


def generator(*numbers: int) -> torch.Generator:
    """Returns a generator of its own, seeded by these numbers (not negative)."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def _as_it_is(item: Any) -> Any:
    return item


def _outlive_signals(worker: int) -> None:
    """Leaves Ctrl-C and SIGTERM to the main process, which goes on to its checkpoint.

    Both reach every process of a job; a worker obeys a SIGTERM of its main process alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_obey_parent, daemon=True).start()


def _obey_parent() -> None:
    """Ends the worker on its parent's SIGTERM: ignored, the parent would wait for it for ever."""
    if sys.platform == "linux":
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
            pass
        os._exit(0)
