"""Flickr-8K: 8000 photographs with five captions each (Hodosh et al., JAIR 2013).

The texts come in the official files or in NeuralTalk's dataset.json, the images as features too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import scipy.io
from pydantic import BaseModel, Field

from data import image_features
from data.captions import CaptionSet, tokenize
from data.image_features import checked, features_file
from data.images import MINIATURE_NOTE, is_miniature, is_stray
from data.karpathy import read_dataset
from dsd.errors import UserError

LAYOUT = """\
<folder>/Flickr8k_text/Flickr8k.token.txt                    40460 captions, and
<folder>/Flickr8k_text/Flickr_8k.{train,dev,test}Images.txt  6000, 1000 and 1000 names, or
<folder>/dataset.json                                        both, as NeuralTalk has them;
<folder>/Flicker8k_Dataset/*.jpg                             the images (or Images/, imgs/), or
<folder>/features_<network>.npz                              their features, or
<folder>/vgg_feats.mat                                       NeuralTalk's, of VGG-16"""
SOURCE = (
    "https://forms.illinois.edu/sec/1713398 (for research), or with VGG-16's features: "
    "https://cs.stanford.edu/people/karpathy/deepimagesent/"
)
COUNTS = {"train": 6000, "val": 1000, "test": 1000}
TOKENS = "Flickr8k.token.txt"
NAMES = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
FOLDERS = ("Flicker8k_Dataset", "Flickr8k_Dataset", "Images", "imgs")
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class _Texts:
    """The contents of the text files: names in each split's order, captions also of other names."""

    source: Path  # of the captions
    splits: dict[str, dict[str, str]]  # split -> image -> file and line that name it
    captions: dict[str, list[tuple[str, ...]]]  # image -> the words of each caption


class _Sentence(BaseModel):
    tokens: tuple[str, ...]


class _Image(BaseModel):
    filename: str
    imgid: Annotated[int, Field(ge=0)]  # column in vgg_feats.mat
    split: Literal["train", "val", "test"]
    sentences: tuple[_Sentence, ...]


class _Dataset(BaseModel):
    """NeuralTalk's dataset.json (its data/README.md)."""

    images: tuple[_Image, ...]


def load(root: Path, split: str) -> CaptionSet:
    """Reads a split ("train", "val" or "test"): names of the images and their captions.

    Official texts are tokenized as NeuralTalk's are; the tokens of dataset.json stay as they are.
    Raises UserError naming file and line where a split is incomplete or an image has no caption.
    """
    return _split(root, _read(root), split)


def verify(root: Path) -> list[str]:
    """Checks texts and features; returns lines on the splits, the images and each features file.

    Images may be missing, their features suffice. Raises UserError as `load` and `load_features`.
    """
    texts = _read(root)
    sets = [_split(root, texts, split) for split in COUNTS]
    lines = [
        "; ".join([f"{s.name}: {len(s)} images, {sum(map(len, s.captions))} captions", *s.notes])
        for s in sets
    ]
    images = [image for s in sets for image in s.images]
    lines += _left_out(texts, images)
    lines.append(_present(root, images))
    files = {path.stem.removeprefix("features_"): path for path in root.glob("features_*.npz")}
    if (root / "vgg_feats.mat").is_file():
        files.setdefault("vgg16", root / "vgg_feats.mat")
    for network, path in sorted(files.items()):
        count, size = load_features(root, network, images).shape
        lines.append(f"{path.name}: {count} images x {size} features")
    return lines


def image_folder(root: Path) -> Path:
    """Returns the folder that holds the images. Raises UserError when there is none.

    The official archive, unpacked into a folder of its name, gives two folders in each other.
    """
    folders = [root / name for name in FOLDERS]
    folders += [root / outer / inner for outer in FOLDERS for inner in FOLDERS]
    there = [folder for folder in (*folders, root) if folder.is_dir()]
    for folder in there:
        if any(_is_image(file) for file in folder.iterdir()):
            return folder
    if there[:-1]:
        return there[0]
    raise UserError(f"{root}: holds no images; unpack Flickr8k_Dataset.zip there")


def image_files(root: Path) -> list[Path]:
    """Returns the images' files, sorted. Raises UserError when there is none."""
    folder = image_folder(root)
    files = sorted(file for file in folder.iterdir() if _is_image(file))
    if not files:
        raise UserError(f"{folder}: holds no {', '.join(SUFFIXES)} files; unpack the images there")
    return files


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not is_stray(file.name)


def load_features(root: Path, network: str, images: Sequence[str]) -> np.ndarray:
    """Returns the features of these images, in this order: (len(images), D) float32.

    They are in features_<network>.npz; those of vgg16 may also be NeuralTalk's vgg_feats.mat:
    `feats` (D, N), columns numbered by `imgid` in dataset.json. Raises UserError as
    `data.image_features.load_features`.
    """
    path, mat = features_file(root, network), root / "vgg_feats.mat"
    remedy = f"run dsd features flickr8k --network {network}"
    if network == "vgg16" and not path.is_file() and mat.is_file():
        return image_features.load_features(mat, images, remedy, _read_mat)
    return image_features.load_features(path, images, remedy)


def _read_mat(path: Path) -> tuple[np.ndarray, list[str]]:
    """Reads the columns that dataset.json, beside it, gives a name."""
    feats = checked(scipy.io.loadmat(path, variable_names=["feats"])["feats"]).T
    known = [image for image in _dataset(path.parent).images if image.imgid < len(feats)]
    return feats[[image.imgid for image in known]], [image.filename for image in known]


def _read(root: Path) -> _Texts:
    """Reads whichever layout is there; the official texts before dataset.json."""
    for folder in (root / "Flickr8k_text", root):
        if (folder / TOKENS).is_file():
            return _read_official(folder)
    if (root / "dataset.json").is_file():
        return _read_dataset(root)
    raise UserError(
        f"{root}: holds neither Flickr8k_text/{TOKENS} nor dataset.json; "
        "point at the folder of Flickr-8K"
    )


def _read_official(folder: Path) -> _Texts:
    members = (
        (place, split, line.strip())
        for split, name in NAMES.items()
        for place, line in _lines(folder / name)
    )
    captions: dict[str, list[tuple[str, ...]]] = {}
    for place, line in _lines(folder / TOKENS):
        key, tab, text = line.partition("\t")
        image, mark, _ = key.rpartition("#")
        words = tokenize(text)
        if not (tab and mark and words):
            raise UserError(f"{place}: expected <file>#<n>, a tab and a caption; fix the line")
        captions.setdefault(image, []).append(words)
    return _Texts(folder / TOKENS, _splits(members), captions)


def _read_dataset(root: Path) -> _Texts:
    images = _dataset(root).images
    path = root / "dataset.json"
    members = ((f"{path}: images.{i}", m.split, m.filename) for i, m in enumerate(images))
    captions = {m.filename: [sentence.tokens for sentence in m.sentences] for m in images}
    return _Texts(path, _splits(members), captions)


def _dataset(root: Path) -> _Dataset:
    path = root / "dataset.json"
    try:
        return read_dataset(path, _Dataset, "download NeuralTalk's flickr8k.zip again")
    except FileNotFoundError:
        raise UserError(f"{path}: is missing; it names the columns of vgg_feats.mat") from None


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yields (file:line, text) of every line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", line
    except FileNotFoundError:
        raise UserError(f"{path}: is missing; unpack Flickr8k_text.zip again") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no UTF-8 text; unpack Flickr8k_text.zip again") from None


def _splits(members: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    """Sorts (place, split, image) by split.

    Raises UserError when an image is named twice, or its name leads to another folder.
    """
    splits: dict[str, dict[str, str]] = {split: {} for split in COUNTS}
    seen: dict[str, str] = {}
    for place, split, image in members:
        if Path(image).name != image or "\\" in image:
            raise UserError(f"{place}: {image!r} is no name of a file; fix it")
        if image in seen:
            raise UserError(
                f"{place}: {image} is in {split}, but in {seen[image]} already; remove one"
            )
        splits[split][image] = place
        seen[image] = split
    return splits


def _split(root: Path, texts: _Texts, split: str) -> CaptionSet:
    members = texts.splits[split]
    miniature = is_miniature(root)
    if len(members) != COUNTS[split] and not miniature:
        raise UserError(
            f"{root}: {split} has {len(members)} images, Flickr-8K has {COUNTS[split]}; "
            "restore the files that name them"
        )
    for image, place in members.items():
        if not texts.captions.get(image):
            raise UserError(f"{place}: {image} has no caption in {texts.source}; restore it")
    captions = tuple(tuple(texts.captions[image]) for image in members)
    notes = MINIATURE_NOTE if miniature else ()
    return CaptionSet(f"flickr8k/{split}", tuple(members), captions, notes)


def _left_out(texts: _Texts, images: Sequence[str]) -> list[str]:
    """Returns a line on captions that no split asks for: of images, and of names that are none."""
    others = texts.captions.keys() - set(images)
    strays = sorted(name for name in others if not name.lower().endswith(SUFFIXES))
    parts = []
    if len(others) > len(strays):
        parts.append(f"{len(others) - len(strays)} images in no split")
    parts += [f"{name}, which is no image" for name in strays]
    return [f"{texts.source.name}: left out: captions of {' and of '.join(parts)}"] if parts else []


def _present(root: Path, images: Sequence[str]) -> str:
    """Returns a line on the images that are there."""
    try:
        folder = image_folder(root)
    except UserError:
        return f"images: none of {len(images)}; features must stand for them"
    found = {path.name for path in folder.iterdir()}
    count = sum(image in found for image in images)
    rest = "" if count == len(images) else "; features must stand for the others"
    where = folder.relative_to(root) if folder != root else folder.name
    return f"images: {count} of {len(images)} in {where}{rest}"
