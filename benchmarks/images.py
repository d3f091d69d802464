"""Training images from JPEG files to a network's input, against torchvision's transforms.

    python -m benchmarks.images [--rounds 15] [--out FILE]

Both read the same files of 500 x 375 pixels, about 110 kB each (ImageNet's mean), one core: Pillow
decodes for torchvision, then RandomResizedCrop, flip, colours and normalisation on PIL images, as
its reference training does it. The pictures are drawn: noise of every scale, and grain.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from benchmarks.pairs import compare, options, write
from data.images import ImageSet
from data.loader import Loader
from data.transforms import Cifar, preprocessing

PICTURES, SIZE, QUALITY = 64, (500, 375), 95
LEAST = 2.0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
END = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
FLIP = transforms.RandomHorizontalFlip()
REFERENCES = {
    "fb_resnet": [
        transforms.RandomResizedCrop(224, interpolation=transforms.InterpolationMode.BICUBIC),
        *(FLIP, transforms.ColorJitter(0.4, 0.4, 0.4)),
    ],
    "torchvision": [transforms.RandomResizedCrop(224), FLIP],
}


def draw(folder: Path) -> ImageSet:
    """Writes the pictures; returns them as a set."""
    rng = np.random.default_rng(0)
    files = tuple(f"{i:03d}.jpg" for i in range(PICTURES))
    for file in files:
        picture = np.full((SIZE[1], SIZE[0], 3), 128.0)
        for scale in (4, 8, 16, 32, 64, 128):
            coarse = rng.integers(0, 256, (scale * 3 // 4, scale, 3), dtype=np.uint8)
            layer = Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)
            picture += (np.asarray(layer) - 128.0) * (1.2 / scale**0.35)
        picture += rng.normal(0, 5, (SIZE[1], SIZE[0], 1))
        image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
        image.save(folder / file, quality=QUALITY)
    return ImageSet("drawn", ("one",), np.zeros(PICTURES, np.int64), folder, files)


def ours(images: ImageSet, name: str, colours: bool = True) -> None:
    """Makes the network's input of every picture once, without colours: up to its bytes."""
    prepare = preprocessing(name)
    assert not isinstance(prepare, Cifar)
    loader = Loader(images, prepare, batch_size=32, seed=0, train=True)
    for batch in loader.batches():
        if colours:
            prepare.colours(batch["images"].contiguous(), batch.get("drawn"))


def decoded(images: ImageSet) -> None:
    """Decodes every picture and does nothing with it: what ours can't do without."""
    for place in range(len(images)):
        images.read(place)


def torchvisions(images: ImageSet, prepare: transforms.Compose) -> None:
    """Does the same as torchvision's reference does it."""
    for start in range(0, len(images), 32):
        pictures = (Image.open(images.root / f) for f in images.files[start : start + 32])
        torch.stack([prepare(picture.convert("RGB")) for picture in pictures])


def cases(images: ImageSet, name: str, rounds: int) -> Iterator[dict[str, Any]]:
    """Yields two comparisons of one preprocessing: to the network's input, and to its bytes.

    Beside a GPU the rest of our way is done there. The limit is to decode the pictures alone.
    """
    reference = transforms.Compose([*REFERENCES[name], *END])
    ways = {
        "ours": partial(ours, images, name),
        "torchvision": partial(torchvisions, images, reference),
        "ours again": partial(ours, images, name),
        "ours to bytes": partial(ours, images, name, colours=False),
        "decoding": partial(decoded, images),
    }
    result = compare(ways, rounds, torch.device("cpu"))
    kilobytes = sum((images.root / file).stat().st_size for file in images.files) / 1000
    about = {
        "images_per_turn": len(images),
        "kB_per_image": round(kilobytes / len(images), 1),
        "least": LEAST,
        "limit": result["ratios"]["cpu"]["decoding"]["median"],
    }
    yield {"case": name, **about, **result}
    to_bytes = {
        clock: {"measured": ratios["ours to bytes"], "control": ratios["control"]}
        for clock, ratios in result["ratios"].items()
    }
    left = f"{name}, where our colours and normalisation are left to a GPU"
    yield {"case": left, **about, "clock": result["clock"], "ratios": to_bytes}


def main() -> None:
    chosen = options(__doc__, "images", rounds=15, of_torch=False)
    with tempfile.TemporaryDirectory() as folder:
        images = draw(Path(folder))
        both = chain.from_iterable(cases(images, name, chosen.rounds) for name in REFERENCES)
        write("images", both, torch.device("cpu"), chosen.out)


if __name__ == "__main__":
    main()
