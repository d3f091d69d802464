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
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from dsd.errors import UserError

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)[:, None, None]  # RGB of 0..1
IMAGENET_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)[:, None, None]
CAFFE_MEAN = np.array([104, 117, 123], dtype=np.float32)[:, None, None]  # BGR of 0..255
CIFAR_MEAN = torch.tensor([125.3, 123.0, 113.9])[:, None, None]  # RGB of 0..255
CIFAR_STD = torch.tensor([63.0, 62.1, 66.7])[:, None, None]
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# Principal components of ImageNet's RGB values (fb.resnet.torch datasets/imagenet.lua).
PCA_VALUES = np.array([0.2175, 0.0188, 0.0045], dtype=np.float32)
PCA_VECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]],
    dtype=np.float32,
)

Rng = np.random.Generator


class FilePreprocessing(Protocol):
    """Turns one RGB image into (3, crop, crop) float32."""

    @property
    def crop(self) -> int: ...  # pixels
    def train(self, image: Image.Image, rng: Rng) -> np.ndarray: ...
    def evaluate(self, image: Image.Image) -> np.ndarray: ...


@dataclass(frozen=True)
class FbResnet:
    """ResNets: random crop by area and aspect, colour jitter, lighting, flip."""

    crop: int = 224
    resize: int = 256  # of the short side, in evaluation

    def train(self, image: Image.Image, rng: Rng) -> np.ndarray:
        image = random_resized_crop(image, self.crop, rng, Image.Resampling.BICUBIC)
        unit = jitter(channels_first(maybe_mirror(image, rng)) / np.float32(255), rng, 0.4)
        return (lighting(unit, rng, 0.1) - IMAGENET_MEAN) / IMAGENET_STD

    def evaluate(self, image: Image.Image) -> np.ndarray:
        image = resize_short(image, self.resize, Image.Resampling.BICUBIC)
        return normalised(centre_crop(image, self.crop))


@dataclass(frozen=True)
class Torchvision:
    """Networks that begin from torchvision's weights: as they were trained, bilinear."""

    crop: int = 224
    resize: int = 256  # of the short side, in evaluation

    def train(self, image: Image.Image, rng: Rng) -> np.ndarray:
        image = random_resized_crop(image, self.crop, rng, Image.Resampling.BILINEAR)
        return normalised(maybe_mirror(image, rng))

    def evaluate(self, image: Image.Image) -> np.ndarray:
        image = resize_short(image, self.resize, Image.Resampling.BILINEAR)
        return normalised(centre_crop(image, self.crop))


@dataclass(frozen=True)
class Caffe:
    """Caffe's networks: a crop of the squashed image and its mirror, BGR less the mean."""

    crop: int = 224
    resize: int = 256  # of both sides

    def train(self, image: Image.Image, rng: Rng) -> np.ndarray:
        left, top = rng.integers(0, self.resize - self.crop + 1, size=2)
        image = self._squash(image).crop((left, top, left + self.crop, top + self.crop))
        return channels_first(maybe_mirror(image, rng))[::-1] - CAFFE_MEAN

    def evaluate(self, image: Image.Image) -> np.ndarray:
        return channels_first(centre_crop(self._squash(image), self.crop))[::-1] - CAFFE_MEAN

    def _squash(self, image: Image.Image) -> Image.Image:
        return image.resize((self.resize, self.resize), Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class Cifar:
    """CIFAR-10: normalise, flip, crop of the image padded by zeros. Works on batches of pixels."""

    padding: int = 4

    def draws(self, images: int, generator: torch.Generator) -> Tensor:
        """Returns (images, 3) int64: top, left and flip (0 or 1) of every image of an epoch."""
        corners = torch.randint(2 * self.padding + 1, (images, 2), generator=generator)
        return torch.cat([corners, torch.randint(2, (images, 1), generator=generator)], 1)

    def train(self, pixels: Tensor, draws: Tensor) -> Tensor:
        """Crops (B, H, W, 3) uint8 pixels at their draws: (B, 3, H, W) float32."""
        height, width = pixels.shape[1:3]
        top, left, flip = draws.unsqueeze(-1).unbind(1)
        rows = top + torch.arange(height)  # (B, H)
        columns = torch.arange(width)
        columns = left + torch.where(flip == 1, columns.flip(0), columns)  # (B, W)
        places = rows[:, :, None] * (width + 2 * self.padding) + columns[:, None, :]
        padded = F.pad(self.evaluate(pixels), [self.padding] * 4).flatten(2)
        chosen = padded.gather(2, places.flatten(1)[:, None, :].expand(-1, 3, -1))
        return chosen.view(-1, 3, height, width)

    def evaluate(self, pixels: Tensor) -> Tensor:
        """Normalises (B, H, W, 3) uint8 pixels: (B, 3, H, W) float32."""
        floats = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        return floats.sub_(CIFAR_MEAN).div_(CIFAR_STD)


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


def random_resized_crop(
    image: Image.Image, size: int, rng: Rng, resample: Image.Resampling
) -> Image.Image:
    """Scales a random box to size x size pixels; without a box, the centre of the whole image."""
    box = random_box(image.size, rng)
    if box is None:
        return centre_crop(resize_short(image, size, resample), size)
    return image.resize((size, size), resample, box=box)


def resize_short(image: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    """Scales the short side to `size` pixels."""
    width, height = image.size
    if width < height:
        return image.resize((size, int(size * height / width)), resample)
    return image.resize((int(size * width / height), size), resample)


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """Cuts the middle size x size pixels."""
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def maybe_mirror(image: Image.Image, rng: Rng) -> Image.Image:
    """Mirrors left to right with chance 1/2."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image


def channels_first(image: Image.Image) -> np.ndarray:
    """Returns the pixels, (3, H, W) float32 of 0..255."""
    return np.asarray(image).transpose(2, 0, 1).astype(np.float32, order="C")


def normalised(image: Image.Image) -> np.ndarray:
    """Returns the pixels less ImageNet's mean over its deviation, (3, H, W) float32."""
    return (channels_first(image) / np.float32(255) - IMAGENET_MEAN) / IMAGENET_STD


def jitter(pixels: np.ndarray, rng: Rng, strength: float) -> np.ndarray:
    """Blends (3, H, W) pixels with black, the mean grey and the grey image, in random order.

    The image's own weight is drawn from 1 +- strength each time.
    """
    for kind in rng.permutation(3):
        weight = np.float32(1 + rng.uniform(-strength, strength))
        if kind == 0:  # brightness
            pixels = weight * pixels
        else:
            grey = np.tensordot(LUMA, pixels, 1)
            other = grey.mean() if kind == 1 else grey  # contrast or saturation
            pixels = weight * pixels + (1 - weight) * other
    return pixels


def lighting(pixels: np.ndarray, rng: Rng, std: float) -> np.ndarray:
    """Adds noise of this deviation along the principal components of colour to (3, H, W) pixels."""
    noise = rng.normal(0, std, 3).astype(np.float32)
    return pixels + (PCA_VECTORS @ (noise * PCA_VALUES))[:, None, None]
