"""What a task provides: a network, shuffled batches, a loss and metrics.

A task lives beside its recipes (`recipes/<corpus>/task.py`) and is imported by path. It holds

* `Settings`: a pydantic model of the recipe's `task:` section;
* `task(settings, corpus, seed, workers)`: returns an object with the members of `Task` below;
  `corpus` is the folder with the data;
* `tests_alone(settings, corpus, workers)`, if `dsd eval` shall do without the training set;
* `miniature(folder)`: writes the miniature corpus in the real layout, if it is not there yet;
* `LAYOUT`, `SOURCE`: which folder is expected and where to get it; `verify(folder)`: checks it and
  returns lines to print; `DOWNLOADS`: where a program may fetch it (dsd/suite/download.py);
* `OWN = True`, if the data are the user's own: records stay with the runs, out of results/;
* for `dsd export`: `plain(settings, assets, weights)`, which returns a `Plain` from a checkpoint's
  assets and weights, without the data; `TERMS`: the data's licence as far as known, and its source.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from dsd.errors import UserError

Batch = Mapping[str, Any]


class Sliceable(Protocol):
    """A list, an array or a tensor."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: slice, /) -> Any: ...


S = TypeVar("S", bound=Sliceable)


@dataclass(frozen=True)
class Shard:
    """Which part of every batch this process has: its rank, and the number of processes."""

    rank: int
    processes: int

    def part(self, batch: S) -> S:
        """Returns this process's part of a batch, in the batch's order.

        The parts of all ranks in order are the whole batch. Their sizes differ by at most one, so a
        part is empty when the batch is smaller than the number of processes.
        """
        size, larger = divmod(len(batch), self.processes)
        start = self.rank * size + min(self.rank, larger)
        part: S = batch[start : start + size + (self.rank < larger)]
        return part

    def check(self, batch_size: int, unit: str) -> None:
        """Raises UserError when a process would have no example of a training batch."""
        if batch_size < self.processes:
            raise UserError(
                f"task.batch_size: {batch_size} {unit} for {self.processes} processes; "
                "give each one at least"
            )


ALONE = Shard(rank=0, processes=1)  # a single process has the whole batch


class Loss(NamedTuple):
    """The loss of one batch, and sums that become the epoch's means."""

    mean: Tensor  # scalar, averaged over the batch's examples
    examples: int
    sums: dict[str, Tensor]  # name -> sum over the examples, e.g. {"top1_error_pct": 100 * wrong}


class Plain(NamedTuple):
    """The network of a checkpoint for export: no masks, no optimizer, no data."""

    network: nn.Module  # with the checkpoint's names and shapes; its values may be others
    example: tuple[Any, ...]  # arguments of a forward pass, one example
    load: str  # lines of Python that build the same network as `net`
    use: str  # what goes in and what comes out, in Markdown
    front_matter: dict[str, Any]  # of the model card: library_name, pipeline_tag, metrics
    terms: tuple[str, ...] = ()  # licences of the starting weights and the like, besides the data's


class Task(Protocol):
    """How one corpus is trained and evaluated."""

    metric: str  # the metric that tables quote, e.g. "top1_error_pct"
    lower_is_better: bool
    unit: str  # what the progress bar counts, e.g. "images"
    corpus: dict[str, Any]  # goes into the record: name, fingerprint, counts, notes
    assets: dict[str, Any]  # in every checkpoint: what a network needs besides its weights
    heldout: str | None  # split evaluated after every epoch; never the test set
    choose_by: str  # the held-out metric, lower is better, for carry_over: best_heldout
    tests: tuple[str, ...]  # splits evaluated at the end of every phase
    steps_per_epoch: int

    @property
    def skipped(self) -> list[str]:
        """Returns the names of the examples that could not be used so far."""

    def model(self, weights: str | None = None) -> nn.Module:
        """Returns the network initialised for training, or with these weights (file or name)."""

    def batches(self, epoch: int, first_step: int, shard: Shard) -> Iterator[Batch]:
        """Yields this process's part of an epoch's shuffled training batches from `first_step` on.

        One seed and epoch give one shuffle and the same batches, whatever the number of processes.
        """

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Returns the training loss of one batch."""

    def eval_batches(self, split: str, shard: Shard) -> Iterator[Batch]:
        """Yields this process's batches of a split; all processes together see an example once."""

    def predict(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor | Sequence[Any]]:
        """Returns results by name, an entry for each example; `index`: its place in the split."""

    def metrics(self, split: str, results: Mapping[str, Any]) -> dict[str, float]:
        """Returns a split's metrics from its results (arrays in the split's order)."""


def to_device(batch: Batch, device: torch.device, channels_last: bool = False) -> dict[str, Any]:
    """Returns a batch on a device, contiguous; images (N, C, H, W) channels-last where asked."""

    def move(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        layout = (
            torch.channels_last if channels_last and value.dim() == 4 else torch.contiguous_format
        )
        return value.to(device, non_blocking=True, memory_format=layout)

    return {key: move(value) for key, value in batch.items()}
