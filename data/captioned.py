"""Your own images with captions: captions.csv, or Karpathy's dataset.json, and a folder of images.

Images are told apart by their file's name alone, wherever they lie below the folder.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from data import image_features
from data.captions import CaptionSet
from data.image_features import features_file
from data.images import MINIATURE_NOTE, is_miniature, is_stray, read_image
from data.karpathy import read_dataset
from dsd.errors import UserError

LAYOUT = """\
<folder>/captions.csv             a line for each caption: image,caption (and split), or
<folder>/dataset.json             Karpathy's layout: images with filename, split, sentences
<folder>/images/*.jpg             the images, in any folders, and
<folder>/features_<network>.npz   their features: dsd features captions --network <network>"""
SOURCE = "your own pictures and captions; docs/your-captions.md says more"
SPLITS = ("train", "val", "test")
NAMES = {**{name: name for name in SPLITS}, "restval": "train", "dev": "val", "valid": "val"}
COLUMNS = {  # of the CSV: ours, and what others call it
    "image": ("image", "image_name", "filename", "file_name", "file", "path"),
    "caption": ("caption", "comment", "text", "sentence"),
    "split": ("split",),
}
SHARE = 0.1  # of the images, for val and for test, where no splits are given
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
DELIMITERS = ",;\t|"


class _Sentence(BaseModel):
    tokens: tuple[str, ...] | None = None
    raw: str = ""


class _Image(BaseModel):
    filename: str
    split: str | None = None
    sentences: tuple[_Sentence, ...]


class _Dataset(BaseModel):
    images: tuple[_Image, ...]


@dataclass
class _Captioned:
    """An image: the file and line that name it first, its split if given, its captions."""

    place: str
    split: str | None
    captions: list[tuple[str, ...]]


def load(root: Path, split_seed: int = 0) -> dict[str, CaptionSet]:
    """Reads the sets "train", "val" and "test".

    Without splits of its own the corpus is split by a seed, a tenth each for val and test.
    Raises UserError naming file and line for what is damaged, an empty caption, an image in two
    splits or in none where others have one, and when a set is empty.
    """
    source, images = _read(root)
    notes: tuple[str, ...] = ()
    given = {one.split for one in images.values()}
    if given == {None}:
        _split(images, split_seed, source)
        notes = (
            f"val and test: {100 * SHARE:g} % of the images each, drawn with seed {split_seed}",
        )
    if is_miniature(root):
        notes = MINIATURE_NOTE
    sets = {}
    for split in SPLITS:
        members = {name: one for name, one in images.items() if one.split == split}
        if not members:
            raise UserError(f"{source}: no image is in {split}; name some, or leave all splits out")
        captions = tuple(tuple(one.captions) for one in members.values())
        name = f"{root.resolve().name or 'root'}/{split}"
        sets[split] = CaptionSet(name, tuple(members), captions, notes)
    return sets


def load_features(root: Path, network: str, images: Sequence[str]) -> np.ndarray:
    """Returns the features of these images, in this order: (len(images), D) float32.

    Raises UserError as `data.image_features.load_features`.
    """
    remedy = f"run CAPTIONS={root} dsd features captions --network {network}"
    return image_features.load_features(features_file(root, network), images, remedy)


def image_files(root: Path) -> list[Path]:
    """Returns the files of the captioned images, sorted.

    Raises UserError naming the line whose image is missing, or is there twice.
    """
    _, images = _read(root)
    there = pictures(root)
    for name, one in images.items():
        found = there.get(name, [])
        if not found:
            raise UserError(
                f"{one.place}: {name} is nowhere below {root}; add it, or remove the line"
            )
        if len(found) > 1:
            raise UserError(f"{one.place}: {name} is at {found[0]} and {found[1]}; rename one")
    return sorted(there[name][0] for name in images)


def words_of(text: str) -> tuple[str, ...]:
    """Returns a caption's words: as `data.captions.tokenize`, with the letters of any language."""
    return tuple(re.sub(r"[^\w\s]|_", "", text.lower()).split())


def pictures(root: Path) -> dict[str, list[Path]]:
    """Returns the files of images below a folder, by their names."""
    there: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in SUFFIXES and not any(map(is_stray, path.relative_to(root).parts)):
            there.setdefault(path.name, []).append(path)
    return there


def verify(root: Path) -> list[str]:
    """Decodes every image; returns lines on the sets, the images and each file of features.

    Raises UserError as `load`, `image_files` and `load_features`, and naming a corrupt image.
    """
    sets = load(root)
    lines = [
        "; ".join([f"{s.name}: {len(s)} images, {sum(map(len, s.captions))} captions", *s.notes])
        for s in sets.values()
    ]
    files = image_files(root)
    for file in files:
        read_image(file)
    lines.append(f"images: {len(files)}")
    names = [name for images in sets.values() for name in images.images]
    for path in sorted(root.glob("features_*.npz")):
        network = path.stem.removeprefix("features_")
        count, size = load_features(root, network, names).shape
        lines.append(f"{path.name}: {count} images x {size} features")
    return lines


def _read(root: Path) -> tuple[Path, dict[str, _Captioned]]:
    """Returns the file of captions, and the images by name, in its order."""
    source = root / "captions.csv"
    if source.is_file():
        lines = _csv(source)
    elif (source := root / "dataset.json").is_file():
        lines = _json(source)
    else:
        raise UserError(f"{root}: holds neither captions.csv nor dataset.json; write one of them")
    images: dict[str, _Captioned] = {}
    for place, image, split, words in lines:
        name = image.replace("\\", "/").rpartition("/")[2]
        if not name:
            raise UserError(f"{place}: names no image; fix the line")
        if not words:
            raise UserError(f"{place}: the caption of {name} has no words; write one, or remove it")
        if split is not None and split not in NAMES:
            raise UserError(f"{place}: the split {split!r} is none of train, val, test; fix it")
        its = split and NAMES[split]
        one = images.setdefault(name, _Captioned(place, its, []))
        if one.split != its:
            raise UserError(
                f"{place}: {name} is in {its or 'no split'}, at {one.place} in "
                f"{one.split or 'none'}; name one split"
            )
        one.captions.append(words)
    if not images:
        raise UserError(f"{source}: has no caption; write a line for each")
    without = [one.place for one in images.values() if one.split is None]
    if without and len(without) < len(images):
        raise UserError(f"{without[0]}: has no split, others have; name one for all, or for none")
    return source, images


def _csv(path: Path) -> Iterator[tuple[str, str, str | None, tuple[str, ...]]]:
    """Yields (file:line, image, split, words) of each line after the header."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no UTF-8 text; save it as CSV in UTF-8") from None
    header = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        places = {
            ours: next((columns.index(name) for name in names if name in columns), None)
            for ours, names in COLUMNS.items()
        }
        image, caption, split = places["image"], places["caption"], places["split"]
        if image is None or caption is None:
            raise UserError(
                f"{path}:1: the first line must name the columns: image,caption (and split); "
                f"it is {header.strip()[:60]!r}"
            )
        ended = reader.line_num
        for row in reader:
            first, ended = ended + 1, reader.line_num
            if not any(cell.strip() for cell in row):
                continue
            place = f"{path}:{reader.line_num}"
            if any("\n" in cell for cell in row):
                raise UserError(
                    f"{path}:{first}: a quote that is not closed, or a caption of several lines; "
                    "close it, or write the caption in one line"
                )
            if len(row) != len(columns):
                raise UserError(
                    f"{place}: {len(row)} cells where the first line has {len(columns)}; put a "
                    'caption that holds a comma into quotes: a.jpg,"a dog, running"'
                )
            its = row[split].strip().lower() or None if split is not None else None
            yield place, row[image].strip(), its, words_of(row[caption])
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: {error}; fix the line") from None


def _json(path: Path) -> Iterator[tuple[str, str, str | None, tuple[str, ...]]]:
    remedy = "a layout as of Karpathy's datasets is expected (docs/your-captions.md)"
    for number, image in enumerate(read_dataset(path, _Dataset, remedy).images):
        place = f"{path}: images.{number}"
        if not image.sentences:
            raise UserError(f"{place}: {image.filename} has no caption; write one, or remove it")
        for sentence in image.sentences:
            words = words_of(sentence.raw) if sentence.tokens is None else sentence.tokens
            yield place, image.filename, image.split, words


def _split(images: Mapping[str, _Captioned], seed: int, source: Path) -> None:
    """Draws val and test, at least an image each."""
    count = max(1, round(SHARE * len(images)))
    if len(images) < 3:
        raise UserError(f"{source}: {len(images)} images are too few to train, watch and test")
    order = np.random.default_rng(seed).permutation(list(images)).tolist()
    for place, name in enumerate(order):
        images[name].split = ("val", "test", "train")[min(place // count, 2)]
