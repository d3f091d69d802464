"""What all loaders share: batches of places in a set, their parts, seeds and worker processes.

The order of an epoch depends on (seed, epoch) alone. Neither workers nor processes change what is
in a batch.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

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


class Reader(Generic[T]):
    """Reads `dataset[job]` for each job of an epoch, in so many processes (0: in this one).

    The processes stay from epoch to epoch. One epoch is read at a time.
    """

    def __init__(self, dataset: Dataset[T | UserError], workers: int) -> None:
        self._dataset, self._workers = dataset, workers
        self._jobs: list[Any] = []  # of the epoch; the loader reads it again each time
        self._loader: DataLoader[T | UserError] | None = None

    def __call__(self, jobs: Sequence[Any]) -> Iterator[T]:
        """Yields what each job gives; a job is a batch's places, and what else the dataset needs.

        Raises the UserError that the dataset returns: raised in a worker it would be a traceback.
        """
        here = (self._dataset[job] for job in jobs)
        for item in self._in_workers(jobs) if self._workers else here:
            if isinstance(item, UserError):
                try:
                    raise item
                finally:
                    del item  # a cycle through the traceback would end the workers out of order
            yield item

    def _in_workers(self, jobs: Sequence[Any]) -> Iterable[T | UserError]:
        self._jobs[:] = jobs
        if self._loader is None:
            self._loader = DataLoader(
                self._dataset,
                batch_size=None,
                sampler=self._jobs,  # one item is one batch
                num_workers=self._workers,
                persistent_workers=True,
                pin_memory=torch.cuda.is_available(),
                collate_fn=_as_it_is,
                worker_init_fn=_outlive_signals,
                generator=torch.Generator(),  # else iterating draws from the global generator
            )
        return self._loader


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
