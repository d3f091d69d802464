"""Reads recordings of speech: FLAC, WAV, SPHERE (also with shorten's compression) and AN4's .raw.

SPHERE is the format of NIST: a header of 1024 bytes, then the samples as they are or compressed.
soundfile reads FLAC, WAV and plain SPHERE; FFmpeg, which PyAV brings, what shorten compressed.
"""

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import soundfile

from dsd.errors import UserError

SAMPLE_RATE = 16_000  # Hz
SPHERE = b"NIST_1A"
CONVERT = "convert it: ffmpeg -i FILE -ac 1 -ar 16000 -sample_fmt s16 FILE.flac"


def read_audio(path: Path) -> np.ndarray:
    """Returns the samples of a mono recording at 16 kHz, (samples,) int16.

    A file named .raw is taken for AN4's: 16 bits, big-endian, no header. SPHERE's own count and
    checksum are compared with what was read. Raises UserError naming a file that is missing,
    damaged, cut off or empty, has another sample rate or more than one channel.
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
    if rate != SAMPLE_RATE or samples.ndim != 1:
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        raise UserError(f"{path}: {rate} Hz, {channels} channels, not 16000 Hz mono; {CONVERT}")
    if not len(samples):
        raise UserError(f"{path}: holds no samples; restore the file")
    return samples


def _decoder(path: Path, data: bytes) -> Callable[[bytes], tuple[int, np.ndarray]]:
    if path.suffix.lower() == ".raw":
        return _raw
    return _sphere if data.startswith(SPHERE) else _soundfile


def _raw(data: bytes) -> tuple[int, np.ndarray]:
    return SAMPLE_RATE, np.frombuffer(data, ">i2").astype(np.int16)


def _soundfile(data: bytes) -> tuple[int, np.ndarray]:
    if data[:4] == b"RIFF" and len(data) < 8 + int.from_bytes(data[4:8], "little") < 2**32:
        raise ValueError("cut off")
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        if file.subtype in ("FLOAT", "DOUBLE"):  # libsndfile does not scale these
            wave = (file.read(dtype="float64") * 2**15).round()
            return file.samplerate, wave.clip(-(2**15), 2**15 - 1).astype(np.int16)
        return file.samplerate, file.read(dtype="int16")


def _sphere(data: bytes) -> tuple[int, np.ndarray]:
    fields = _header(data)
    rate, samples = _shorten(data) if "shorten" in fields["sample_coding"] else _soundfile(data)
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


def _shorten(data: bytes) -> tuple[int, np.ndarray]:
    with av.open(io.BytesIO(data), "r") as file:
        blocks = [frame.to_ndarray() for frame in file.decode(audio=0)]
        return file.streams.audio[0].rate, np.concatenate(blocks, axis=1)[0]
