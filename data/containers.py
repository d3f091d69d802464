"""What a recording's container promises: how many bytes of samples, and whether they are there.

libsndfile reads what is left of a file that was cut off, and says nothing. A program that writes to
a pipe cannot know the size: sox and ffmpeg then write the largest one, others zero. Such a file is
read to its end.
"""

import struct
from collections.abc import Iterator

KNOWN = "FLAC, WAV, RF64, W64, AIFF, AU, CAF, MP3, Ogg or SPHERE"
PIPE = 0x7FFF0000  # sizes from here on are no sizes: sox writes 0x7ffff000, ffmpeg 0xffffffff
W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")


def checked(data: bytes) -> bytes:
    """Returns a recording with its true size in its header.

    Raises ValueError where fewer bytes of samples are there than the container says, and for a
    container that does not say it.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _wav(data)
    if data[:4] in (b"RF64", b"BW64") and data[8:12] == b"WAVE":
        _rf64(data)
    elif data[:4] == b"riff":
        _w64(data)
    elif data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        _aiff(data)
    elif data[:4] == b".snd":
        _au(data)
    elif data[:4] == b"caff":
        _caf(data)
    elif data[:4] == b"OggS":
        _ogg(data)
    elif not (data[:4] == b"fLaC" or data[:3] == b"ID3" or _is_mpeg(data)):
        raise ValueError(f"no {KNOWN} file")
    return data


def flac_count(data: bytes) -> int:
    """Returns how many samples the first block of a FLAC file says it has; 0: it does not say."""
    return int.from_bytes(data[21:26], "big") & (1 << 36) - 1


def with_flac_count(data: bytes, count: int) -> bytes:
    """Returns a FLAC file whose first block has this count of samples."""
    number = int.from_bytes(data[21:26], "big") >> 36 << 36 | count
    return data[:21] + number.to_bytes(5, "big") + data[26:]


def _wav(data: bytes) -> bytes:
    frame = 1  # bytes of a sample of all channels
    for place, name, size in _chunks(data, 12, "<4sI"):
        if name == b"fmt ":
            frame = struct.unpack_from("<H", data, place + 12)[0] or 1
        if name != b"data":
            continue
        there = len(data) - place
        if size >= PIPE or (size == 0 and there):
            if there >= PIPE:
                return data
            head = data[: place - 4] + struct.pack("<I", there)
            return head[:4] + struct.pack("<I", len(data) - 8) + head[8:] + data[place:]
        if size // frame > there // frame:  # some programs count a pad byte that is not there
            _compare(size, there)
        return data
    raise ValueError("cut off: holds no samples")


def _rf64(data: bytes) -> None:
    long = None
    for place, name, size in _chunks(data, 12, "<4sI"):
        if name == b"ds64":
            long = struct.unpack_from("<QQ", data, place)[1]
        elif name == b"data":
            unknown = size == 0xFFFFFFFF and not long
            expected = long if size == 0xFFFFFFFF and long else size
            return None if unknown else _compare(expected, len(data) - place)
    raise ValueError("cut off: holds no samples")


def _w64(data: bytes) -> None:
    place = 40  # after riff, its size, and wave
    while place + 24 <= len(data):
        size = struct.unpack_from("<Q", data, place + 16)[0]  # with these 24 bytes
        if data[place : place + 16] == W64_DATA:
            return _compare(size - 24, len(data) - place - 24)
        place += max(24, -(-size // 8) * 8)
    raise ValueError("cut off: holds no samples")


def _aiff(data: bytes) -> None:
    for place, name, size in _chunks(data, 12, ">4sI"):
        if name == b"SSND":
            return None if size >= PIPE else _compare(size, len(data) - place)
    raise ValueError("cut off: holds no samples")


def _au(data: bytes) -> None:
    start, size = struct.unpack_from(">II", data, 4)
    if size != 0xFFFFFFFF:
        _compare(size, len(data) - start)


def _caf(data: bytes) -> None:
    for place, name, size in _chunks(data, 8, ">4sq"):
        if name == b"data":
            return None if size == -1 else _compare(size, len(data) - place)
    raise ValueError("cut off: holds no samples")


def _ogg(data: bytes) -> None:
    """Raises ValueError unless the last page says that it is the last, and all bytes are pages."""
    place, last = 0, False
    while place < len(data):
        if data[place : place + 4] != b"OggS" or place + 27 > len(data):
            raise ValueError("cut off, or damaged between its pages")
        segments = data[place + 26]
        end = place + 27 + segments + sum(data[place + 27 : place + 27 + segments])
        last = bool(data[place + 5] & 4)
        if end > len(data):
            raise ValueError("cut off within a page")
        place = end
    if not last:
        raise ValueError("cut off: its last page is missing")


def _is_mpeg(data: bytes) -> bool:
    return len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0


def _chunks(data: bytes, place: int, head: str) -> Iterator[tuple[int, bytes, int]]:
    """Yields (place of its content, name, size) of each chunk; each begins at an even place."""
    width = struct.calcsize(head)
    while place + width <= len(data):
        name, size = struct.unpack_from(head, data, place)
        yield place + width, name, size
        padded = size + (size % 2 if head != ">4sq" else 0)
        place += width + max(padded, 0)


def _compare(expected: int, there: int) -> None:
    if there < expected:
        raise ValueError(f"cut off: {there} of {expected} bytes of samples are there")
