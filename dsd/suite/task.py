"""What the core asks of a task: a network, batches, a loss and a score.

A task lives beside its recipes (`recipes/<corpus>/task.py`) and is imported by path. It holds

* `Settings`: a pydantic model of the recipe's `task:` section;
* `task(settings, corpus, seed, workers)`: returns an object with the members of `Task` below;
  `corpus` is the folder with the data;
* `miniature(folder)`: writes the miniature corpus in the real layout, if it is not there yet;
* `LAYOUT`, `SOURCE`: what folder is expected and where to get it; `verify(folder)`: checks it and
  returns lines to print; `DOWNLOADS`, where a program may fetch it (dsd/suite/download.py);
* for `dsd export`: `plain(settings, assets, weights)`, which returns a `Plain` from a checkpoint's
  assets and weights, without the data; `TERMS`, what is known of the data's licence, and where.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from dsd.errors import UserError

Batch = Mapping[str, Any]


class Sliceable(Protocol):
    """A list, an array, a tensor: what has a length and can be cut."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: slice, /) -> Any: ...


S = TypeVar("S", bound=Sliceable)


@dataclass(frozen=True)
class Shard:
    """Which part of every batch is this process's."""

    rank: int
    processes: int

    def part(self, batch: S) -> S:
        """Returns this process's part of a batch, in the batch's order.

        The parts of all ranks in turn are the whole batch; their sizes differ by one at most, so
        that a part of a batch smaller than the number of processes can be empty.
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


ALONE = Shard(rank=0, processes=1)  # the only process has every batch whole


class Loss(NamedTuple):
    """The loss of one batch and what to add up over the epoch."""

    mean: Tensor  # scalar, averaged over the batch's examples
    examples: int
    sums: dict[str, Tensor]  # name -> sum over the examples, e.g. {"top1_error_pct": 100 * wrong}


class Plain(NamedTuple):
    """The network of a checkpoint for those who have neither masks nor optimizer nor data."""

    network: nn.Module  # with the checkpoint's names and shapes, whatever the values
    example: tuple[Any, ...]  # arguments of a forward pass, one example
    load: str  # lines of Python that build the same network as `net`
    use: str  # what goes in and what comes out, in Markdown
    front_matter: dict[str, Any]  # of the model card: library_name, pipeline_tag, metrics
    terms: tuple[str, ...] = ()  # licences of what the weights come from, besides the data


class Task(Protocol):
    """How one corpus is trained and scored."""

    metric: str  # the figure that tables quote, e.g. "top1_error_pct"
    lower_is_better: bool
    unit: str  # what the progress bar counts, e.g. "images"
    corpus: dict[str, Any]  # goes into the record: name, fingerprint, counts, notes
    assets: dict[str, Any]  # kept in every checkpoint: what a network needs beside its weights
    heldout: str | None  # split scored after every epoch; never the test set
    choose_by: str  # the held-out figure that `carry_over: best_heldout` makes lowest
    tests: tuple[str, ...]  # splits scored at the end of every phase
    steps_per_epoch: int

    @property
    def skipped(self) -> list[str]:
        """Returns the names of the examples that could not be used so far."""

    def model(self, weights: str | None = None) -> nn.Module:
        """Returns the network as training begins, or with these weights (a file or a name)."""

    def batches(self, epoch: int, first_step: int, shard: Shard) -> Iterator[Batch]:
        """Yields this process's part of an epoch's training batches from `first_step` on.

        The batches are the same for the same seed, whatever the number of processes.
        """

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Returns the training loss of one batch."""

    def eval_batches(self, split: str, shard: Shard) -> Iterator[Batch]:
        """Yields this process's examples of a split; all processes' are every example once."""

    def predict(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor | Sequence[Any]]:
        """Returns results, one entry an example; `index` gives its place in the split."""

    def metrics(self, split: str, results: Mapping[str, Any]) -> dict[str, float]:
        """Returns the split's figures from the results (arrays in the split's order)."""


def to_device(batch: Batch, device: torch.device, channels_last: bool = False) -> dict[str, Any]:
    """Moves a batch's tensors; images (4 axes) to channels-last memory where asked."""

    def move(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        layout = (
            torch.channels_last if channels_last and value.dim() == 4 else torch.preserve_format
        )
        return value.to(device, non_blocking=True, memory_format=layout)

    return {key: move(value) for key, value in batch.items()}
