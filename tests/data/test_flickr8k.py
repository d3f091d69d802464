import json
import shutil

import numpy as np
import pytest
import scipy.io

from data import flickr8k
from data.images import MINIATURE
from tests.data.refused import refused

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


# Words


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


@pytest.mark.parametrize("outer", flickr8k.FOLDERS)
def test_images_in_a_folder_in_a_folder_are_found(official, outer):
    for inner in ("Flicker8k_Dataset", "__MACOSX"):
        (official / outer / inner).mkdir(parents=True, exist_ok=True)
    inside = official / outer / "Flicker8k_Dataset"
    for name in ("a.jpg", "._a.jpg"):
        (inside / name).touch()
    assert flickr8k.image_files(official) == [inside / "a.jpg"]


@pytest.mark.parametrize("layout", ["official", "karpathy"])
def test_a_byte_order_mark_is_no_text(layout, request):
    root = request.getfixturevalue(layout)
    before = flickr8k.load(root, "train")
    for path in [*root.rglob("*.txt"), *root.glob("*.json")]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert flickr8k.load(root, "train") == before


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "x/a.jpg", "..\\\\a.jpg"])
def test_a_name_that_leads_elsewhere_is_refused(official, name):
    (path,) = official.rglob("Flickr_8k.trainImages.txt")
    path.write_text(f"{name}\n")
    refused(lambda: flickr8k.load(official, "train"), "trainImages.txt:1", "is no name of a file")


# The miniature
