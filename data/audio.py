"""Reads recordings of speech: FLAC, WAV, SPHERE (also with shorten's compression) and AN4's .raw.

SPHERE is the format of NIST: a header of 1024 bytes, then the samples as they are or compressed.
soundfile reads plain SPHERE and the others (data/containers.py); FFmpeg, which PyAV brings, what
shorten compressed. Whatever the rate and the number of channels, networks get 16 kHz mono.
"""

import hashlib
import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from data import containers
from dsd.errors import UserError

SAMPLE_RATE = 16_000  # Hz
SPHERE = b"NIST_1A"
CLEARLY = 0.05  # by what share of the larger one the mean steps of the two byte orders differ
LARGEST_FILTER = 5e7  # numbers in the filter that resamples; 11 025 Hz needs 3e5
CONVERT = "convert it: ffmpeg -i FILE -ac 1 -ar 16000 -sample_fmt s16 FILE.flac"


def read_audio(path: Path) -> np.ndarray:
    """Returns the samples of a recording at 16 kHz, (samples,) int16.

    The mean of its channels, resampled where it has another rate (torchaudio.functional.resample).
    A file named .raw is taken for AN4's: 16 bits in either byte order, no header. Counts and
    checksums that a file has of its samples are compared with what was read. Raises UserError
    naming a file that is missing, damaged, cut off or empty, has samples that are not finite, or a
    rate that shares no large divisor with 16 kHz.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore the file") from None
    decode = _decoder(path, data)
    try:
        rate, samples = decode(data)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many kinds
        reason = getattr(error, "error_string", str(error)) or type(error).__name__
        raise UserError(f"{path}: cannot be decoded ({reason}); restore the file") from None
    if not len(samples):
        raise UserError(f"{path}: holds no samples; restore the file")
    if rate == SAMPLE_RATE and samples.ndim == 1:
        return samples
    if rate < 1000 or rate * SAMPLE_RATE / math.gcd(rate, SAMPLE_RATE) ** 2 > LARGEST_FILTER:
        raise UserError(f"{path}: {rate} Hz is no usual rate; {CONVERT}")
    return _converted(rate, samples)


def _converted(rate: int, samples: np.ndarray) -> np.ndarray:
    """Returns mono int16 at 16 kHz of int16 (n,) or (n, channels) at another rate."""
    import torch  # here: most recordings do without
    from torchaudio.functional import resample

    wave = torch.from_numpy(samples.reshape(len(samples), -1).mean(1))
    wave = resample(wave, rate, SAMPLE_RATE)
    return wave.round().clamp(-(2**15), 2**15 - 1).to(torch.int16).numpy()


def _decoder(path: Path, data: bytes) -> Callable[[bytes], tuple[int, np.ndarray]]:
    if path.suffix.lower() == ".raw":
        return _raw
    return _sphere if data.startswith(SPHERE) else _soundfile


def _raw(data: bytes) -> tuple[int, np.ndarray]:
    """Takes the byte order in which neighbours differ less: right for all 1078 files of AN4."""
    high_first, low_first = (
        np.frombuffer(data, order).astype(np.int16) for order in (">i2", "<i2")
    )
    high, low = _mean_step(high_first), _mean_step(low_first)
    if max(high, low) and abs(high - low) < CLEARLY * max(high, low):
        raise ValueError("its byte order cannot be told from its samples")
    return SAMPLE_RATE, low_first if low < high else high_first


def _mean_step(samples: np.ndarray) -> float:
    return float(np.abs(np.diff(samples.astype(np.int64))).mean()) if len(samples) > 1 else 0.0


def _soundfile(data: bytes) -> tuple[int, np.ndarray]:
    if data[:4] == b"fLaC" and not containers.flac_count(data):  # libsndfile can't read these
        data = containers.with_flac_count(data, len(_ffmpeg(data)[1]))
    sphere = data.startswith(SPHERE)  # has a count of its own
    with soundfile.SoundFile(io.BytesIO(data if sphere else containers.checked(data))) as file:
        fractions = file.subtype in ("FLOAT", "DOUBLE", "VORBIS", "OPUS") or file.format == "MP3"
        samples = file.read(dtype="float64" if fractions else "int16")
        if len(samples) != file.frames:
            raise ValueError(f"cut off: {len(samples)} of {file.frames} samples")
        if not np.isfinite(samples).all():
            raise ValueError(f"sample {int(np.isfinite(samples).argmin())} is not finite")
        if fractions:  # libsndfile does not scale these
            samples = (samples * 2**15).round().clip(-(2**15), 2**15 - 1).astype(np.int16)
        if file.format == "FLAC" and file.subtype == "PCM_16":
            _check_md5(data, samples)
        return file.samplerate, samples


def _check_md5(flac: bytes, samples: np.ndarray) -> None:
    """Compares the samples with the MD5 in FLAC's first block, unless that was left at zero."""
    expected = flac[26:42]
    found = hashlib.md5(samples.astype("<i2").tobytes(), usedforsecurity=False).digest()
    if any(expected) and found != expected:
        raise ValueError("cut off or damaged: its MD5 is not the header's")


def _sphere(data: bytes) -> tuple[int, np.ndarray]:
    fields = _header(data)
    rate, samples = _ffmpeg(data) if "shorten" in fields["sample_coding"] else _soundfile(data)
    count = int(fields["sample_count"])
    if len(samples) != count:
        raise ValueError(f"{len(samples)} of {count} samples")
    if fields["sample_n_bytes"] == "2" and "sample_checksum" in fields:
        _check_sum(samples, int(fields["sample_checksum"]))
    return rate, samples


def _check_sum(samples: np.ndarray, expected: int) -> None:
    if int(samples.sum(dtype=np.int64)) % 2**16 != expected % 2**16:
        raise ValueError("its checksum is not the header's")


def _header(data: bytes) -> dict[str, str]:
    """Returns the fields of a SPHERE header: lines of a name, a type and a value."""
    size = int(data[8:16])
    lines = data[16:size].decode("latin-1").partition("end_head")[0].splitlines()
    fields = {words[0]: words[2] for line in lines if len(words := line.split(maxsplit=2)) == 3}
    return {"sample_coding": "pcm", "sample_n_bytes": "2", **fields}


def _ffmpeg(data: bytes) -> tuple[int, np.ndarray]:
    import av  # here: most recordings do without

    with av.open(io.BytesIO(data), "r") as file:
        channels = file.streams.audio[0].channels
        blocks = [
            frame.to_ndarray().reshape(-1, channels)
            if frame.format.is_packed
            else frame.to_ndarray().T
            for frame in file.decode(audio=0)
        ]
        samples = np.concatenate(blocks)
        return file.streams.audio[0].rate, samples[:, 0] if channels == 1 else samples
