"""LibriSpeech as it came, in miniature."""

from functools import partial

import numpy as np
import pytest
import soundfile

from data import librispeech
from data.images import MINIATURE
from data.prepare import prepare
from tests.data.refused import refused

CHAPTERS = {  # subset: chapters, each with two utterances
    "train-clean-100": ("19-198", "103-1240"),
    "train-other-500": ("20-205",),
    "dev-clean": ("84-121123",),
    "test-clean": ("61-70968",),
    "test-other": ("367-130732",),
}
COUNTS = {"train": 6, "dev_clean": 2, "test_clean": 2, "test_other": 2}


@pytest.fixture
def official(tmp_path, monkeypatch):
    """All subsets but train-clean-360, with two utterances a chapter."""
    monkeypatch.setattr(librispeech, "COUNTS", COUNTS)
    root = tmp_path / "LibriSpeech"
    for subset, chapters in CHAPTERS.items():
        for chapter in chapters:
            folder = root / subset / chapter.replace("-", "/")
            folder.mkdir(parents=True)
            lines = [f"{chapter}-0000 HE'S GONE\n", f"{chapter}-0001 A MAN\n"]
            (folder / f"{chapter}.trans.txt").write_text("".join(lines))
            for number in (0, 1):
                samples = np.arange(400 + number, dtype=np.int16)
                soundfile.write(folder / f"{chapter}-000{number}.flac", samples, 16_000)
    return root


@pytest.mark.parametrize("folders", ["inside", "above", "each subset's"])
def test_sources(official, tmp_path, folders):
    if folders == "each subset's":  # archives unpacked at different places
        for subset in CHAPTERS:
            (tmp_path / f"{subset}.tar" / "LibriSpeech").mkdir(parents=True)
            (official / subset).rename(tmp_path / f"{subset}.tar" / "LibriSpeech" / subset)
        given = [tmp_path / f"{subset}.tar" for subset in CHAPTERS]
    else:
        given = [official if folders == "inside" else tmp_path]
    found = librispeech.sources(given)
    assert [s.name for s in found["train"]] == [
        f"{chapter}-000{n}" for chapter in ("103-1240", "19-198", "20-205") for n in (0, 1)
    ]
    assert {split: len(sources) for split, sources in found.items()} == COUNTS
    second = found["test_other"][1]
    assert (second.name, second.speaker, second.text) == ("367-130732-0001", "367", "a man")
    np.testing.assert_array_equal(second.read(), np.arange(401))
    assert found["dev_clean"][0].text == "he's gone"


def test_prepared_and_verified(official, tmp_path, monkeypatch):
    root = tmp_path / "prepared"
    prepare("librispeech", librispeech.sources([official]), root)
    line = "2 utterances, 0.00 hours, 1 speakers, 4 words"
    assert librispeech.verify(root) == [
        "librispeech/train: 6 utterances, 0.00 hours, 3 speakers, 12 words",
        *(f"librispeech/{split}: {line}" for split in ("dev_clean", "test_clean", "test_other")),
    ]
    monkeypatch.setattr(librispeech, "COUNTS", {**COUNTS, "train": 281_241})
    note = ("partial training set: 6 of 281241 utterances",)
    assert librispeech.load(root, "train").notes == note
    monkeypatch.setattr(librispeech, "COUNTS", {**COUNTS, "test_other": 2939})
    refused(lambda: librispeech.verify(root), "test_other.jsonl: test_other has 2", "has 2939")
    sources = partial(librispeech.sources, [official])
    refused(sources, "test_other has 2 utterances", "has 2939")
    (official / MINIATURE).touch()
    assert len(sources()["test_other"]) == 2


def test_what_is_missing_is_named(official):
    sources = partial(librispeech.sources, [official])
    recording = official / "test-clean/61/70968/61-70968-0001.flac"
    recording.unlink()
    refused(sources, "61-70968.trans.txt:2: 61-70968-0001.flac is missing")
    recording.with_name("61-70968.trans.txt").unlink()
    refused(sources, f"{official}: no folder test-clean with *.trans.txt")
    (official / "train-clean-100").rename(official / "train-clean-360")
    refused(sources, "no folder test-clean")  # training may be of any subsets
    (official / "train-clean-360").rename(official / "other")
    (official / "train-other-500").rename(official / "another")
    refused(sources, "no folder train-clean-100 or train-clean-360 or train-other-500")


def test_what_macos_leaves_and_byte_order_marks_change_nothing(official):
    expected = [(s.name, s.text) for s in librispeech.sources([official])["dev_clean"]]
    (text,) = official.glob("dev-clean/84/121123/*.trans.txt")
    text.with_name(f"._{text.name}").write_bytes(b"\0\5\x16\7" * 40)
    (official / "dev-clean" / "__MACOSX" / "121123").mkdir(parents=True)
    (official / "dev-clean" / "__MACOSX" / "121123" / text.name).write_bytes(b"\0")
    text.write_bytes(b"\xef\xbb\xbf" + text.read_bytes())
    assert [(s.name, s.text) for s in librispeech.sources([official])["dev_clean"]] == expected


def test_a_name_that_leads_elsewhere_is_refused(official):
    (text,) = official.glob("dev-clean/84/121123/*.trans.txt")
    text.write_text("../../../x HELLO\n")
    refused(lambda: librispeech.sources([official]), "'../../../x' is no name of an utterance")
