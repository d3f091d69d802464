"""Preprocessing by name, for training and for evaluation.

| network | name | original |
|---|---|---|
| ResNet-18, ResNet-50 | fb_resnet | fb.resnet.torch, datasets/imagenet.lua and transforms.lua |
| GoogLeNet, VGG-16 | caffe | Caffe's model zoo |
| AlexNet, SqueezeNet | caffe, crop 227 | Caffe's model zoo, SqueezeNet's train_val.prototxt |
| any that begins from torchvision's weights | torchvision | torchvision's reference training |
| ResNet-20 | cifar | fb.resnet.torch, datasets/cifar10.lua |

| name | training | evaluation |
|---|---|---|
| fb_resnet | crop of 8-100 % of the area at aspect 3/4-4/3, bicubic; mirror; colour jitter 0.4; \
lighting 0.1 | short side 256, bicubic; centre |
| torchvision | the same crop, bilinear; mirror | short side 256, bilinear; centre |
| caffe | squash to 256 x 256; crop; mirror; BGR of 0..255 less 104/117/123 | the same; centre |
| cifar | normalise; mirror; crop of the image padded by 4 zeros | normalise |

The originals resize without antialiasing (torch's image, OpenCV), Pillow with. Draws come from a
generator that the caller seeds; the global generators stay as they are.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from data.colours import Normalisation
from dsd.errors import UserError

IMAGENET = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
CAFFE = Normalisation((104.0, 117.0, 123.0), bgr=True)
CIFAR = Normalisation((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))

Rng = np.random.Generator


class FilePreprocessing(Protocol):
    """Cuts a picture, (H, W, 3) uint8 RGB, to (crop, crop, 3) uint8 RGB.

    In training also returns what the image's colours drew, (3, 7), where they draw; `colours`
    makes the network's input of both.
    """

    colours: ClassVar[Normalisation]
    draws_colours: ClassVar[bool]

    @property
    def crop(self) -> int: ...  # pixels
    def train(self, pixels: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray | None]: ...
    def evaluate(self, pixels: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class FbResnet:
    """ResNets: random crop by area and aspect, colour jitter, lighting, flip."""

    crop: int = 224
    resize: int = 256  # of the short side, in evaluation
    colours: ClassVar[Normalisation] = IMAGENET
    draws_colours: ClassVar[bool] = True

    def train(self, pixels: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        cut = maybe_mirror(random_resized_crop(pixels, self.crop, rng, "bicubic"), rng)
        return cut, self.colours.draw(rng)

    def evaluate(self, pixels: np.ndarray) -> np.ndarray:
        return resized_centre(pixels, self.resize, self.crop, Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class Torchvision:
    """Networks that begin from torchvision's weights: as they were trained, bilinear."""

    crop: int = 224
    resize: int = 256  # of the short side, in evaluation
    colours: ClassVar[Normalisation] = IMAGENET
    draws_colours: ClassVar[bool] = False

    def train(self, pixels: np.ndarray, rng: Rng) -> tuple[np.ndarray, None]:
        return maybe_mirror(random_resized_crop(pixels, self.crop, rng, "bilinear"), rng), None

    def evaluate(self, pixels: np.ndarray) -> np.ndarray:
        return resized_centre(pixels, self.resize, self.crop, Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class Caffe:
    """Caffe's networks: a crop of the squashed image and its mirror, BGR less the mean."""

    crop: int = 224
    resize: int = 256  # of both sides
    colours: ClassVar[Normalisation] = CAFFE
    draws_colours: ClassVar[bool] = False

    def train(self, pixels: np.ndarray, rng: Rng) -> tuple[np.ndarray, None]:
        left, top = rng.integers(0, self.resize - self.crop + 1, size=2)
        cut = self.squash(pixels)[top : top + self.crop, left : left + self.crop]
        return maybe_mirror(cut, rng), None

    def evaluate(self, pixels: np.ndarray) -> np.ndarray:
        return centre_crop(self.squash(pixels), self.crop)

    def squash(self, pixels: np.ndarray) -> np.ndarray:
        """Scales to resize x resize, whatever the aspect; one of that size stays as it is."""
        size = self.resize, self.resize
        if pixels.shape[:2] == size:
            return pixels
        return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class Cifar:
    """CIFAR-10: normalise, flip, crop of the image padded by zeros; batches, on their device."""

    padding: int = 4

    def draws(self, images: int, generator: torch.Generator) -> Tensor:
        """Returns (images, 3) int64: top, left and flip (0 or 1) of every image of an epoch."""
        corners = torch.randint(2 * self.padding + 1, (images, 2), generator=generator)
        return torch.cat([corners, torch.randint(2, (images, 1), generator=generator)], 1)

    def colours(self, images: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Returns (B, 3, H, W) float32 of (B, 3, H, W) uint8, in the same memory format.

        drawn: their `draws`; the images are flipped and cropped, too.
        """
        floats = CIFAR(images)
        if drawn is None:
            return floats
        height, width = images.shape[2:]
        top, left, flip = drawn.unsqueeze(-1).unbind(1)
        rows = top + torch.arange(height, device=images.device)  # (B, H)
        columns = torch.arange(width, device=images.device)
        columns = left + torch.where(flip == 1, columns.flip(0), columns)  # (B, W)
        places = rows[:, :, None] * (width + 2 * self.padding) + columns[:, None, :]
        padded = F.pad(floats, [self.padding] * 4).flatten(2)
        chosen = padded.gather(2, places.flatten(1)[:, None, :].expand(-1, 3, -1))
        chosen = chosen.view(-1, 3, height, width)
        last = images.is_contiguous(memory_format=torch.channels_last)
        return chosen.contiguous(memory_format=torch.channels_last) if last else chosen


Preprocessing = FbResnet | Torchvision | Caffe | Cifar
BY_NAME: dict[str, Preprocessing] = {
    "fb_resnet": FbResnet(),
    "torchvision": Torchvision(),
    "caffe": Caffe(),
    "cifar": Cifar(),
}


def preprocessing(name: str, crop: int | None = None, resize: int | None = None) -> Preprocessing:
    """Returns a preprocessing by name; crop and resize are sizes in pixels.

    Raises UserError for an unknown name, and for a crop larger than the resized image.
    """
    if name not in BY_NAME:
        raise UserError(f"preprocessing {name!r}: not known; known: {', '.join(BY_NAME)}")
    chosen = BY_NAME[name]
    if isinstance(chosen, Cifar):
        if crop or resize:
            raise UserError("preprocessing cifar: takes no crop or resize; leave them out")
        return chosen
    chosen = replace(chosen, crop=crop or chosen.crop, resize=resize or chosen.resize)
    if chosen.crop > chosen.resize:
        raise UserError(
            f"preprocessing {name}: crop {chosen.crop} is larger than resize {chosen.resize}; "
            "make it smaller"
        )
    return chosen


def random_box(size: tuple[int, int], rng: Rng) -> tuple[int, int, int, int] | None:
    """Draws (left, top, right, bottom) of 8-100 % of the area at aspect 3/4-4/3 or its inverse.

    None when ten draws do not fit (fb.resnet.torch transforms.lua, RandomSizedCrop).
    """
    for _ in range(10):
        area = rng.uniform(0.08, 1.0) * size[0] * size[1]
        aspect = rng.uniform(3 / 4, 4 / 3)
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if rng.random() < 0.5:
            width, height = height, width
        if 0 < width <= size[0] and 0 < height <= size[1]:
            left = int(rng.integers(0, size[0] - width + 1))
            top = int(rng.integers(0, size[1] - height + 1))
            return left, top, left + width, top + height
    return None


def random_resized_crop(pixels: np.ndarray, size: int, rng: Rng, mode: str) -> np.ndarray:
    """Scales a random box to size x size pixels; without a box, the centre of the whole image.

    mode: "bilinear" or "bicubic", antialiased, as Pillow does it to a grey level or two; torch is
    two to three times as fast.
    """
    box = random_box((pixels.shape[1], pixels.shape[0]), rng)
    if box is None:
        resample = Image.Resampling[mode.upper()]
        return resized_centre(pixels, size, size, resample)
    left, top, right, bottom = box
    part = torch.from_numpy(pixels)[top:bottom, left:right].permute(2, 0, 1)[None]
    scaled = F.interpolate(part, (size, size), mode=mode, antialias=True, align_corners=False)
    return scaled[0].permute(1, 2, 0).numpy()


def resized_centre(
    pixels: np.ndarray, resize: int, crop: int, resample: Image.Resampling
) -> np.ndarray:
    """Scales the short side to `resize` pixels and cuts the middle crop x crop."""
    height, width, _ = pixels.shape
    size = (resize, int(resize * height / width))
    if width >= height:
        size = (int(resize * width / height), resize)
    return centre_crop(np.array(Image.fromarray(pixels).resize(size, resample)), crop)


def centre_crop(pixels: np.ndarray, size: int) -> np.ndarray:
    """Cuts the middle size x size pixels."""
    top, left = (round((side - size) / 2) for side in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]


def maybe_mirror(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """Mirrors left to right with chance 1/2."""
    if rng.random() >= 0.5:
        return pixels
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].flip(3)[0].permute(1, 2, 0).numpy()
