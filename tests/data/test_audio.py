"""Recordings in every format come back as the same samples, or are refused by name."""

import io
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.audio import read_audio
from dsd.errors import UserError
from tests.data.shorten import shortened, sphere

NOISE = np.random.default_rng(0).integers(-20_000, 20_000, 1700).astype(np.int16)


def written(samples=NOISE, rate=16_000, **options):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **{"format": "WAV", "subtype": "PCM_16", **options})
    return file.getvalue()


WAV, FLAC = written(), written(format="FLAC")
PLAIN, COMPRESSED = sphere(NOISE), shortened(NOISE)
RECORDINGS = {
    "a.wav": WAV,
    "a.flac": FLAC,
    "float.wav": written(NOISE / 2**15, subtype="FLOAT"),
    "double.wav": written(NOISE / 2**15, subtype="DOUBLE"),
    "low_byte_first.sph": PLAIN,
    "high_byte_first.sph": sphere(NOISE, byte_format="10"),
    "011c0201.wv1": COMPRESSED,
    "011C0201.WV1;1": shortened(NOISE, byte_format="10"),
    "no_checksum.sph": sphere(NOISE, sample_checksum=None),
    "a.raw": NOISE.astype(">i2").tobytes(),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_format_gives_the_samples(name, tmp_path):
    (tmp_path / name).write_bytes(RECORDINGS[name])
    samples = read_audio(tmp_path / name)
    assert samples.dtype == np.int16
    np.testing.assert_array_equal(samples, NOISE)


def test_sphere_of_8_bits(tmp_path):
    path = tmp_path / "ulaw.sph"
    path.write_bytes(written(format="NIST", subtype="ULAW"))
    assert np.abs(read_audio(path).astype(int) - NOISE).max() < 600


@settings(max_examples=40, deadline=None)
@given(
    samples=arrays(np.int16, st.integers(1, 600)),
    walk=st.booleans(),
    byte_format=st.sampled_from(("01", "10")),
)
def test_shorten_comes_back_whole(tmp_path_factory, samples, walk, byte_format):
    if walk:  # small steps, as speech has: higher differences are cheaper
        samples = np.cumsum(samples // 512).astype(np.int16)
    path = tmp_path_factory.getbasetemp() / "any.wv1"
    path.write_bytes(shortened(samples, byte_format=byte_format))
    np.testing.assert_array_equal(read_audio(path), samples)


def test_a_long_shorten_file_keeps_its_tail(tmp_path):
    """FFmpeg decodes in pieces of its own size; the last must not be lost."""
    walk = np.random.default_rng(1).normal(0, 200, 30_001).cumsum().astype(np.int16)
    path = tmp_path / "long.wv1"
    path.write_bytes(shortened(walk))
    np.testing.assert_array_equal(read_audio(path), walk)


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


REFUSED = {  # name: what it holds, what is said of it
    "cut.wav": (WAV[:-300], "cut off"),
    "cut.flac": (FLAC[:-300], "cannot be decoded"),
    "cut.sph": (PLAIN[:-300], "1550 of 1700 samples"),
    "cut.wv1": (COMPRESSED[:-300], "of 1700 samples"),
    "cut.raw": (RECORDINGS["a.raw"][:-1], "cannot be decoded"),
    "header.sph": (PLAIN[:500], "cannot be decoded"),
    "header.wv1": (COMPRESSED[:500], "cannot be decoded"),
    "more.sph": (sphere(NOISE, sample_count=1600), "cannot be decoded"),
    "another.sph": (flipped(PLAIN, 2000), "checksum"),
    "another.flac": (flipped(FLAC, 2000), "cannot be decoded"),
    "another.wv1": (shortened(NOISE, sample_checksum=1), "checksum"),
    "8khz.wav": (written(rate=8000), "8000 Hz, 1 channels"),
    "8khz.sph": (sphere(NOISE, sample_rate=8000), "8000 Hz"),
    "8khz.wv1": (shortened(NOISE, sample_rate=8000), "8000 Hz"),
    "stereo.flac": (written(np.stack([NOISE, NOISE], 1), format="FLAC"), "16000 Hz, 2 channels"),
    "silent.wav": (written(NOISE[:0]), "no samples"),
    "empty.flac": (b"", "cannot be decoded"),
    "text.wv1": (b"NIST_1A\n   1024\nsample_rate -i many", "cannot be decoded"),
    "picture.wav": (b"\x89PNG" * 300, "cannot be decoded"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_unsound_files_are_named_in_a_line(name, tmp_path):
    data, reason = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_audio(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ")
    assert reason in message
    assert "\n" not in message
    assert "BytesIO" not in message


def test_missing_files_and_folders_are_named(tmp_path):
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(UserError, match=f"{path}: cannot be read"):
            read_audio(path)


@settings(deadline=None)
@given(data=st.binary(max_size=300), start=st.sampled_from((b"", b"NIST_1A\n   1024\n", WAV[:44])))
def test_any_bytes_give_samples_or_an_error(tmp_path_factory, data, start):
    path = tmp_path_factory.getbasetemp() / "any.sph"
    path.write_bytes(start + data)
    with suppress(UserError):
        assert len(read_audio(path))
