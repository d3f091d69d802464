"""The miniature speech corpora: in their corpora's own layouts, the same everywhere, and speech."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from data import an4, librispeech, wsj
from data.audio import read_audio
from data.images import is_miniature
from data.mini import an4 as mini_an4
from data.mini import librispeech as mini_librispeech
from data.mini import speech as mini_speech
from data.mini import wsj as mini_wsj
from data.mini.espeak import Prompt, synthesise
from dsd.errors import UserError

READERS = {mini_wsj: wsj, mini_an4: an4, mini_librispeech: librispeech}
WORDS = {"yes", "no", "stop", "start", "go", "help", "don't", "turn", "the", "light", "on", "off"}
WORDS |= {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
WORDS |= {"red", "green", "blue", "white"}


def shrink(patch):
    """Makes two speakers of each part say four sentences."""
    patch.setattr(mini_speech, "UTTERANCES", 4)
    patch.setattr(mini_wsj, "PARTS", [part._replace(speakers=2) for part in mini_wsj.PARTS])
    for corpus in (mini_an4, mini_librispeech):
        patch.setattr(corpus, "SPEAKERS", dict.fromkeys(corpus.SPEAKERS, 2))


@pytest.fixture
def tiny(monkeypatch):
    shrink(monkeypatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the three corpora, shrunk."""
    folder = tmp_path_factory.mktemp("miniatures")
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        for corpus in READERS:
            corpus.write(folder / name(corpus))
    return folder


def name(corpus):
    return corpus.__name__.rpartition(".")[2]


def files(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


def digest(root):
    return {
        str(path.relative_to(root)): hashlib.md5(path.read_bytes()).digest() for path in files(root)
    }


def recordings(folder, corpus):
    root, reader = folder / name(corpus), READERS[corpus]
    for split in reader.COUNTS:
        for utterance in reader.load(root, split).utterances:
            yield split, utterance, read_audio(root / utterance.file)


@pytest.mark.parametrize("corpus", READERS)
def test_prepared_by_the_real_reader(corpus, folder):
    root, reader = folder / name(corpus), READERS[corpus]
    assert is_miniature(root)
    speakers = {}
    for split in reader.COUNTS:
        speech = reader.load(root, split)
        speakers[split] = {utterance.speaker for utterance in speech.utterances}
        parts = 2 if split == "train_si284" else 1  # si84 and si200
        assert (len(speech), len(speakers[split])) == (8 * parts, 2 * parts)
        assert speech.notes == ("miniature: synthetic speech",)
        assert {word for u in speech.utterances for word in u.text.split()} <= WORDS
    assert len(set.union(*speakers.values())) == sum(map(len, speakers.values()))
    assert len(reader.verify(root)) == len(reader.COUNTS)


def test_wsj_lies_as_on_the_discs(folder):
    discs = folder / "wsj" / "discs"
    assert {str(path.relative_to(discs)) for path in files(discs) if path.suffix == ".ndx"} == {
        "wsj0/doc/indices/train/tr_s_wv1.ndx",
        "wsj0/doc/indices/test/nvp/si_et_20.ndx",
        "wsj1/doc/indices/si_tr_s.ndx",
        "wsj1/doc/indices/h1_p0.ndx",
        "wsj1/doc/indices/wsj1/eval/h1_p0.ndx",
    }
    train = (discs / "wsj0/doc/indices/train/tr_s_wv1.ndx").read_text().splitlines()
    assert train[0].startswith(";;")
    assert train[1] == "11_1_1:wsj0/si_tr_s/000/000c0201.wv1"
    test = (discs / "wsj0/doc/indices/test/nvp/si_et_20.ndx").read_text().splitlines()
    assert test[1] == "11_14_1:wsj0/si_et_20/006/006c0201"
    assert len(list(discs.rglob("*.dot"))) == 10
    dot = (discs / "wsj0/transcrp/dots/si_tr_s/000/000c0200.dot").read_text().splitlines()
    assert dot[0].startswith("[tongue_click] ")
    assert [line[-10:] for line in dot] == [f"(000c020{i})" for i in (1, 2, 3, 4)]
    texts = "".join(path.read_text() for path in discs.rglob("*.dot"))
    assert "on\\'t" in texts
    assert "n't" not in texts


def test_an4_lies_as_it_comes(folder):
    discs = folder / "an4" / "discs"
    ids = (discs / "etc/an4_train.fileids").read_text().splitlines()
    texts = (discs / "etc/an4_train.transcription").read_text().splitlines()
    assert ids[0] == "an4_clstk/s000/an0-s000-b"
    assert texts[0].endswith(" (an0-s000-b)")
    assert all(text.partition(" (")[0].isupper() for text in texts)
    assert all((discs / "wav" / f"{identity}.sph").is_file() for identity in ids)
    assert len(list(discs.glob("wav/an4test_clstk/*/*.sph"))) == 8


def test_librispeech_lies_as_it_comes(folder):
    chapter = folder / "librispeech" / "discs" / "LibriSpeech" / "test-other" / "106" / "1"
    lines = (chapter / "106-1.trans.txt").read_text().splitlines()
    assert [line.partition(" ")[0] for line in lines] == [f"106-1-000{i}" for i in range(4)]
    assert all(line.isupper() for line in lines)
    assert len(list(chapter.glob("106-1-000?.flac"))) == 4


@pytest.mark.parametrize("corpus", READERS)
def test_prepared_audio_is_that_of_the_discs(corpus, folder):
    discs = folder / name(corpus) / "discs"
    for _, utterance, samples in recordings(folder, corpus):
        (path,) = (path for path in discs.rglob(f"{utterance.name}.*") if path.suffix != ".dot")
        assert np.array_equal(samples, soundfile.read(path, dtype="int16")[0])


@pytest.mark.parametrize("corpus", READERS)
def test_it_is_speech(corpus, folder):
    lengths = []
    for _, utterance, samples in recordings(folder, corpus):
        loudness = samples.astype(float).std()
        ends = np.concatenate([samples[:700], samples[-700:]]).astype(float).std()
        assert 500 < loudness < 12000
        assert 5 < ends < loudness / 4
        assert 0.3 < utterance.seconds < 2.5
        lengths.append((len(utterance.text), len(samples)))
    assert np.corrcoef(np.array(lengths).T)[0, 1] > 0.8  # each says its own text


@pytest.mark.parametrize("corpus", READERS)
def test_the_same_everywhere_and_written_once(corpus, folder, tiny, tmp_path):
    root = tmp_path / "deep" / name(corpus)
    corpus.write(root)
    assert digest(root) == digest(folder / name(corpus))
    before = {path: path.stat().st_mtime_ns for path in files(root)}
    corpus.write(root)
    assert before == {path: path.stat().st_mtime_ns for path in files(root)}
    assert os.listdir(root.parent) == [root.name]


@pytest.mark.parametrize("where", ["synthesise", "prepare"])
def test_stopped_writing_leaves_nothing(where, tiny, tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(mini_speech, where, stop)
    with pytest.raises(KeyboardInterrupt):
        mini_an4.write(tmp_path / "an4")
    assert os.listdir(tmp_path) == []


def test_espeak_that_does_not_start_is_named(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(mini_speech, "ACCENTS", ("xx",))
    with pytest.raises(UserError, match=r"espeak-ng: .*no voice xx\+\w\d; install espeakng-loader"):
        mini_an4.write(tmp_path / "an4")
    assert os.listdir(tmp_path) == []


def test_another_folder_is_left_alone(tmp_path):
    (tmp_path / "train.jsonl").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        mini_wsj.write(tmp_path)
    assert os.listdir(tmp_path) == ["train.jsonl"]


@pytest.fixture
def said(monkeypatch):
    """Keeps what would be said."""
    prompts: list[Prompt] = []

    def listen(given: list[Prompt]) -> list[np.ndarray]:
        prompts.extend(given)
        return [np.ones(320, np.int16)] * len(given)

    monkeypatch.setattr(mini_speech, "synthesise", listen)
    return prompts


@pytest.mark.parametrize(
    ("seed", "speakers"),
    [
        (5, {part.ndx: part.speakers for part in mini_wsj.PARTS}),
        (6, mini_an4.SPEAKERS),
        (7, mini_librispeech.SPEAKERS),
    ],
    ids=["wsj", "an4", "librispeech"],
)
def test_whole_corpora(seed, speakers, said):
    """Training says every word often; the test's speakers are others than those of training."""
    recorded = mini_speech.record(seed, speakers)
    train = [r for split, some in recorded.items() if "tr" in Path(split).name for r in some]
    assert len(train) == 360
    words = [word for recording in train for word in recording.text.split()]
    assert set(words) == WORDS
    assert min(map(words.count, WORDS)) >= 3
    assert {len(some) for some in recorded.values()} <= {48, 120, 240, 360}
    voices = [(prompt.voice, prompt.pitch) for prompt in said]
    assert len(set(voices)) == sum(speakers.values())
    assert all(120 < prompt.rate < 185 for prompt in said)


@given(st.integers(0, 2**32))
def test_sentences_are_short_and_of_few_words(seed):
    words = mini_speech.invent(np.random.default_rng(seed)).split()
    assert 1 <= len(words) <= 5
    assert set(words) <= WORDS


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=50))
def test_sphere_holds_the_samples(tmp_path_factory, samples):
    path = tmp_path_factory.mktemp("sphere") / "a.sph"
    path.write_bytes(mini_speech.sphere(np.array(samples, np.int16)))
    assert read_audio(path).tolist() == samples


def test_espeak_says_the_same_in_every_process():
    """f5 breathes at random, and all voices flutter on from where the last one stopped."""
    breathing = [Prompt("seven", "en-us+f5", 150, 50), Prompt("don't stop", "en+m3", 170, 40)]
    first, again = synthesise(breathing), synthesise(breathing)
    assert [samples.tobytes() for samples in first] == [samples.tobytes() for samples in again]
    assert [samples.dtype for samples in first] == [np.int16, np.int16]
    assert all(4000 < len(samples) < 16000 for samples in first)
    (slow,) = synthesise([Prompt("seven", "en-us+f5", 90, 50)])
    assert len(slow) > 1.3 * len(first[0])


def test_pitch_is_heard():
    low, high = synthesise([Prompt("oh", "en-us", 100, pitch) for pitch in (10, 90)])

    def period(samples):
        """The lag at which the middle is most like itself, of 400 Hz to 64 Hz."""
        middle = samples[2400:4800].astype(float)
        return max(range(40, 250), key=lambda lag: np.corrcoef(middle[lag:], middle[:-lag])[0, 1])

    assert period(high) < period(low) / 1.3
