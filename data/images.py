"""The labelled images of one split: files in folders, or pixels in memory."""

import hashlib
import io
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from data.names import Names
from dsd.errors import UserError

MINIATURE = "MINIATURE"  # a file of this name in the root marks rendered images
MINIATURE_NOTE = ("miniature: rendered images",)


STRAYS = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "lost+found", "@eadir")


class CorruptImage(UserError):
    """A file that is there and can be read, but is no picture."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The images of one split, in a fixed (sorted) order: files below `root`, or `pixels`."""

    name: str  # "imagenet/val"
    classes: tuple[str, ...]  # in index order
    labels: np.ndarray = field(repr=False)  # (N,) int64
    root: Path = Path()
    files: Sequence[str] = field(default=(), repr=False)  # N names relative to root, or
    pixels: np.ndarray | None = field(default=None, repr=False)  # (N, H, W, 3) uint8
    notes: tuple[str, ...] = ()  # what belongs beside every result
    upright: bool = False  # photographs are turned as their cameras say, see read_image

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", Names(self.files))

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> np.ndarray:
        """Decodes image `index`: (H, W, 3) uint8 RGB.

        Raises CorruptImage when the file is no picture, UserError when it cannot be read.
        """
        if self.pixels is not None:
            found: np.ndarray = self.pixels[index]
            return found
        return read_pixels(self.root / self.files[index], self.upright)

    def subset(self, indices: Sequence[int] | np.ndarray, name: str) -> "ImageSet":
        """Returns these images, in this order."""
        indices = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            name=name,
            labels=self.labels[indices],
            files=[self.files[i] for i in indices] if self.files else (),
            pixels=self.pixels[indices] if self.pixels is not None else None,
        )

    def fingerprint(self) -> str:
        """Returns a SHA-256 in hex of classes, labels, and file names and sizes, or pixels.

        It does not depend on where the folder lies.
        """
        digest = hashlib.sha256("\n".join(self.classes).encode())
        digest.update(self.labels.astype("<i8").tobytes())
        if self.pixels is not None:
            digest.update(str(self.pixels.shape).encode())
            digest.update(np.ascontiguousarray(self.pixels).data)
        for file in self.files:
            digest.update(f"{file}\0{os.stat(self.root / file).st_size}\n".encode())
        return digest.hexdigest()


def read_pixels(path: Path, upright: bool = False) -> np.ndarray:
    """Decodes one file to (H, W, 3) uint8 RGB, as `read_image` does, JPEGs by a quicker decoder.

    Pillow has the last word on what that one refuses: other formats, CMYK, damage; and turns.
    """
    data = _bytes(path)
    if simplejpeg.is_jpeg(data) and not (upright and b"Exif\0" in data[: 1 << 16]):
        with suppress(ValueError):
            *_, colours, _ = simplejpeg.decode_jpeg_header(data)
            if colours in ("Gray", "YCbCr", "RGB"):
                return np.asarray(simplejpeg.decode_jpeg(data, "RGB"))
    return np.array(_decoded(data, path, upright))


def read_image(path: Path, upright: bool = False) -> Image.Image:
    """Decodes one file as RGB; of 16 bits the upper eight count.

    upright: a photograph is turned as its EXIF orientation says. The originals (Caffe, torch's
    image, MATLAB) do not turn, so a corpus's stay as they are. Raises CorruptImage or UserError,
    see ImageSet.read.
    """
    return _decoded(_bytes(path), path, upright)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the disk") from None


def _decoded(data: bytes, path: Path, upright: bool = False) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data)) as image:
            picture = ImageOps.exif_transpose(image) if upright else image
            return _eight_bits(picture, image.format or "").convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        reason = "not a picture" if "BytesIO" in reason else reason
        raise CorruptImage(f"{path}: corrupt image ({reason}); restore the file") from None


def _eight_bits(image: Image.Image, form: str) -> Image.Image:
    """Returns a grey picture of 16 bits with eight; Pillow itself would cut at 255.

    Raises ValueError for grey values whose white nobody knows: of 32 bits, or fractions.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    grey = np.asarray(image)
    if image.mode in ("I", "F") and form not in ("PNG", "PPM"):  # these have 16 bits at most
        raise ValueError(f"grey values of mode {image.mode}; save it with 8 or 16 bits")
    return Image.fromarray((grey.astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def is_stray(name: str) -> bool:
    """Returns whether a system or an editor left this file or folder, which is no part of a corpus.

    Such as ._* and .DS_Store, __MACOSX, Thumbs.db, .ipynb_checkpoints.
    """
    return name.startswith(".") or name.lower() in STRAYS


def class_folders(root: Path, split: str, suffixes: Sequence[str]) -> tuple[list[str], list[str]]:
    """Lists root/split/<class>/*: (class names, file names relative to root), both sorted.

    split: "" for root/<class>/*. Raises UserError when a folder is missing or holds no images.
    """
    folder, above = root / split, f"{split}/" if split else ""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected {above}<class>/<images> below {root}")
    with os.scandir(folder) as entries:
        classes = sorted(e.name for e in entries if e.is_dir() and not is_stray(e.name))
    files: list[str] = []
    for name in classes:
        with os.scandir(folder / name) as entries:
            files += sorted(
                f"{above}{name}/{e.name}"
                for e in entries
                if e.name.lower().endswith(tuple(suffixes)) and not is_stray(e.name)
            )
    if not files:
        raise UserError(
            f"{folder}: holds no {', '.join(suffixes)} files in class folders; "
            f"expected {above}<class>/<images>"
        )
    return classes, files


def labels_of(files: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Returns the class index of each "split/class/name", (N,) int64."""
    index = {name: i for i, name in enumerate(classes)}
    return np.array([index[file.split("/")[-2]] for file in files], dtype=np.int64)


def is_miniature(root: Path) -> bool:
    """Returns whether the folder holds rendered images."""
    return (root / MINIATURE).exists()


def count_note(count: int, expected: int, things: str) -> tuple[str, ...]:
    """Returns the note on an incomplete set; none for a complete one."""
    return () if count == expected else (f"partial: {count} of {expected} {things}",)


def report(images: ImageSet) -> str:
    """Returns a line on a set. Raises UserError when it is partial."""
    for note in images.notes:
        if note.startswith("partial"):
            raise UserError(f"{images.name}: {note}; complete the folder, or use it as it is")
    counts = f"{len(images)} images, {len(images.classes)} classes"
    return "; ".join([f"{images.name}: {counts}", *images.notes])


def hold_out(images: ImageSet, n: int) -> tuple[ImageSet, ImageSet]:
    """Returns (rest, n held-out images), the same for every seed and balanced over the classes.

    Class sizes differ by one at most. Raises UserError when a class would have no image left.
    """
    classes = len(images.classes)
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(images))
    labels = images.labels[order]
    chosen: list[np.ndarray] = []
    for label in range(classes):
        members = order[labels == label]
        wanted = n // classes + (label < n % classes)
        if wanted and wanted >= len(members):
            raise UserError(
                f"{images.name}: cannot hold out {n} images, class {images.classes[label]} has "
                f"only {len(members)}; hold out fewer"
            )
        chosen.append(members[:wanted])
    held = np.sort(np.concatenate(chosen))
    rest = np.setdiff1d(np.arange(len(images)), held)
    return (
        images.subset(rest, f"{images.name} less {n} held out"),
        images.subset(held, f"{images.name}: {n} held out"),
    )
