"""Image features for captions: what a network trained on ImageNet computes before its classifier.

| network | features | pixels |
|---|---|---|
| vgg16 | fc7 after its ReLU, 4096 (the paper's) | torchvision's, or Caffe's with Caffe's weights |
| efficientnet_lite0 | the pooled 1280 | RGB, (x - 127) / 128 |

The whole image is squashed to 224 x 224, bicubic, without a crop: NeuralTalk's
matlab_features_reference/prepare_images_batch.m, as MATLAB's imresize does it, except that Pillow
rounds to whole pixel values. NeuralTalk's python_features subtracts the mean before
scipy.misc.imresize, which stretches what is left to 0..255; that is not followed.
"""

import hashlib
import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from data.image_features import features_file
from data.images import read_image
from data.npz import load_npz
from dsd.errors import UserError
from dsd.runs.files import lock, write_atomically
from dsd.suite.names import nearest
from models import build
from models.efficientnet_lite import weights_file
from models.weights import load_weights, resolve, trained_with

DEFAULT_WEIGHTS: dict[str, Callable[[], str]] = {  # network: what it starts from
    "vgg16": lambda: "torchvision:IMAGENET1K_V1",
    "efficientnet_lite0": lambda: str(weights_file()),
}
SIDE = 224  # pixels
BATCH = 8  # images; more are slower on a CPU, and a GPU waits for the decoding anyway
PART = 64  # images in a file of the unfinished extraction
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)[:, None, None]  # RGB of 0..1
IMAGENET_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)[:, None, None]
# BGR of 0..255, as NeuralTalk has it for the VGG networks.
VGG_MEAN = np.array([103.939, 116.779, 123.68], dtype=np.float32)[:, None, None]


class Encoder:
    """A network that turns images into features, on one device.

    network: vgg16 or efficientnet_lite0. weights: a source of `models.weights.load_weights`, by
    default torchvision's and the package's; .caffemodel and .npz are Caffe's and get its pixels.
    upright: photographs are turned as their cameras say; a corpus's are not, as the originals.
    Raises UserError for an unknown network and for weights that cannot be read.
    """

    def __init__(
        self,
        network: str,
        weights: str | None = None,
        device: torch.device | str = "cpu",
        upright: bool = False,
    ) -> None:
        if network not in DEFAULT_WEIGHTS:
            hint = nearest(network, DEFAULT_WEIGHTS)
            raise UserError(f"no features are computed with network {network!r}{hint}")
        source = weights or DEFAULT_WEIGHTS[network]()
        net = build(network)
        load_weights(net, source, network=network)
        self.weights, self._upright = resolve(source), upright
        self._pixels = _pixels(network, source)
        self._device = torch.device(device)
        self._net = _headless(network, net).eval().to(self._device)
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, images: Sequence[Path | Image.Image]) -> Tensor:
        """Returns the features of files or RGB images, (N, D) float32 on the CPU.

        Raises UserError naming a file that cannot be read or is no picture.
        """
        batches = (images[i : i + BATCH] for i in range(0, len(images), BATCH))
        return torch.cat([self._batch(batch) for batch in batches])

    def _batch(self, images: Sequence[Path | Image.Image]) -> Tensor:
        ready = np.stack([self._pixels(self._squashed(image)) for image in images])
        batch = torch.from_numpy(ready).to(self._device, memory_format=torch.channels_last)
        return self._net(batch).cpu()

    def _squashed(self, image: Path | Image.Image) -> Image.Image:
        picture = read_image(image, self._upright) if isinstance(image, Path) else image
        return picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def channels_first(image: Image.Image) -> np.ndarray:
    """Returns the pixels, (3, H, W) float32 of 0..255."""
    return np.asarray(image).transpose(2, 0, 1).astype(np.float32, order="C")


def normalised(image: Image.Image) -> np.ndarray:
    """Returns the pixels less ImageNet's mean over its deviation, (3, H, W) float32."""
    return (channels_first(image) / np.float32(255) - IMAGENET_MEAN) / IMAGENET_STD


def extract(
    root: Path,
    images: Sequence[Path],
    network: str,
    weights: str | None = None,
    device: torch.device | str = "cpu",
) -> Path:
    """Writes root/features_<network>.npz of a corpus's images; returns its path.

    It holds `feats` (N, D) float16, `names` (N,), and `weights`: what they were computed with.
    A stopped extraction goes on to the same bits; its parts are in a hidden folder beside the file.
    Raises UserError naming an image that cannot be read, or when the file is there already.
    """
    path = features_file(root, network)
    if path.exists():
        raise UserError(f"{path}: is there already; move it away to extract it again")
    encoder = Encoder(network, weights, device)
    computed_with = (network, encoder.weights, torch.device(device).type)
    unfinished = root / f".features_{network}.part"
    with lock(unfinished):
        parts = [images[i : i + PART] for i in range(0, len(images), PART)]
        files = [unfinished / f"{_digest(computed_with, part)}.npz" for part in parts]
        todo = [(file, part) for file, part in zip(files, parts, strict=True) if not _whole(file)]
        done = len(parts) - len(todo)
        console = Console(stderr=True)
        for file, part in track(todo, network, len(parts), done, console=console):
            write_atomically(file, _bytes(np.savez, feats=_rounded(encoder(part), part)))
        feats = np.concatenate([_read_part(file) for file in files])
        names = np.array([image.name for image in images])
        weights_used = np.array(encoder.weights)
        write_atomically(
            path,
            _bytes(np.savez_compressed, feats=feats, names=names, weights=weights_used),
        )
        shutil.rmtree(unfinished)
    return path


def _headless(network: str, net: nn.Module) -> nn.Module:
    """Takes the last layer away."""
    if network == "vgg16":
        net.classifier = net.classifier[:5]  # type: ignore[index]  # ends with fc7's ReLU
    else:
        net._fc = nn.Identity()
    return net


def _pixels(network: str, source: str) -> Callable[[Image.Image], np.ndarray]:
    """Returns what turns an image into the pixels the weights expect, (3, H, W) float32."""
    if network == "efficientnet_lite0":
        return lambda image: (channels_first(image) - 127) / 128
    if trained_with(source) == "caffe":
        return lambda image: channels_first(image)[::-1] - VGG_MEAN
    return normalised


def _digest(computed_with: tuple[str, ...], images: Sequence[Path]) -> str:
    """Returns a part's name, so that other weights or files never meet in one extraction."""
    words = [*computed_with, *(f"{image.name} {image.stat().st_size}" for image in images)]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _rounded(features: Tensor, images: Sequence[Path]) -> np.ndarray:
    """Returns features as float16. Raises UserError naming an image whose are not finite then."""
    with np.errstate(over="ignore"):
        found = features.numpy().astype(np.float16)
    sound = np.isfinite(found).all(1)
    if not sound.all():
        raise UserError(
            f"{images[int(sound.argmin())]}: its features are not finite; give sound --weights"
        )
    return found


def _read_part(file: Path) -> np.ndarray:
    return load_npz(file)["feats"]


def _whole(file: Path) -> bool:
    """Returns whether a part is there and whole; a damaged one is computed again."""
    try:
        return bool(_read_part(file).size)
    except Exception:  # damaged archives raise many kinds
        return False


def _bytes(save: Callable[..., None], *arrays: np.ndarray, **named: np.ndarray) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()
