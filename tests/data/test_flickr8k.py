import hashlib
import json
import os
import shutil

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data import flickr8k
from data.captions import CaptionSet, Vocabulary, tokenize
from data.images import MINIATURE
from data.mini import flickr8k as miniature
from dsd.errors import UserError

LINES = """\
b.jpg#0\tA black dog runs .
b.jpg#1\tA man 's dog , running
a.jpg#0\tTwo tri-colored dogs play .
c.jpg#0\tA girl !
d.jpg#0\tA boy .
unsplit.jpg#0\tA cat .
e.jpg.1#0\tpeople waiting for the subway
"""
SPLITS = {"train": ["b.jpg", "a.jpg"], "dev": ["c.jpg"], "test": ["d.jpg"]}
SENTENCES = {"b.jpg": ["black dog", "a dog runs"], "a.jpg": ["Two dogs"], "c.jpg": ["x"]}


@pytest.fixture
def official(tmp_path, monkeypatch):
    """Four images in the official layout."""
    monkeypatch.setattr(flickr8k, "COUNTS", {"train": 2, "val": 1, "test": 1})
    texts = tmp_path / "Flickr8k_text"
    texts.mkdir()
    (texts / "Flickr8k.token.txt").write_text(LINES)
    for split, names in SPLITS.items():
        (texts / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names) + "\n")
    return tmp_path


@pytest.fixture
def karpathy(tmp_path, monkeypatch):
    """Three images in the layout of NeuralTalk's data, with VGG features; b.jpg has column 2."""
    monkeypatch.setattr(flickr8k, "COUNTS", {"train": 2, "val": 1, "test": 0})
    rows = [("c.jpg", "val", 0), ("b.jpg", "train", 2), ("a.jpg", "train", 1)]
    images = [
        {
            "filename": name,
            "imgid": column,
            "split": split,
            "sentids": [0],
            "sentences": [{"tokens": s.split(), "raw": s, "imgid": 9} for s in SENTENCES[name]],
        }
        for name, split, column in rows
    ]
    write_json(tmp_path, images)
    feats = np.arange(12, dtype=np.float64).reshape(4, 3)
    scipy.io.savemat(tmp_path / "vgg_feats.mat", {"feats": feats})
    return tmp_path


def write_json(root, images):
    (root / "dataset.json").write_text(json.dumps({"images": images, "dataset": "flickr8k"}))


def read_json(root):
    return json.loads((root / "dataset.json").read_text())["images"]


def save_features(
    root, network="net", names=("a.jpg", "b.jpg"), feats=((1, 2), (3, 4)), dtype="f4"
):
    path = root / f"features_{network}.npz"
    np.savez(path, names=np.array(names), feats=np.array(feats, dtype=dtype))
    return path


def refused(call, *parts):
    """Checks that a call raises one line with all these parts in it."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert [part for part in parts if part not in message] == [], message


# Words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man 's dog , running .", "a man s dog running"),
        ("A tri-colored dog's toy", "a tricolored dogs toy"),
        ('Number 27 of the "Red Sox" ; at bat !', "number 27 of the red sox at bat"),
        ("  two\tdogs ", "two dogs"),
        ("A café & bar", "a caf bar"),
        (" . ", ""),
    ],
)
def test_tokenize(text, words):
    assert tokenize(text) == tuple(words.split())


def captions(*texts, name="train", image="a.jpg"):
    return CaptionSet(name, (image,), (tuple(tuple(text.split()) for text in texts),))


def test_vocabulary_keeps_frequent_words_in_order():
    train = captions("b a c", "b a . d", "b c a c")
    vocabulary = Vocabulary.of(train, threshold=2)
    assert vocabulary.words == (".", "a", "b", "c")  # three times each, alphabetically
    assert vocabulary.counts == (3, 3, 3, 3)
    assert Vocabulary.of(train, threshold=1).words == (".", "a", "b", "c", "d")
    assert Vocabulary.of(captions("z z a"), threshold=1).words == (".", "z", "a")
    assert Vocabulary.of(train, threshold=4).words == (".",)


def test_encode_leaves_unknown_words_out_and_decode_drops_the_end():
    vocabulary = Vocabulary.of(captions("a dog runs"), threshold=1)
    assert vocabulary.encode(["a", "unicorn", "runs", "."]) == [1, 3]
    assert vocabulary.decode([0, 1, 2, 3, 0]) == "a dog runs"
    assert vocabulary.decode([]) == ""


WORDS = st.text("abc1", min_size=1, max_size=3)


@given(st.lists(st.lists(WORDS, min_size=1), min_size=1), st.integers(1, 4))
def test_known_words_survive_encoding(sentences, threshold):
    train = captions(*(" ".join(words) for words in sentences))
    vocabulary = Vocabulary.of(train, threshold)
    everything = [word for words in sentences for word in words]
    for words in sentences:
        indices = vocabulary.encode(words)
        kept = [word for word in words if everything.count(word) >= threshold]
        assert vocabulary.decode(indices).split() == kept
        assert 0 not in indices
        assert [vocabulary.counts[i] for i in indices] == [everything.count(w) for w in kept]
    assert list(vocabulary.counts[1:]) == sorted(vocabulary.counts[1:], reverse=True)


def test_fingerprint_tells_names_words_and_borders_apart():
    sets = [
        captions("a b", "c"),
        captions("a b c"),
        captions("a", "b c"),
        captions("a b", "d"),
        captions("a b", "c", image="b.jpg"),
        CaptionSet("", ("a", "b"), ((("x",),), (("y",),))),
        CaptionSet("", ("a",), ((("xb",), ("y",)),)),
    ]
    assert len({s.fingerprint() for s in sets}) == len(sets)
    assert captions("a b", "c", name="elsewhere").fingerprint() == sets[0].fingerprint()


# Texts


def test_official_layout(official):
    train = flickr8k.load(official, "train")
    assert train.name == "flickr8k/train"
    assert train.images == ("b.jpg", "a.jpg")
    assert train.captions == (
        (("a", "black", "dog", "runs"), ("a", "man", "s", "dog", "running")),
        (("two", "tricolored", "dogs", "play"),),
    )
    assert train.notes == ()
    assert len(train) == 2
    assert flickr8k.load(official, "val").images == ("c.jpg",)
    assert flickr8k.load(official, "test").images == ("d.jpg",)


def test_official_texts_may_lie_in_the_root_and_have_other_line_ends(official):
    before = flickr8k.load(official, "train")
    for path in (official / "Flickr8k_text").iterdir():
        (official / path.name).write_bytes(
            b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n")
        )
    shutil.rmtree(official / "Flickr8k_text")
    assert flickr8k.load(official, "train") == before


def test_neuraltalk_layout_keeps_its_tokens(karpathy):
    train = flickr8k.load(karpathy, "train")
    assert train.images == ("b.jpg", "a.jpg")
    assert train.captions == ((("black", "dog"), ("a", "dog", "runs")), (("Two", "dogs"),))
    assert flickr8k.load(karpathy, "val").captions == ((("x",),),)


def test_official_texts_win(official, karpathy, monkeypatch):
    monkeypatch.setattr(flickr8k, "COUNTS", {"train": 2, "val": 1, "test": 1})
    assert flickr8k.load(official, "train").captions[0][0] == ("a", "black", "dog", "runs")
    shutil.rmtree(official / "Flickr8k_text")
    monkeypatch.setattr(flickr8k, "COUNTS", {"train": 2, "val": 1, "test": 0})
    assert flickr8k.load(official, "train").captions[0][0] == ("black", "dog")


def test_another_folder_is_refused(tmp_path):
    refused(lambda: flickr8k.load(tmp_path / "x", "train"), "x: holds neither", "dataset.json")


def test_incomplete_split_is_refused_unless_it_is_a_miniature(official, monkeypatch):
    monkeypatch.setattr(flickr8k, "COUNTS", {"train": 6000, "val": 1, "test": 1})
    refused(lambda: flickr8k.load(official, "train"), "train has 2 images", "has 6000")
    assert len(flickr8k.load(official, "val")) == 1
    (official / MINIATURE).write_text("1")
    assert flickr8k.load(official, "train").notes == ("miniature: rendered images",)


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        ("Flickr8k.token.txt", "c.jpg#0\t", "c.jpg#0 ", ["token.txt:4", "a tab"]),
        ("Flickr8k.token.txt", "c.jpg#0", "c.jpg", ["token.txt:4", "<file>#<n>"]),
        ("Flickr8k.token.txt", "A girl !", " .", ["token.txt:4", "a caption"]),
        ("Flickr8k.token.txt", "d.jpg#0", "q.jpg#0", ["testImages.txt:1", "d.jpg has no caption"]),
        ("Flickr_8k.trainImages.txt", "a.jpg", "b.jpg", ["trainImages.txt:2", "b.jpg", "already"]),
        ("Flickr_8k.testImages.txt", "d.jpg", "a.jpg", ["testImages.txt:1", "a.jpg", "in train"]),
    ],
)
def test_faulty_lines_are_refused_by_file_and_number(official, file, old, new, parts):
    path = official / "Flickr8k_text" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    refused(lambda: flickr8k.load(official, "test"), str(official), *parts)


def test_missing_and_binary_texts_are_refused(official):
    path = official / "Flickr8k_text/Flickr_8k.devImages.txt"
    path.write_bytes(b"\xff\xfe\x00")
    refused(lambda: flickr8k.load(official, "train"), str(path), "no UTF-8 text")
    path.unlink()
    refused(lambda: flickr8k.load(official, "train"), str(path), "is missing")


def test_faulty_json_is_refused(karpathy):
    path = karpathy / "dataset.json"
    images = read_json(karpathy)

    def load():
        flickr8k.load(karpathy, "train")

    write_json(karpathy, [*images, images[0]])
    refused(load, f"{path}: images.3", "c.jpg", "in val already")
    write_json(karpathy, [images[0], {**images[1], "sentences": []}, images[2]])
    refused(load, f"{path}: images.1", "b.jpg has no caption")
    write_json(karpathy, [{**images[0], "split": "restval"}])
    refused(load, f"{path}: images.0.split")
    write_json(karpathy, [{**images[0], "imgid": -1}])
    refused(load, f"{path}: images.0.imgid")
    path.write_text("{")
    refused(load, f"{path}: JSON")


# Features


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_features_come_in_the_order_asked_for(tmp_path, dtype):
    save_features(tmp_path, dtype=dtype)
    feats = flickr8k.load_features(tmp_path, "net", ["b.jpg", "a.jpg", "b.jpg"])
    assert feats.dtype == np.float32
    assert feats.tolist() == [[3, 4], [1, 2], [3, 4]]
    assert flickr8k.load_features(tmp_path, "net", []).shape == (0, 2)


def test_features_of_neuraltalk_are_found_by_imgid(karpathy):
    feats = flickr8k.load_features(karpathy, "vgg16", ["b.jpg", "c.jpg"])
    assert feats.dtype == np.float32
    assert feats.tolist() == [[2, 5, 8, 11], [0, 3, 6, 9]]
    save_features(karpathy, "vgg16")  # our own go first
    assert flickr8k.load_features(karpathy, "vgg16", ["a.jpg"]).tolist() == [[1, 2]]


def test_features_of_neuraltalk_serve_the_official_texts_too(karpathy, official):
    assert flickr8k.load_features(karpathy, "vgg16", ["b.jpg"]).shape == (1, 4)
    (karpathy / "dataset.json").unlink()
    refused(
        lambda: flickr8k.load_features(karpathy, "vgg16", ["b.jpg"]), "dataset.json: is missing"
    )


def test_neuraltalk_features_of_another_network_are_not_taken(karpathy):
    refused(
        lambda: flickr8k.load_features(karpathy, "net", ["b.jpg"]),
        "features_net.npz: is missing",
        "dsd features flickr8k --network net",
    )


def test_column_that_is_not_there_is_missing(karpathy):
    images = read_json(karpathy)
    write_json(karpathy, [{**images[0], "imgid": 3}, *images[1:]])
    refused(
        lambda: flickr8k.load_features(karpathy, "vgg16", ["a.jpg", "c.jpg"]),
        "vgg_feats.mat: has no features of c.jpg (1 of 2",
    )


def test_missing_images_are_counted(tmp_path):
    path = save_features(tmp_path)
    refused(
        lambda: flickr8k.load_features(tmp_path, "net", ["a.jpg", "x.jpg", "y.jpg"]),
        f"{path}: has no features of x.jpg (2 of 3 images are missing)",
        "dsd features flickr8k --network net",
    )


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"names": ("a.jpg", "a.jpg")}, "has a.jpg twice"),
        ({"feats": ((1, 2), (np.nan, 4))}, "not finite for b.jpg"),
        ({"feats": ((1, 2), (3, np.inf))}, "not finite for b.jpg"),
        ({"feats": ((1, 2), (3, 1e300)), "dtype": "f8"}, "not finite for b.jpg"),
        ({"feats": ((1, 2), (3, 4)), "dtype": "i4"}, "feats is int32"),
        ({"feats": (1, 2)}, "feats is float32 (2,)"),
        ({"feats": ((1, 2),)}, "(2,) names for feats (1, 2)"),
    ],
)
def test_unsound_features_are_refused(tmp_path, given, part):
    path = save_features(tmp_path, **given)
    refused(lambda: flickr8k.load_features(tmp_path, "net", ["a.jpg", "b.jpg"]), str(path), part)


@pytest.mark.parametrize("file", ["features_vgg16.npz", "vgg_feats.mat"])
def test_damaged_features_are_refused(karpathy, file):
    save_features(karpathy, "vgg16")
    if file == "vgg_feats.mat":
        (karpathy / "features_vgg16.npz").unlink()
    for content in (b"", b"PK\x03\x04 cut off", b"no archive at all" * 20):
        (karpathy / file).write_bytes(content)
        refused(
            lambda: flickr8k.load_features(karpathy, "vgg16", ["a.jpg"]),
            f"{file}: is no file of features",
            "dsd features flickr8k --network vgg16",
        )


def test_pickled_names_are_not_loaded(tmp_path):
    names = np.array(["a.jpg"], dtype=object)
    np.savez(tmp_path / "features_net.npz", names=names, feats=np.ones((1, 2), np.float32))
    refused(lambda: flickr8k.load_features(tmp_path, "net", ["a.jpg"]), "no file of features")


# Images, and the report on all


@pytest.mark.parametrize("name", ["Flicker8k_Dataset", "Flickr8k_Dataset", "Images", "imgs", "."])
def test_image_folder(tmp_path, name):
    refused(lambda: flickr8k.image_folder(tmp_path), "holds no images")
    (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / name / "a.jpg").touch()
    assert flickr8k.image_folder(tmp_path) == tmp_path / name


def test_verify_reports_everything(official):
    (official / "imgs").mkdir()
    for name in ("a.jpg", "unsplit.jpg"):
        (official / "imgs" / name).touch()
    save_features(official, names=("a.jpg", "b.jpg", "c.jpg", "d.jpg"), feats=np.ones((4, 3)))
    assert flickr8k.verify(official) == [
        "flickr8k/train: 2 images, 3 captions",
        "flickr8k/val: 1 images, 1 captions",
        "flickr8k/test: 1 images, 1 captions",
        "Flickr8k.token.txt: left out: captions of 1 images in no split and of e.jpg.1, "
        "which is no image",
        "images: 1 of 4 in imgs; features must stand for the others",
        "features_net.npz: 4 images x 3 features",
    ]
    save_features(official, names=("a.jpg", "b.jpg"))
    refused(lambda: flickr8k.verify(official), "no features of c.jpg")


def test_verify_reports_neuraltalks_files(karpathy):
    assert flickr8k.verify(karpathy)[3:] == [
        "images: none of 3; features must stand for them",
        "vgg_feats.mat: 3 images x 4 features",
    ]


# The miniature


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
