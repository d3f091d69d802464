"""Your own captions: what a folder may hold, and the line for what cannot be used."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import captioned
from data.captions import tokenize
from dsd.errors import UserError

LINES = [(f"Bild {i} ü.png", f"A dog, number {i}.") for i in range(10)]


def pictures(root: Path, names, folder: str = "any where/images") -> Path:
    for name in names:
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((5, 6, 3), np.uint8)).save(path)
    return root


def table(root: Path, text: str) -> Path:
    (root / "captions.csv").write_text(text, encoding="utf-8")
    return root


def csv(lines, header="image,caption", mark=",") -> str:
    rows = [mark.join([name, f'"{text}"', *more]) for name, text, *more in lines]
    return "\n".join([header.replace(",", mark), *rows, ""])


def dataset(root: Path, images) -> Path:
    (root / "dataset.json").write_text(json.dumps({"images": images, "dataset": "own"}))
    return root


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "header", ["image,caption", "filename,text", "Image_Name,Caption", "\ufefffile,comment"]
)
def test_a_csv_of_image_and_caption_suffices(tmp_path, mark, header):
    root = table(pictures(tmp_path, dict(LINES)), csv(LINES, header, mark))
    sets = captioned.load(root)
    assert {split: len(images) for split, images in sets.items()} == {
        "train": 8,
        "val": 1,
        "test": 1,
    }
    assert sorted(name for s in sets.values() for name in s.images) == sorted(dict(LINES))
    (words,) = sets["test"].captions[0]
    number = sets["test"].images[0].split()[1]
    assert words == ("a", "dog", "number", number)
    assert [path.name for path in captioned.image_files(root)] == sorted(dict(LINES))
    assert captioned.verify(root)[-1] == "images: 10"


def test_words_keep_the_letters_of_any_language():
    assert captioned.words_of("Ein großer Hund's _Ball_, 犬 2!") == (
        "ein",
        "großer",
        "hunds",
        "ball",
        "犬",
        "2",
    )
    text = "A man 's t-shirt ."
    assert captioned.words_of(text) == tokenize(text)


def test_the_split_follows_the_seed(tmp_path):
    root = table(tmp_path, csv(LINES))
    first = captioned.load(root, 0)
    assert captioned.load(root, 0)["test"].images == first["test"].images
    assert len({captioned.load(root, seed)["test"].images for seed in range(8)}) > 1
    assert "drawn with seed 0" in first["train"].notes[0]


def test_splits_of_the_csv_and_paths_before_names(tmp_path):
    lines = [("a/x.png", "one", "train"), ("x.png", "two", "train"), ("b\\y.png", "three", "VAL")]
    lines += [("z.png", "four", "test"), ("w.png", "five", "restval")]
    sets = captioned.load(table(tmp_path, csv(lines, "image,caption,split")))
    assert sets["train"].images == ("x.png", "w.png")
    assert sets["train"].captions[0] == (("one",), ("two",))
    assert (sets["val"].images, sets["test"].images) == (("y.png",), ("z.png",))
    assert not sets["train"].notes


def karpathy(split="train", name="a.png", **sentence):
    return {"filename": name, "split": split, "sentences": [sentence or {"tokens": ["a", "dog"]}]}


def test_karpathys_layout_is_read(tmp_path):
    images = [
        karpathy(),
        karpathy("restval", "b.png", raw="Two dogs."),
        karpathy("val", "c.png"),
        {**karpathy("test", "d.png"), "filepath": "val2014", "cocoid": 9},
    ]
    sets = captioned.load(dataset(tmp_path, images))
    assert sets["train"].images == ("a.png", "b.png")
    assert sets["train"].captions == ((("a", "dog"),), (("two", "dogs"),))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the first line must name the columns"),
        ("a.png,A dog.\nb.png,A cat.\n", r"csv:1: the first line must name .*'a.png,A dog.'"),
        ("image,words\na.png,A dog.\n", "the first line must name the columns"),
        ("image,caption\n", "has no caption"),
        ("image,caption\na.png,A dog, running.\n", r"csv:2: 3 cells where .* has 2; put a caption"),
        ("image,caption\na.png\n", "csv:2: 1 cells"),
        ('image,caption\na.png,"A dog\nb.png,A cat\n', "csv:2: a quote that is not closed"),
        ('image,caption\na.png,A.\nb.png,"A\nc.png,"B"\n', "csv:3: a quote that is not closed"),
        ("image,caption\na.png,...\n", "csv:2: the caption of a.png has no words"),
        ("image,caption\na.png,\n", "csv:2: the caption of a.png has no words"),
        ("image,caption\n,A dog.\n", "csv:2: names no image"),
        ("image,caption\na.png,A dog.\nb.png,A cat.\n", "2 images are too few"),
        ("image,caption,split\na.png,A,train\na.png,B,test\n", "csv:3: a.png is in test, at .*:2"),
        ("image,caption,split\na.png,A,train\nb.png,B,\n", "csv:3: has no split, others have"),
        ("image,caption,split\na.png,A,dog\n", "csv:2: the split 'dog' is none of"),
        ("image,caption,split\na.png,A,train\nb.png,B,test\n", "no image is in val"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, text, said):
    with pytest.raises(UserError, match=said) as caught:
        captioned.load(table(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([karpathy("dog")], "images.0: the split 'dog'"),
        ([karpathy(), karpathy("val")], "images.1: a.png is in val, at .*images.0 in train"),
        ([{"filename": "a.png", "split": "train", "sentences": []}], "images.0: a.png has no capt"),
        ([{"filename": "a.png"}], "images.0.sentences: Field required"),
        ([karpathy(tokens=[])], "a.png has no words"),
    ],
)
def test_what_dataset_json_gets_wrong_is_named(tmp_path, images, said):
    with pytest.raises(UserError, match=said):
        captioned.load(dataset(tmp_path, images))


def test_other_faults_are_named(tmp_path):
    with pytest.raises(UserError, match="holds neither"):
        captioned.load(tmp_path)
    (tmp_path / "captions.csv").write_bytes("image,caption\na.png,é\n".encode("latin-1"))
    with pytest.raises(UserError, match="is no UTF-8 text"):
        captioned.load(tmp_path)
    root = table(pictures(tmp_path, [name for name, _ in LINES[1:]]), csv(LINES))
    with pytest.raises(UserError, match=r"captions.csv:2: Bild 0 ü.png is nowhere below"):
        captioned.image_files(root)
    pictures(tmp_path, [LINES[0][0]], "one")
    pictures(tmp_path, [LINES[0][0]], "two")
    with pytest.raises(UserError, match=r"captions.csv:2: Bild 0 ü.png is at .*one.* and .*two"):
        captioned.image_files(root)
    with pytest.raises(UserError, match=r"CAPTIONS=.* dsd features captions --network vgg16"):
        captioned.load_features(root, "vgg16", ["a.png"])
