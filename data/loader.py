"""Batches of images, the same bits for the same seed, from any step on.

The order of an epoch depends on (seed, epoch); what is done to image i depends on (seed, epoch, i).
Neither depends on the number of workers or processes, nor on the global random generators.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.batches import Reader, generator, in_batches, parts
from data.images import CorruptImage, ImageSet
from data.squashed import Squashed
from data.transforms import Caffe, Cifar, FilePreprocessing, Preprocessing
from dsd.errors import UserError
from dsd.suite.task import ALONE, Shard

Batch = dict[str, Tensor]


class Loader:
    """Batches {"images": (B, 3, H, W), "labels": (B,) int64, "index": (B,) int64}.

    The images are uint8 of 0..255; the preprocessing's `colours` makes the network's input of them
    on the device, and of "drawn", what they drew in training, where they do. `index` is the place
    in the set. The last batch of an epoch may be short. Images in memory need the preprocessing
    "cifar", files any other; only files are read in `workers` processes.
    With `skip_corrupt` a corrupt image is left out and named once in `skipped`.
    """

    def __init__(
        self,
        images: ImageSet,
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        seed: int,
        train: bool,
        workers: int = 0,
        skip_corrupt: bool = False,
        squashed: Path | None = None,
    ) -> None:
        """squashed: a folder that keeps the pixels of Caffe's preprocessing, see data/squashed.py.

        Raises UserError when the preprocessing does not suit the set.
        """
        if isinstance(preprocessing, Cifar) != (images.pixels is not None):
            raise UserError(
                f"{images.name}: preprocessing cifar is for pixels in memory alone; "
                "choose the one that belongs to the corpus"
            )
        self.images, self.preprocessing = images, preprocessing
        self.batch_size, self.seed, self.train = batch_size, seed, train
        self.steps = -(-len(images) // batch_size)  # per epoch
        self.skipped: list[str] = []  # corrupt images left out so far
        self._read: Reader[tuple[Batch, list[str]]] | None = None
        if not isinstance(preprocessing, Cifar):
            read = images.read
            if squashed and isinstance(preprocessing, Caffe):
                read = Squashed(images, preprocessing, squashed).read
            dataset = _Batches(images, read, preprocessing, skip_corrupt)
            self._read = Reader(dataset, workers)

    def batches(self, epoch: int = 0, first_step: int = 0, shard: Shard = ALONE) -> Iterator[Batch]:
        """Yields this process's part of each batch from `first_step` on.

        A part of a short last batch can be empty. Reads nothing of the steps before.
        Raises UserError naming the file when an image is corrupt and is not to be skipped.
        """
        mine = parts(in_batches(self._order(epoch), self.batch_size), first_step, shard)
        if isinstance(self.preprocessing, Cifar):
            return self._from_memory(self.preprocessing, mine, epoch)
        return self._from_files(mine, epoch)

    def sizes(self, epoch: int = 0) -> list[int]:
        """Returns how many images each batch of an epoch has, all processes together."""
        return [len(batch) for batch in in_batches(np.arange(len(self.images)), self.batch_size)]

    def _order(self, epoch: int) -> np.ndarray:
        if not self.train:
            return np.arange(len(self.images))
        return torch.randperm(len(self.images), generator=generator(self.seed, epoch, 0)).numpy()

    def _from_memory(self, cifar: Cifar, mine: list[np.ndarray], epoch: int) -> Iterator[Batch]:
        assert self.images.pixels is not None
        pixels, labels = torch.from_numpy(self.images.pixels), torch.from_numpy(self.images.labels)
        draws = cifar.draws(len(labels), generator(self.seed, epoch, 1)) if self.train else None
        for part in mine:
            index = torch.from_numpy(part)
            images = pixels[index].permute(0, 3, 1, 2)
            batch = {"images": images, "labels": labels[index], "index": index}
            yield batch if draws is None else {**batch, "drawn": draws[index]}

    def _from_files(self, mine: list[np.ndarray], epoch: int) -> Iterator[Batch]:
        assert self._read is not None
        seed = (self.seed, epoch) if self.train else None
        for batch, skipped in self._read([(seed, places) for places in mine]):
            self.skipped += [name for name in skipped if name not in self.skipped]
            yield batch


class _Batches(Dataset[tuple[Batch, list[str]] | UserError]):
    """Maps (seed, a batch's places) to (batch, names of skipped images), or to an error.

    seed: that of the run and the epoch; None to evaluate.
    """

    def __init__(
        self,
        images: ImageSet,
        read: Callable[[int], np.ndarray],
        preprocessing: FilePreprocessing,
        skip_corrupt: bool,
    ) -> None:
        self.images, self.read, self.preprocessing = images, read, preprocessing
        self.skip_corrupt = skip_corrupt

    def __getitem__(
        self, job: tuple[tuple[int, int] | None, np.ndarray]
    ) -> tuple[Batch, list[str]] | UserError:
        seed, indices = job
        ready: list[tuple[np.ndarray, np.ndarray | None]] = []
        kept: list[int] = []
        skipped: list[str] = []
        for index in indices.tolist():
            try:
                ready.append(self._prepare(index, seed))
                kept.append(index)
            except CorruptImage as error:
                if not self.skip_corrupt:
                    return UserError(f"{error}, or leave such images out with skip_corrupt")
                skipped.append(self.images.files[index])
            except UserError as error:
                return error
        if skipped and not kept:
            return UserError(f"{skipped[0]}: corrupt, as are all images of its batch; restore them")
        size = self.preprocessing.crop
        images = np.empty((len(ready), size, size, 3), np.uint8)
        for place, (pixels, _) in enumerate(ready):
            images[place] = pixels
        index = np.array(kept, dtype=np.int64)
        batch = {
            "images": torch.from_numpy(images).permute(0, 3, 1, 2),
            "labels": torch.from_numpy(self.images.labels[index]),
            "index": torch.from_numpy(index),
        }
        if seed and self.preprocessing.draws_colours:
            drawn = np.array([drawn for _, drawn in ready], np.float32).reshape(-1, 3, 7)
            batch["drawn"] = torch.from_numpy(drawn)
        return batch, skipped

    def _prepare(
        self, index: int, seed: tuple[int, int] | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        pixels = self.read(index)
        if seed is None:
            return self.preprocessing.evaluate(pixels), None
        return self.preprocessing.train(pixels, np.random.default_rng([*seed, index]))
