"""AN4 as it came, in both editions, in miniature."""

from functools import partial

import numpy as np
import pytest

from data import an4
from data.images import MINIATURE
from data.prepare import prepare
from tests.data.refused import refused
from tests.data.shorten import sphere

TEXTS = {  # split: folder/speaker/name: words
    "train": {"an4_clstk/fash/an251-fash-b": "YES", "an4_clstk/mjda/cen1-mjda-b": "R E   NINE "},
    "test": {"an4test_clstk/fcaw/an406-fcaw-b": "RUBOUT G M"},
}


def noise(name):
    return np.random.default_rng(len(name)).integers(-9000, 9000, 500).astype(np.int16)


@pytest.fixture
def official(tmp_path, monkeypatch):
    """The SPHERE edition, with three utterances."""
    monkeypatch.setattr(an4, "COUNTS", {"train": 2, "test": 1})
    root = tmp_path / "an4"
    (root / "etc").mkdir(parents=True)
    for split, texts in TEXTS.items():
        lines = [f"{text} ({name.split('/')[-1]})\n" for name, text in texts.items()]
        (root / f"etc/an4_{split}.transcription").write_text("".join(lines))
        (root / f"etc/an4_{split}.fileids").write_text("\n".join(texts) + "\n")
        for name in texts:
            path = root / "wav" / f"{name}.sph"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sphere(noise(name)))
    return root


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("inside", [True, False])
def test_sources(official, inside):
    found = an4.sources([official if inside else official.parent])
    assert [(s.name, s.speaker, s.text) for s in found["train"]] == [
        ("an251-fash-b", "fash", "yes"),
        ("cen1-mjda-b", "mjda", "r e nine"),
    ]
    assert [(s.name, s.speaker, s.text) for s in found["test"]] == [
        ("an406-fcaw-b", "fcaw", "rubout g m")
    ]
    samples = found["test"][0].read()
    np.testing.assert_array_equal(samples, noise("an4test_clstk/fcaw/an406-fcaw-b"))


def test_sentence_marks_are_no_words(official):
    change(official / "etc/an4_train.transcription", "YES (", "<s> YES </s> (")
    assert an4.sources([official])["train"][0].text == "yes"


def test_the_raw_edition_is_prepared_to_the_same(official, tmp_path):
    prepare("an4", an4.sources([official]), tmp_path / "sphere")
    for path in official.rglob("*.sph"):
        path.with_suffix(".raw").write_bytes(
            noise(str(path.relative_to(official / "wav").with_suffix(""))).astype(">i2").tobytes()
        )
        path.unlink()
    prepare("an4", an4.sources([official]), tmp_path / "raw")
    assert an4.verify(tmp_path / "raw") == [
        "an4/train: 2 utterances, 0.00 hours, 2 speakers, 4 words",
        "an4/test: 1 utterances, 0.00 hours, 1 speakers, 3 words",
    ]
    for split in TEXTS:
        assert an4.load(tmp_path / "raw", split).utterances == (
            an4.load(tmp_path / "sphere", split).utterances
        )


def test_a_test_set_of_another_size_is_refused_and_a_training_set_noted(
    official, tmp_path, monkeypatch
):
    prepared = tmp_path / "prepared"
    prepare("an4", an4.sources([official]), prepared)
    monkeypatch.setattr(an4, "COUNTS", {"train": 948, "test": 130})
    note = ("partial training set: 2 of 948 utterances",)
    assert an4.load(prepared, "train").notes == note
    refused(lambda: an4.load(prepared, "test"), "test.jsonl: test has 1 utterances", "has 130")
    refused(lambda: an4.verify(prepared), "has 130")
    sources = partial(an4.sources, [official])
    refused(sources, "an4_test.fileids: test has 1 utterances", "has 130")
    (official / MINIATURE).touch()
    (prepared / MINIATURE).touch()
    assert len(sources()["test"]) == 1
    assert all(line.endswith("; miniature: synthetic speech") for line in an4.verify(prepared))


def test_what_is_missing_or_damaged_is_named(official):
    sources = partial(an4.sources, [official])
    refused(lambda: an4.sources([official / "etc"]), "etc: holds no etc/an4_train.fileids")
    ids, texts = official / "etc/an4_test.fileids", official / "etc/an4_test.transcription"
    change(ids, "an406", "an407")
    refused(sources, f"{ids}:1: an4test_clstk/fcaw/an407-fcaw-b has", "no transcript")
    change(texts, "an406", "an407")
    refused(sources, "an4test_clstk/fcaw/an407-fcaw-b.sph: is missing")
    change(texts, "(an407-fcaw-b)", "an407-fcaw-b")
    refused(sources, f"{texts}:1: expected words and a name in brackets")
    change(ids, "an4test_clstk/fcaw/", "")
    change(texts, "an407-fcaw-b", "(an407-fcaw-b)")
    refused(sources, f"{ids}:1: an407-fcaw-b has no speaker")
    texts.unlink()
    refused(sources, f"{texts}: cannot be read")
