"""From a batch of 8-bit pixels to a network's input: one step, on the batch's device.

Jitter, lighting and normalisation are linear in a pixel's three colours and their mean over the
image. So what an image draws becomes one small matrix, and its pixels become floats where the
network is.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

LUMA = np.array([0.299, 0.587, 0.114])
# Principal components of ImageNet's RGB values (fb.resnet.torch datasets/imagenet.lua).
PCA_VALUES = np.array([0.2175, 0.0188, 0.0045])
PCA_VECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)


@dataclass(frozen=True)
class Normalisation:
    """Pixels of 0..255 less the mean over the deviation, of RGB, or of BGR as OpenCV reads them."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False

    def __call__(self, images: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Returns (B, 3, H, W) float32 of (B, 3, H, W) uint8, in the same memory format.

        drawn: (B, 3, 7) of `draw`; the images are jittered and lit, then normalised.
        """
        if drawn is not None:
            return self._drawn(images, drawn)
        pixels = images.to(torch.float32)
        if self.bgr:
            pixels = pixels.flip(1)
        mean, std = _constants(self, images.device)
        return pixels.sub_(mean) if self.std == (1.0, 1.0, 1.0) else pixels.sub_(mean).div_(std)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draws jitter of strength 0.4 and lighting of 0.1 of one image.

        Returns (3, 7) float32: what its pixels, of 0..255, are multiplied by (3 x 3), what their
        mean is (3 x 3), and what is added.
        """
        matrix, of_mean = jitter(rng, 0.4)
        std = np.array(self.std)[:, None]
        shift = 255 * lighting(rng, 0.1) - self.mean
        return (np.column_stack([matrix, of_mean, shift]) / std).astype(np.float32)

    def _drawn(self, images: Tensor, drawn: Tensor) -> Tensor:
        last = images.is_contiguous(memory_format=torch.channels_last)
        pixels = images.contiguous().to(torch.float32).flatten(2)  # (B, 3, H W)
        matrix, of_mean, shift = drawn.split([3, 3, 1], 2)
        shift = torch.baddbmm(shift, of_mean, pixels.mean(2, keepdim=True))
        found = torch.baddbmm(shift, matrix, pixels).view(images.shape)
        return found.contiguous(memory_format=torch.channels_last) if last else found


@cache  # copying them to a GPU at every step would wait for it
def _constants(colours: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns the mean and the deviation, (3, 1, 1)."""
    pair = torch.tensor([colours.mean, colours.std])[..., None, None].to(device)
    return pair[0], pair[1]


def jitter(rng: np.random.Generator, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Draws a blend with black, the mean grey and the grey image, in random order.

    The image's own weight is drawn from 1 +- strength each time. Returns two (3, 3): the blend of
    a pixel is the first times the pixel, plus the second times the image's mean.
    """
    matrix, of_mean = np.eye(3), np.zeros((3, 3))
    for kind in rng.permutation(3):
        weight = 1 + rng.uniform(-strength, strength)
        if kind == 0:  # brightness
            matrix, of_mean = weight * matrix, weight * of_mean
        elif kind == 1:  # contrast: the mean pixel is as matrix and of_mean have made it
            of_mean = weight * of_mean + (1 - weight) * LUMA @ (matrix + of_mean)
            matrix = weight * matrix
        else:  # saturation
            blend = weight * np.eye(3) + (1 - weight) * LUMA
            matrix, of_mean = blend @ matrix, blend @ of_mean
    return matrix, of_mean


def lighting(rng: np.random.Generator, std: float) -> np.ndarray:
    """Draws (3,): noise of this deviation along the principal components of RGB of 0..1."""
    return PCA_VECTORS @ (rng.normal(0, std, 3) * PCA_VALUES)
