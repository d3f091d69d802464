"""Caffe's squashed pictures, kept in one file: reading them is far quicker than decoding.

All of Caffe's preprocessing begins by squashing a picture to one fixed size, so its pixels can be
kept, exactly. They fill in as pictures are read, by any number of processes at once; a picture
counts while its checksum holds, so that what a crash or a full disk left is read again.
"""

import hashlib
import math
import os
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np

from data.images import ImageSet
from data.transforms import Caffe
from dsd.errors import UserError


class Squashed:
    """The squashed pictures of a set, (side, side, 3) uint8 each, in a folder."""

    def __init__(self, images: ImageSet, caffe: Caffe, folder: Path) -> None:
        """Raises UserError when the folder cannot be written."""
        self._images, self._caffe = images, caffe
        side = caffe.resize
        digest = hashlib.sha256(str(side).encode())
        for file in images.files:
            stat = os.stat(images.root / file)
            digest.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
        stem = f"{images.name.partition(' ')[0].replace('/', '-')}-{digest.hexdigest()[:16]}"
        self._pixels, self._sums = folder / f"{stem}.pixels", folder / f"{stem}.crc32"
        self._shape = (len(images), side, side, 3)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sizes = {self._pixels: math.prod(self._shape), self._sums: 8 * len(images)}
            for path, size in sizes.items():
                with path.open("ab") as whole:
                    whole.truncate(size)  # holes: a picture takes room once it is kept
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be written ({error.strerror}); make room, point SQUASHED "
                "elsewhere, or unset it"
            ) from None

    def read(self, index: int) -> np.ndarray:
        """Returns picture `index` squashed; raises what `ImageSet.read` raises."""
        pixels, sums = self._open
        kept = np.array(pixels[index])
        if sums[index] == _sum(kept):
            return kept
        found = self._caffe.squash(self._images.read(index))
        pixels[index] = found
        sums[index] = _sum(found)
        return found

    @cached_property
    def _open(self) -> tuple[np.ndarray, np.ndarray]:
        return (
            np.memmap(self._pixels, np.uint8, "r+", shape=self._shape),
            np.memmap(self._sums, np.uint64, "r+", shape=self._shape[:1]),
        )

    def __getstate__(self) -> dict[str, object]:  # a worker that is not forked opens them itself
        return {name: value for name, value in vars(self).items() if name != "_open"}


def _sum(pixels: np.ndarray) -> int:
    """Returns a checksum that is never that of a hole in the file, zero."""
    return zlib.crc32(pixels.data) + 1
