"""The miniature Flickr-8K: its form, and that its captions are true of its pictures."""

import hashlib
import os

import numpy as np
from PIL import Image

from data import flickr8k
from data.captions import tokenize
from data.mini import flickr8k as miniature


def test_miniature_has_flickr8ks_form(mini):
    root = mini / "flickr8k"
    for split, count in miniature.IMAGES.items():
        images = flickr8k.load(root, split)
        assert len(images) == count
        assert images.notes == ("miniature: rendered images",)
        assert {len(set(captions)) for captions in images.captions} == {5}
        for name in images.images[:3]:
            with Image.open(flickr8k.image_folder(root) / name) as image:
                assert (image.size, image.mode) == ((128, 112), "RGB")
    lines = (root / "Flickr8k_text/Flickr8k.token.txt").read_text().splitlines()
    texts = [line.split("\t")[1] for line in lines]
    assert all(text[0].isupper() and text.endswith(" .") for text in texts)
    assert [line.split("\t")[0][-2:] for line in lines[:5]] == ["#0", "#1", "#2", "#3", "#4"]
    assert len(flickr8k.verify(root)) == 5
    assert ".jpg.1, which is no image" in flickr8k.verify(root)[3]


def digest(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.md5(path.read_bytes()).digest() for path in files}


def test_miniature_is_the_same_everywhere_and_written_once(mini, tmp_path):
    root = tmp_path / "flickr8k"
    miniature.write(root)
    assert digest(root) == digest(mini / "flickr8k")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    miniature.write(root)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert os.listdir(tmp_path) == ["flickr8k"]


SIDES = {  # words -> (axis, sign) of the first thing's place less the second's
    "left": (1, -1),
    "right": (1, 1),
    **dict.fromkeys(("above", "over"), (0, -1)),
    **dict.fromkeys(("below", "under", "beneath"), (0, 1)),
}
KINDS = {"box": "full", "square": "full", "ring": "hollow", "hoop": "hollow"}


def things(pixels):
    """Finds the colours that show: name -> (centre (y, x), height in pixels, kind of shape)."""
    palette = np.array([*miniature.COLOURS.values(), *miniature.SKIES])
    nearest = ((pixels[:, :, None].astype(float) - palette) ** 2).sum(3).argmin(2)
    found = {}
    for index, colour in enumerate(miniature.COLOURS):
        mask = nearest == index
        rows, columns = np.nonzero(mask & np.roll(mask, 1, 0) & np.roll(mask, 1, 1))  # no specks
        if len(rows) > 30:
            low, high = np.percentile(rows, [5, 95])
            box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            centre = mask[int(rows.mean()), int(columns.mean())]
            kind = "full" if box.mean() > 0.88 else "other" if centre else "hollow"
            found[colour] = ((rows.mean(), columns.mean()), high - low, kind)
    return found


def test_miniature_captions_are_true_of_the_pictures(mini):
    """Colours, places, sizes, shapes and times of day are measured in the files themselves."""
    root = mini / "flickr8k"
    images = flickr8k.load(root, "train")
    checked = dict.fromkeys(["place", "side", "size", "sky", "shape"], 0)
    for name, five in zip(images.images, images.captions, strict=True):
        with Image.open(flickr8k.image_folder(root) / name) as image:
            pixels = np.asarray(image)
        found = things(pixels)
        for words in five:
            colours = [word for word in words if word in miniature.COLOURS]
            assert set(colours) <= found.keys(), (name, words)
            if {"night", "dark"} & set(words):
                assert pixels[:3].mean() < 90
                checked["sky"] += 1
            if {"day", "daylight"} & set(words):
                assert pixels[:3].mean() > 150
                checked["sky"] += 1
            if len(set(colours)) < 2:
                continue
            (first, height, _), (second, other, _) = (found[colour] for colour in colours)
            for colour in colours:
                noun, kind = words[words.index(colour) + 1], found[colour][2]
                assert kind == KINDS.get(noun, "other"), (name, words)
                checked["shape"] += 1
            for word in words:
                if word in SIDES:
                    axis, sign = SIDES[word]
                    sign = -sign if "with" in words else sign  # "a box with a ring over it"
                    assert sign * (first[axis] - second[axis]) > 15, (name, words)
                    checked["place"] += 1
                if word in ("beside", "next"):
                    assert abs(first[1] - second[1]) > 15, (name, words)
                    checked["side"] += 1
            for size, sign in (("big", 1), ("large", 1), ("small", -1), ("little", -1)):
                if size in words:
                    is_first = words.index(size) < words.index(colours[0])
                    assert (sign > 0) == ((height > other) == is_first), (name, words)
                    checked["size"] += 1
    assert min(checked.values()) > 100, checked


def test_miniature_captions_name_the_shapes():
    scene = miniature.Scene(shapes=(1, 4), colours=(0, 2), relation=2, sky=1)
    allowed = {"ring", "hoop", "cross", "red", "blue", "above", "over", "below", "under", "beneath"}
    others = {word for nouns in miniature.NOUNS for word in nouns} | {*miniature.COLOURS, *SIDES}
    for seed in range(20):
        for caption in miniature.describe(scene, np.random.default_rng(seed)):
            words = set(tokenize(caption))
            assert words & {"ring", "hoop"}
            assert "cross" in words
            assert not words & (others - allowed), caption
