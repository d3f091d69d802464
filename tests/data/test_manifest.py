"""Your own speech: what a manifest may hold, and the line for each that cannot be used."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data import manifest
from data.prepare import prepare
from data.speech import read_manifest, read_samples
from dsd.errors import UserError

RATE = 8000  # Hz


def write(root: Path, **splits: list[dict]) -> Path:
    """Writes each split's manifest, and a second of stereo noise for every recording it names."""
    for name, lines in splits.items():
        for line in lines:
            path = root / line.get("audio_filepath", "none.wav")
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(len(path.name)).integers(-9000, 9000, (RATE, 2))
            soundfile.write(path, noise.astype(np.int16), RATE)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (root / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return root


def line(name: str, text: str = "go on", **more: object) -> dict:
    return {"audio_filepath": f"clips/{name}.wav", "duration": 1.0, "text": text, **more}


def sets(**more: list[dict]) -> dict[str, list[dict]]:
    return {"train": [line("a"), line("b")], "test": [line("c")], **more}


def texts(found) -> dict[str, list[str]]:
    return {split: [source.text for source in members] for split, members in found.items()}


def test_nemos_keys_alone_suffice(tmp_path):
    root = write(tmp_path / "my speech", **sets(dev=[line("d ü")]))
    lines = prepare("manifest", manifest.sources([root]), tmp_path / "out")
    assert {each.partition(":")[0] for each in lines} == {
        f"manifest/{split}" for split in ("train", "dev", "test")
    }
    assert manifest.splits(tmp_path / "out") == ["train", "dev", "test"]
    speech = manifest.load(tmp_path / "out", "dev")
    assert speech.name == "out/dev"
    assert len(read_samples(speech.root, speech.utterances[0])) == 16_000
    assert len(manifest.verify(tmp_path / "out")) == 3


@pytest.mark.parametrize(
    "names",
    [
        ("train.jsonl", "test.jsonl"),
        ("train_manifest.json", "test_manifest.json"),
        ("an4-train.jsonl", "an4-eval.jsonl"),
    ],
)
def test_names_tell_the_splits(tmp_path, names):
    root = write(tmp_path, **sets())
    for old, new in zip(("train", "test"), names, strict=True):
        (root / f"{old}.jsonl").rename(root / new)
    for given in ([root], [root / name for name in names]):
        found = manifest.sources(given)
        assert {split: len(members) for split, members in found.items()} == {"train": 2, "test": 1}


def test_endings_in_capitals_count(tmp_path):
    root = write(tmp_path, **sets())
    (root / "train.jsonl").rename(root / "TRAIN.JSONL")
    (root / "test.jsonl").rename(root / "Test.Jsonl")
    assert {split: len(found) for split, found in manifest.sources([root]).items()} == {
        "train": 2,
        "test": 1,
    }


def test_a_preparation_that_goes_on_with_other_lines_takes_their_own_recordings(tmp_path):
    cuts = [line("long", f"say {c}", offset=i / 10, duration=0.1) for i, c in enumerate("abcd")]
    root = write(tmp_path / "in", train=cuts, test=[line("c", offset=0.5, duration=0.5)])
    late = line("c", offset=0.9, duration=5.0)
    (root / "test.jsonl").write_text(json.dumps(late) + "\n")
    with pytest.raises(UserError, match="fix offset and duration"):
        prepare("manifest", manifest.sources([root]), tmp_path / "out")
    write(root, train=cuts[1:], test=[line("c", offset=0.5, duration=0.5)])
    prepare("manifest", manifest.sources([root]), tmp_path / "out")
    speech = manifest.load(tmp_path / "out", "train")
    whole = manifest.read_audio(root / "clips" / "long.wav")
    assert [u.text for u in speech.utterances] == ["say b", "say c", "say d"]
    for utterance, start in zip(speech.utterances, (1600, 3200, 4800), strict=True):
        samples = read_samples(speech.root, utterance)
        np.testing.assert_array_equal(samples, whole[start : start + 1600])


def test_names_do_not_depend_on_where_the_corpus_lies(tmp_path):
    found = [
        manifest.sources([write(tmp_path / at, **sets())])["train"] for at in ("here", "there")
    ]
    assert [source.name for source in found[0]] == [source.name for source in found[1]]


def test_the_only_manifest_is_split_by_a_seed(tmp_path):
    root = write(tmp_path, all=[line(f"{i}", f"say {chr(97 + i)}") for i in range(20)])
    found = texts(manifest.sources([root]))
    assert {split: len(members) for split, members in found.items()} == {"train": 18, "test": 2}
    assert sorted([*found["train"], *found["test"]]) == [f"say {chr(97 + i)}" for i in range(20)]
    assert texts(manifest.sources([root / "all.jsonl"])) == found


def test_texts_are_spelled_in_the_alphabet(tmp_path):
    root = write(tmp_path, **sets(test=[line("c", " Don\u2019t GO,  twenty-one. ")]))
    assert texts(manifest.sources([root]))["test"] == ["don't go twenty one"]


def test_offset_and_duration_cut_an_utterance(tmp_path):
    cuts = [line("c", offset=0.25, duration=0.5), line("c", "stop", offset=0.75, duration=0.25)]
    whole = line("e")
    del whole["duration"]
    found = manifest.sources([write(tmp_path, **sets(test=[*cuts, whole]))])["test"]
    first, second, third = (source.read() for source in found)
    assert (len(first), len(second), len(third)) == (8000, 4000, 16_000)
    whole_c = manifest.read_audio(tmp_path / "clips" / "c.wav")
    np.testing.assert_array_equal(first, whole_c[4000:12_000])


def test_a_training_text_that_cannot_be_spelled_is_left_out_and_named(tmp_path):
    root = write(
        tmp_path, **sets(train=[line("a"), line("b", "room 12"), line("d"), line("e", "")])
    )
    lines = prepare("manifest", manifest.sources([root]), tmp_path / "out")
    assert ["left out" in each for each in lines] == [True, True, False, False]
    assert "'room 12'" in lines[0]
    assert len(read_manifest(tmp_path / "out", "manifest", "train")) == 2


MISSING = {**line("z"), "audio_filepath": "clips/gone.wav"}


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (sets(train=[]), "train.jsonl: names no utterance"),
        ({"train": [line("a")], "dev": [line("b")]}, "no manifest is called test"),
        ({"train": [line("a")], "more": [line("b")]}, "more.jsonl: names no split"),
        ({"train": [line("a")], "test": [line("b")], "eval": [line("c")]}, "is test, as is"),
        ({"train": [line("a")]}, "1 utterances with words"),
        (sets(test=[line("c", "")]), r"test.jsonl:1: the text '' is empty"),
        (sets(test=[line("c"), line("d", "año 12")]), r"test.jsonl:2: .* holds 'ñ', '1', '2';"),
        (sets(train=[line("a", "да"), line("b", "нет"), line("d")]), r"2 of 3 lines"),
        (sets(test=[line("a")]), r"a.wav is also at .*train.jsonl:1;"),
        (sets(test=[{"text": "go"}]), "test.jsonl:1: audio_filepath: Field required"),
        (sets(test=[{"audio_filepath": "c.wav"}]), "test.jsonl:1: text: Field required"),
        (sets(test=[line("c", duration=-1)]), "test.jsonl:1: duration: "),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, splits, said):
    with pytest.raises(UserError, match=said) as caught:
        manifest.sources([write(tmp_path, **splits)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.wav,go on\n", "is no JSON"),
        ('["a.wav"]\n', "the line: Input should be"),
        (json.dumps(MISSING), "gone.wav is missing"),
        ('{"audio_filepath": "a\\u0000b", "text": "go"}', "test.jsonl:1"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_damaged_lines_are_named(tmp_path, text, said):
    root = write(tmp_path, **sets())
    (root / "test.jsonl").write_text(text)
    with pytest.raises(UserError, match=said):
        manifest.sources([root])


def test_a_duration_beyond_the_recording_is_named(tmp_path):
    root = write(tmp_path, **sets(test=[line("c", duration=2.5)]))
    with pytest.raises(UserError, match=r"test.jsonl:1: ends at 2.5 s, and .* has 1.00 s"):
        prepare("manifest", manifest.sources([root]), tmp_path / "out")


def test_an_empty_folder_and_other_encodings_are_named(tmp_path):
    with pytest.raises(UserError, match="holds no manifest"):
        manifest.sources([tmp_path])
    root = write(tmp_path, **sets())
    (root / "test.jsonl").write_bytes('{"text": "é"}'.encode("latin-1"))
    with pytest.raises(UserError, match="is no UTF-8 text"):
        manifest.sources([root])


def test_a_manifest_that_was_not_prepared_says_how(tmp_path):
    root = write(tmp_path, **sets())
    with pytest.raises(UserError, match=f"dsd prepare manifest {root} --to FOLDER"):
        manifest.load(root, "train")
