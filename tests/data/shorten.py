"""Writes SPHERE files for tests: plain, or compressed as WSJ's discs are by shorten, version 2.

Shorten (T. Robinson, "SHORTEN: Simple lossless and near-lossless waveform compression", CUED/
F-INFENG/TR.156, 1994; field sizes as in FFmpeg's decoder) codes each block of samples by the
difference from a predictor, and the differences by Rice codes.
"""

import numpy as np

BLOCK = 256  # samples
TYPES = {"01": 5, "10": 3}  # of the samples: 16 bits, low or high byte first
DIFFERENCES = range(4)  # the commands for differences of order 0, 1, 2 and 3
QUIT, BLOCK_SIZE = 4, 5  # commands


def sphere(samples, *, byte_format="01", coding="pcm", body=None, **fields):
    """Returns a SPHERE file; fields replace those of the header, None leaves one out."""
    header = {
        "sample_count": len(samples),
        "sample_rate": 16000,
        "channel_count": 1,
        "sample_n_bytes": 2,
        "sample_byte_format": byte_format,
        "sample_coding": coding,
        "sample_checksum": int(np.asarray(samples, np.int64).sum() % 2**16),
        **fields,
    }
    lines = ["NIST_1A", "   1024"]
    for name, value in header.items():
        kind = "-i" if isinstance(value, int) else f"-s{len(value or '')}"
        lines += [f"{name} {kind} {value}"] if value is not None else []
    text = "\n".join([*lines, "end_head", ""]).encode()
    if body is None:
        body = np.asarray(samples, "<i2" if byte_format == "01" else ">i2").tobytes()
    return text.ljust(1024) + body


def shortened(samples, *, byte_format="01", **fields):
    """Returns a SPHERE file with shorten's compression, as the .wv1 files of WSJ have it."""
    body = encode(samples, TYPES[byte_format])
    coding = "pcm,embedded-shorten-v2.00"
    return sphere(samples, byte_format=byte_format, coding=coding, body=body, **fields)


def encode(samples, kind=5):
    """Returns shorten's stream of mono int16 samples."""
    bits = "".join(map(_ulong, (kind, 1, BLOCK, 0, 0, 0)))  # ..., channels, block, LPC, means, skip
    history = [0, 0, 0]
    for start in range(0, len(samples), BLOCK):
        block = samples[start : start + BLOCK].tolist()
        if len(block) < BLOCK:
            bits += _rice(BLOCK_SIZE, 2) + _ulong(len(block))
        bits += min((_difference(history + block, n) for n in DIFFERENCES), key=len)
        history = (history + block)[-3:]
    bits += _rice(QUIT, 2)
    bits += "0" * (-len(bits) % 32)  # shorten writes words of four bytes
    return b"ajkg\x02" + int(bits, 2).to_bytes(len(bits) // 8, "big")


def _difference(values, order):
    """Returns the command for a block, which three earlier values precede."""
    residuals = np.diff(np.array(values), order)[3 - order :] if order else np.array(values[3:])
    folded = [2 * r if r >= 0 else -2 * r - 1 for r in residuals.tolist()]
    size = max(0, int(np.log2(np.mean(folded) + 1)) - 1)
    return _rice(order, 2) + _rice(size, 3) + "".join(_rice(value, size + 1) for value in folded)


def _rice(value, size):
    """Returns a Rice code: the high part in zeros and a one, then the low `size` bits."""
    low = f"{value % 2**size:0{size}b}" if size else ""
    return "0" * (value >> size) + "1" + low


def _ulong(value):
    size = value.bit_length()
    return _rice(size, 2) + _rice(value, size)
