"""Recordings in every format come back as the same samples, or are refused by name."""

import io
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data import containers
from data.audio import read_audio
from dsd.errors import UserError
from tests.data.shorten import shortened, sphere

CASES = Path(__file__).parents[1] / "cases"

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
    "odd.wav": (written(rate=44_101), "44101 Hz is no usual rate"),
    "slow.wav": (written(rate=50), "50 Hz is no usual rate"),
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


TONE = 440  # Hz


def tone(rate, phase=0.0):
    """A second of a tone, at an amplitude of a quarter."""
    wave = 2**13 * np.sin(2 * np.pi * TONE * np.arange(rate) / rate + phase)
    return wave.round().astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("form", ["WAV", "FLAC"])
def test_any_rate_and_channels_become_16_khz_mono(tmp_path, rate, channels, form):
    waves = np.stack([tone(rate) * (i == 0) for i in range(channels)], 1)
    (tmp_path / "a").write_bytes(written(waves.squeeze(), rate, format=form))
    found = read_audio(tmp_path / "a")
    assert (found.shape, found.dtype) == ((16_000,), np.int16)
    middle = slice(500, -500)  # its ends meet silence
    np.testing.assert_allclose(found[middle], tone(16_000)[middle] / channels, atol=60)


def test_channels_of_16_khz_are_mixed_to_their_mean(tmp_path):
    (tmp_path / "a.flac").write_bytes(written(np.stack([NOISE, NOISE // 2], 1), format="FLAC"))
    mean = (NOISE.astype(int) + NOISE // 2) / 2
    np.testing.assert_array_equal(read_audio(tmp_path / "a.flac"), mean.round())


@pytest.mark.parametrize("write", [sphere, shortened])
def test_telephone_speech_in_sphere_is_resampled(tmp_path, write):
    (tmp_path / "a.sph").write_bytes(write(tone(8000), sample_rate=8000))
    found = read_audio(tmp_path / "a.sph")
    np.testing.assert_allclose(found[500:-500], tone(16_000)[500:-500], atol=60)


def test_stereo_flac_without_a_count_is_read(tmp_path):
    flac = written(np.stack([NOISE, NOISE], 1), format="FLAC")
    number = int.from_bytes(flac[21:26], "big") >> 36 << 36
    (tmp_path / "a.flac").write_bytes(flac[:21] + number.to_bytes(5, "big") + flac[26:])
    np.testing.assert_array_equal(read_audio(tmp_path / "a.flac"), NOISE)


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


CONTAINERS = {  # what libsndfile writes: format, subtype
    "wav": ("WAV", "PCM_16"),
    "wavex": ("WAVEX", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "aiff_float": ("AIFF", "FLOAT"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
LONG = np.random.default_rng(3).normal(0, 300, 16_001).cumsum().clip(-32768, 32767)


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_is_read_whole_and_refused_cut(name, tmp_path):
    form, subtype = CONTAINERS[name]
    data = written(LONG / 2**15, format=form, subtype=subtype)
    path = tmp_path / name
    path.write_bytes(data)
    assert len(read_audio(path)) == len(LONG)
    for cut in (2, 300, len(data) // 2, len(data) - 60):
        path.write_bytes(data[:-cut])
        with pytest.raises(UserError, match="cannot be decoded"):
            read_audio(path)


@pytest.mark.parametrize(
    ("riff", "size"),
    [
        (0x7FFFF024, 0x7FFFF000),  # sox
        (0xFFFFFFFF, 0xFFFFFFFF),  # ffmpeg
        (0, 0),
        (36, 0),
        (0, 2 * len(NOISE)),
        (37 + 2 * len(NOISE), 2 * len(NOISE) + 1),  # a pad byte counted that is not there
        (7 + len(WAV), 2 * len(NOISE)),
    ],
)
def test_sizes_as_pipes_write_them(riff, size, tmp_path):
    path = tmp_path / "pipe.wav"
    path.write_bytes(
        WAV[:4] + struct.pack("<I", riff) + WAV[8:40] + struct.pack("<I", size) + WAV[44:]
    )
    np.testing.assert_array_equal(read_audio(path), NOISE)


def test_the_cases_that_people_met():
    assert len(read_audio(CASES / "sox_pipe.wav")) == 16_000
    assert len(read_audio(CASES / "flac_unknown_length.flac")) == 16_000


def test_flac_without_a_length_is_still_checked(tmp_path):
    path = tmp_path / "cut.flac"
    data = (CASES / "flac_unknown_length.flac").read_bytes()
    for damaged in (data[:-1], data[:3000], flipped(data, 3000)):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be decoded"):
            read_audio(path)
    assert containers.flac_count(containers.with_flac_count(data, 12345)) == 12345


def test_a_data_chunk_that_promises_more_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(WAV[:4] + bytes(4) + WAV[8:-20])  # the whole's size is not known
    with pytest.raises(UserError, match="cut off: 3380 of 3400 bytes"):
        read_audio(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("options", [{"subtype": "FLOAT"}, {"format": "AIFF", "subtype": "DOUBLE"}])
def test_samples_that_are_not_finite_are_refused(bad, options, tmp_path):
    samples = NOISE / 2**15
    samples[7] = bad
    (tmp_path / "a.wav").write_bytes(written(samples, **options))
    with pytest.raises(UserError, match="sample 7 is not finite"):
        read_audio(tmp_path / "a.wav")


def test_a_container_that_cannot_be_checked_is_refused(tmp_path):
    (tmp_path / "a.voc").write_bytes(written(format="VOC"))
    with pytest.raises(UserError, match="no FLAC, WAV"):
        read_audio(tmp_path / "a.voc")


@settings(max_examples=60, deadline=None)
@given(loud=st.integers(20, 3000), seed=st.integers(0, 9), order=st.sampled_from(("<i2", ">i2")))
def test_raw_in_either_byte_order(tmp_path_factory, loud, seed, order):
    walk = np.random.default_rng(seed).normal(0, loud, 2000).cumsum().clip(-32768, 32767)
    path = tmp_path_factory.getbasetemp() / "an4.raw"
    path.write_bytes(walk.astype(order).tobytes())
    np.testing.assert_array_equal(read_audio(path), walk.astype(np.int16))


def test_raw_whose_byte_order_cannot_be_told(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(np.random.default_rng(0).bytes(4000))
    with pytest.raises(UserError, match="byte order cannot be told"):
        read_audio(path)
    path.write_bytes(bytes(4000))
    assert not read_audio(path).any()
