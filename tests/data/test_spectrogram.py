"""Spectrograms: the formula, the number of frames, and a cache that changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.spectrogram import Spectrograms, frames, spectrogram
from dsd.errors import UserError


def noise(samples):
    return np.random.default_rng(samples).integers(-9000, 9000, samples).astype(np.int16)


def test_the_formula():
    samples = noise(16_000)
    windows = np.lib.stride_tricks.sliding_window_view(samples / 2**15, 320)[::160]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(320) / 320)
    power = np.abs(np.fft.rfft(windows * hann)) ** 2
    bins = np.log(power + 1e-6)
    expected = (bins - bins.mean(0)) / (bins.std(0) + 1e-3)
    found = spectrogram(samples)
    assert found.shape == (99, 161)
    np.testing.assert_allclose(found, expected, atol=0.01)


@given(samples=st.integers(1, 3000))
def test_frames(samples):
    found = spectrogram(noise(samples))
    assert found.shape == (frames(samples), 161)
    assert np.isfinite(found).all()


def test_silence_is_finite():
    assert np.isfinite(spectrogram(np.zeros(1000, np.int16))).all()


def test_ten_milliseconds_are_a_step():
    assert [frames(n) for n in (0, 1, 320, 479, 480, 16_000)] == [1, 1, 1, 1, 2, 99]


def test_the_cache_changes_nothing(tmp_path, speech_set):
    speech = speech_set(tmp_path / "corpus", [1000, 5000, 320])
    plain, cached = Spectrograms(speech, None), Spectrograms(speech, tmp_path / "cache")
    assert plain.frames == cached.frames
    for place in (2, 0, 1):
        np.testing.assert_array_equal(plain[place], cached[place])


def test_the_cache_is_made_once_for_a_corpus(tmp_path, speech_set):
    speech = speech_set(tmp_path / "corpus", [1000, 5000])
    first = Spectrograms(speech, tmp_path / "cache")[1].copy()
    for path in (tmp_path / "corpus" / "audio" / "train").iterdir():
        path.unlink()
    np.testing.assert_array_equal(Spectrograms(speech, tmp_path / "cache")[1], first)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1
    other = replace(speech, utterances=speech.utterances[:1])
    with pytest.raises(UserError, match=r"u0\.flac"):
        Spectrograms(other, tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1  # nothing half-written


def test_a_damaged_cache_is_written_anew(tmp_path, speech_set):
    speech = speech_set(tmp_path / "corpus", [1000, 5000])
    first = Spectrograms(speech, tmp_path / "cache")[1]
    (path,) = (tmp_path / "cache").glob("*.npy")
    whole = path.read_bytes()
    for damaged in (whole[:-1000], whole[:50], b""):
        path.write_bytes(damaged)
        np.testing.assert_array_equal(Spectrograms(speech, tmp_path / "cache")[1], first)
        assert path.read_bytes() == whole
    assert sorted(file.name for file in (tmp_path / "cache").iterdir()) == [".lock", path.name]


def test_where_no_cache_can_be(tmp_path, speech_set):
    speech = speech_set(tmp_path / "corpus", [1000])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file.* cannot be kept there .*set SPECTROGRAMS"):
        Spectrograms(speech, tmp_path / "file" / "cache")


@pytest.mark.parametrize("cached", [True, False])
def test_another_recording_is_refused(tmp_path, speech_set, cached):
    speech = speech_set(tmp_path / "corpus", [1000])
    wrong = replace(speech.utterances[0], sha256="0" * 64)
    with pytest.raises(UserError, match=r"u0\.flac: is not the recording"):
        Spectrograms(replace(speech, utterances=(wrong,)), tmp_path / "x" if cached else None)[0]
    assert not list((tmp_path).glob("x/*.npy"))


def test_a_cache_whose_bytes_changed_is_refused_by_name(tmp_path, speech_set):
    speech = speech_set(tmp_path / "corpus", [1000, 5000, 3000])
    Spectrograms(speech, tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob("*.npy")
    whole = path.read_bytes()
    zeroed = whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2)
    rng = np.random.default_rng(0)
    places = rng.integers(128, len(whole), 40)
    for place in [None, *places]:
        damaged = bytearray(zeroed if place is None else whole)
        if place is not None:
            damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        assert _read(speech, tmp_path / "cache") in ("refused", "written again")
    path.write_bytes(whole)
    assert _read(speech, tmp_path / "cache") == "written again"  # or left as it is


def _read(speech, cache):
    try:
        opened = Spectrograms(speech, cache)
        found = [opened[i] for i in range(len(speech))]
    except UserError as error:
        return "refused" if "damaged at u" in str(error) else str(error)
    plain = Spectrograms(speech, None)
    same = all(np.array_equal(each, plain[i]) for i, each in enumerate(found))
    return "written again" if same else "another spectrogram"


def test_a_cache_of_the_version_before_is_written_anew(tmp_path, speech_set):
    speech = speech_set(tmp_path / "corpus", [1000, 5000])
    first = Spectrograms(speech, tmp_path / "cache")[1]
    (path,) = (tmp_path / "cache").glob("*.npy")
    whole = path.read_bytes()
    np.save(path, np.load(path))  # without checksums
    np.testing.assert_array_equal(Spectrograms(speech, tmp_path / "cache")[1], first)
    assert path.read_bytes() == whole
