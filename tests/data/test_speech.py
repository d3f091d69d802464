"""Texts as symbols, and corpora as manifests: what is written, read, resumed and refused."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from subprocess import PIPE

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from data import speech
from data.audio import read_audio
from data.images import MINIATURE
from data.prepare import Source, prepare
from data.speech import (
    ALPHABET,
    SUMS,
    SYMBOLS,
    decode,
    encode,
    greedy,
    read_manifest,
    read_samples,
)
from dsd.errors import UserError
from tests.data.refused import refused

# Texts and symbols


def test_the_alphabet_is_the_papers():
    assert SYMBOLS == 29
    assert encode(" 'az") == [1, 2, 3, 28]
    assert decode([0, 3, 0, 28, 2, 1, 0]) == "az' "


@settings(deadline=None)
@given(text=st.text(ALPHABET))
def test_encode_and_decode(text):
    assert decode(encode(text)) == text
    assert len(encode(text)) == len(text)


@pytest.mark.parametrize("text", ["Yes", "yes.", "caf\u00e9", "4", "a\tb", "a-b"])
def test_other_characters_are_refused(text):
    with pytest.raises(UserError, match=re.escape(repr(text))):
        encode(text)


@pytest.mark.parametrize(
    ("symbols", "text"),
    [
        ("_____", ""),
        ("gg__oo", "go"),
        ("oo_o", "oo"),
        ("g_o_  _o_n", "go on"),
        ("  go  _ _on_ ", "go on"),
        ("it'ss", "it's"),
        ("", ""),
    ],
)
def test_greedy_merges_repeats_and_drops_blanks(symbols, text):
    assert greedy([0 if s == "_" else encode(s)[0] for s in symbols]) == text


@settings(deadline=None)
@given(words=st.lists(st.text(ALPHABET[1:], min_size=1)), seed=st.integers(0, 2**32 - 1))
def test_greedy_finds_what_is_spelled_at_any_pace(words, seed):
    text, rng = " ".join(words), np.random.default_rng(seed)
    frames = []
    for symbol in encode(text):
        frames += [0] * int(rng.integers(1, 3)) + [symbol] * int(rng.integers(1, 4))
    assert greedy(frames) == text


# Manifests


def noise(seed, samples=800):
    return np.random.default_rng(seed).integers(-9000, 9000, samples).astype(np.int16)


def source(name, text="go on", *, speaker="ann", samples=800):
    return Source(name, speaker, text, partial(noise, len(name), samples))


def corpus():
    train = [source("a", "it's a"), source("bb", speaker="bob"), source("ccc", samples=1600)]
    return {"train": train, "test": [source("dddd", samples=16_000)]}


@pytest.fixture
def root(tmp_path):
    prepare("an4", corpus(), tmp_path / "an4")
    return tmp_path / "an4"


def test_what_is_prepared_is_read(tmp_path):
    root = tmp_path / "deep" / "an4"
    assert prepare("an4", corpus(), root) == [
        "an4/train: 3 utterances, 0.00 hours, 2 speakers, 6 words",
        "an4/test: 1 utterances, 0.00 hours, 1 speakers, 2 words",
    ]
    train = read_manifest(root, "an4", "train")
    assert (train.name, train.root, len(train), train.notes) == ("an4/train", root, 3, ())
    for utterance, made_of in zip(train.utterances, corpus()["train"], strict=True):
        samples = made_of.read()
        assert utterance.name == made_of.name
        assert utterance.text == made_of.text
        assert utterance.speaker == made_of.speaker
        assert utterance.file == f"audio/train/{made_of.name}.flac"
        assert utterance.seconds == len(samples) / 16_000
        assert utterance.sha256 == hashlib.sha256(samples.tobytes()).hexdigest()
        np.testing.assert_array_equal(read_audio(root / utterance.file), samples)
    line = json.loads((root / "test.jsonl").read_text())
    assert (line["audio_filepath"], line["duration"]) == ("audio/test/dddd.flac", 1.0)
    assert {path.name for path in root.iterdir()} == {"audio", "train.jsonl", "test.jsonl", SUMS}


def test_the_fingerprint_depends_on_names_texts_samples_and_order(root):
    train = read_manifest(root, "an4", "train")
    first, *others = train.utterances
    prints = {
        replace(train, utterances=utterances).fingerprint()
        for utterances in (
            (first, *others),
            (*others, first),
            tuple(others),
            (replace(first, name="z"), *others),
            (replace(first, text="z"), *others),
            (replace(first, sha256="0" * 64), *others),
        )
    }
    assert len(prints) == 6
    assert replace(train, root=root / "moved").fingerprint() == train.fingerprint()


def content(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stop_after", [0, 1, 3])
@pytest.mark.parametrize("torn", [b"", b'{"audio_filepath": "audio/tr', b"\0\0\0\0"])
def test_a_stopped_preparation_goes_on_to_the_same_files(root, tmp_path, stop_after, torn):
    read = []

    def stopping(each):
        if len(read) == stop_after:
            raise KeyboardInterrupt
        read.append(each.name)
        return each.read()

    def counting(each):
        read.append(each.name)
        return each.read()

    def via(reader):
        return {
            split: [replace(each, read=partial(reader, each)) for each in members]
            for split, members in corpus().items()
        }

    again = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        prepare("an4", via(stopping), again)
    assert not list(again.glob("*.jsonl"))
    with (again / ".an4.part" / "journal.jsonl").open("ab") as journal:
        journal.write(torn)
    prepare("an4", via(counting), again)
    assert read == ["a", "bb", "ccc", "dddd"]  # each once
    assert content(again) == content(root)


def test_a_preparation_that_goes_on_mends_audio_and_follows_the_texts(root, tmp_path):
    again = tmp_path / "again"
    broken = corpus()
    broken["test"] = [replace(broken["test"][0], read=partial(read_audio, tmp_path / "none.sph"))]
    broken["train"][0] = source("a", "its a")
    with pytest.raises(UserError, match=r"none\.sph"):
        prepare("an4", broken, again)
    (again / "audio/train/bb.flac").write_bytes(b"fLaC")
    soundfile.write(again / "audio/train/ccc.flac", noise(0, 5), 16_000)
    prepare("an4", corpus(), again)
    assert content(again) == content(root)


def test_a_crash_between_two_manifests_is_mended(root, tmp_path, monkeypatch):
    again = tmp_path / "again"

    def crash(path):
        (again / "test.jsonl").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", crash)
        with pytest.raises(KeyboardInterrupt):
            prepare("an4", corpus(), again)
    prepare("an4", corpus(), again)
    assert content(again) == content(root)


def test_a_prepared_folder_is_not_prepared_again(root):
    before = content(root)
    refused(lambda: prepare("an4", corpus(), root), "train.jsonl: is there already; move it away")
    refused(lambda: prepare("wsj", {"test": [source("x")]}, root), "test.jsonl: is there already")
    assert content(root) == before


HOLDER = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_preparations_at_once_are_refused(tmp_path):
    (tmp_path / ".an4.part").mkdir()
    command = [sys.executable, "-c", HOLDER, str(tmp_path / ".an4.part" / ".lock")]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE) as holder:
        holder.stdout.readline()
        refused(lambda: prepare("an4", corpus(), tmp_path), "in use by process")
        holder.stdin.close()
    assert not (tmp_path / "audio").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test": [source("a")]}, ["an4/test: a: is in train already"]),
        ({"train": [source("x"), source("x")]}, ["an4/train: x: is in train already"]),
        ({"train": []}, ["an4/train: has no utterance"]),
        ({"train": [source("x", "")]}, ["an4/train: has no utterance"]),
        *(
            ({"test": [source("x", text)]}, [f"an4/test: x: {text!r} is no text"])
            for text in ("", " ", "Go", "go  on", " go", "go on ", "4", "e-mail", "go\n")
        ),
    ],
)
def test_unsound_sources_are_refused_before_any_work(tmp_path, change, words):
    refused(lambda: prepare("an4", {**corpus(), **change}, tmp_path / "an4"), *words)
    assert not (tmp_path / "an4").exists()


def test_training_utterances_without_words_are_left_out(tmp_path):
    sources = corpus()
    given = {**sources, "train": [source("x", ""), *sources["train"], source("y", "4 you")]}
    lines = prepare("an4", given, tmp_path / "an4")
    assert [line for line in lines if "left out" in line] == [
        "an4/train: x: '' is no text of words, of a to z and '; left out",
        "an4/train: y: '4 you' is no text of words, of a to z and '; left out",
    ]
    names = [u.name for u in read_manifest(tmp_path / "an4", "an4", "train").utterances]
    assert names == [s.name for s in sources["train"]]


# What is read and reported


def test_a_missing_or_empty_manifest_says_how_to_make_one(root):
    command = f"dsd prepare an4 FOLDER... --to {root}"
    refused(lambda: read_manifest(root, "an4", "dev"), f"{root / 'dev.jsonl'}: cannot", command)
    (root / "train.jsonl").write_text("")
    refused(lambda: read_manifest(root, "an4", "train"), "train.jsonl: names no utterance", command)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"samples": 800', '"samples": 0', "samples"),
        ('"samples": 800', '"samples": "many"', "samples"),
        ('"text": "go on"', '"text": "Go on"', "text"),
        ('"text": "go on"', '"text": ""', "text"),
        ('"text": "go on"', '"words": "go on"', "text"),
        ('"sha256": "', '"sha256": "x', "sha256"),
        ('{"audio', '"audio', "JSON"),
        ("go on", "go \xff", "JSON"),
    ],
)
def test_a_damaged_line_is_named(root, old, new, key):
    path = root / "train.jsonl"
    first, second, third = path.read_text().splitlines()
    assert old in second
    lines = "\n".join((first, second.replace(old, new), third, ""))
    path.write_bytes(lines.encode("latin-1"))
    refused(lambda: read_manifest(root, "an4", "train"), f"{path}:2: {key}: ", "dsd prepare an4")


def test_an_utterance_that_is_there_twice_is_named(root):
    path = root / "train.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    refused(lambda: read_manifest(root, "an4", "train"), f"{path}:4: ", "is there twice")


def test_report_looks_at_every_file(root):
    train = read_manifest(root, "an4", "train")
    noted = replace(train, notes=("miniature: so", "partial"))
    assert speech.report(noted).endswith("2 speakers, 6 words; miniature: so; partial")
    soundfile.write(root / "audio/train/ccc.flac", noise(0, 5), 16_000)
    refused(lambda: speech.report(train), "ccc.flac: is not the recording")
    samples = read_samples(root, train.utterances[1])
    soundfile.write(root / "audio/train/bb.flac", samples[::-1], 16_000)
    refused(lambda: speech.report(train), "bb.flac: is not the recording")
    (root / "audio/train/bb.flac").unlink()
    refused(lambda: speech.report(train), "bb.flac: cannot be read")


def test_sizes(root):
    assert speech.load(root, "an4", "train", 3).notes == ()
    note = ("partial training set: 3 of 948 utterances",)
    assert speech.load(root, "an4", "train", 948).notes == note
    refused(
        lambda: speech.load(root, "an4", "test", 130),
        "test.jsonl: test has 1 utterances, the corpus has 130",
    )
    (root / MINIATURE).touch()
    for split in ("train", "test"):
        assert speech.load(root, "an4", split, 130).notes == ("miniature: synthetic speech",)


def test_a_flipped_bit_of_a_manifest_is_never_read(tmp_path):
    root = tmp_path / "an4"
    prepare("an4", corpus(), root)
    whole = (root / "train.jsonl").read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 80):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        (root / "train.jsonl").write_bytes(damaged)
        refused(lambda: read_manifest(root, "an4", "train"), "train.jsonl")
    lines = whole.splitlines(keepends=True)
    (root / "train.jsonl").write_bytes(b"".join(lines[:-1]))  # cut between two lines
    refused(lambda: read_manifest(root, "an4", "train"), f"its SHA-256 is not that of {SUMS}")
    (root / SUMS).unlink()  # somebody's own manifests
    assert len(read_manifest(root, "an4", "train")) == len(lines) - 1


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "audio/../../x", "a\\u0000b"])
def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path, path):
    root = tmp_path / "an4"
    prepare("an4", corpus(), root)
    (root / SUMS).unlink()
    manifest = root / "test.jsonl"
    manifest.write_text(manifest.read_text().replace("audio/test/dddd.flac", path))
    refused(lambda: read_manifest(root, "an4", "test"), "test.jsonl:1: audio_filepath")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a\0b", "x" * 300 + "/"])
def test_a_name_that_can_name_no_file_is_refused(tmp_path, name):
    first = corpus()["train"][0]
    sources = {"train": [replace(first, name=name)]}
    refused(lambda: prepare("an4", sources, tmp_path / "an4"), "is no name of an utterance")
    assert not (tmp_path / "an4").exists()
