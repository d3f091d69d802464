"""Caffe's names for the layers, and its .caffemodel files, the form of the authors' model zoo."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_FIRE = {
    "squeeze1x1": "squeeze",
    "expand1x1": "expand1x1",
    "expand3x3": "expand3x3",
    # What the authors' pruned SqueezeNet and their DSD one call them.
    "conv1x1_1": "squeeze",
    "conv1x1_2": "expand1x1",
    "conv3x3_2": "expand3x3",
}
_INCEPTION = {
    "1x1": "conv1x1",
    "3x3_reduce": "conv3x3_reduce",
    "3x3": "conv3x3",
    "5x5_reduce": "conv5x5_reduce",
    "5x5": "conv5x5",
    "pool_proj": "pool_proj",
}
_VGG16 = {
    **{"1_1": 0, "1_2": 2, "2_1": 5, "2_2": 7, "3_1": 10, "3_2": 12, "3_3": 14},
    **{"4_1": 17, "4_2": 19, "4_3": 21, "5_1": 24, "5_2": 26, "5_3": 28},
}


def _squeezenet(*fires_at: int) -> dict[str, str]:
    ends = {"conv1": "features.0", "conv10": "classifier.1", "conv_final": "classifier.1"}
    return ends | {
        f"fire{number}/{theirs}": f"features.{at}.{ours}"
        for number, at in enumerate(fires_at, start=2)
        for theirs, ours in _FIRE.items()
    }


LAYERS: dict[str, dict[str, str]] = {  # network: {Caffe's layer: our module}
    "alexnet": {
        **{f"conv{i}": f"conv{i}" for i in (1, 2, 3, 4, 5)},
        **{f"fc{i}": f"fc{i}" for i in (6, 7, 8)},
    },
    "squeezenet": _squeezenet(3, 4, 5, 7, 8, 9, 10, 12),
    "squeezenet1_1": _squeezenet(3, 4, 6, 7, 9, 10, 11, 12),
    "googlenet": {
        "conv1/7x7_s2": "conv1",
        "conv2/3x3_reduce": "conv2_reduce",
        "conv2/3x3": "conv2",
        **{
            f"inception_{block}/{theirs}": f"inception_{block}.{ours}"
            for block in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
            for theirs, ours in _INCEPTION.items()
        },
        **{f"loss{i}/{name}": f"aux{i}.{name}" for i in (1, 2) for name in ("conv", "fc")},
        "loss1/classifier": "aux1.classifier",
        "loss2/classifier": "aux2.classifier",
        "loss3/classifier": "classifier",
    },
    "vgg16": {
        **{f"conv{n}": f"features.{at}" for n, at in _VGG16.items()},
        **{"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"},
    },
}
_PARTS = {"w": "weight", "b": "bias"}


def parameter_name(key: str, network: str) -> str:
    """Returns our name of the parameter `<layer>/w` or `<layer>/b`; any other key as it is."""
    layer, _, part = key.rpartition("/")
    module = LAYERS.get(network, {}).get(layer)
    return f"{module}.{_PARTS[part]}" if module and part in _PARTS else key


def read_caffemodel(path: Path) -> dict[str, np.ndarray]:
    """Returns {"<layer>/w": (O, I, H, W) or (O, I), "<layer>/b": (O,)}, float32.

    A .caffemodel is a serialised NetParameter of caffe.proto: its layers are in field 100, in files
    older than 2015 in field 2. Raises ValueError or IndexError when the file is cut short.
    """
    arrays = {}
    for number, layer in _fields(memoryview(path.read_bytes())):
        if number in (2, 100):
            name_field, blobs_field = (1, 7) if number == 100 else (4, 6)
            fields = list(_fields(layer))
            blobs = [_array(value) for field, value in fields if field == blobs_field]
            names = [bytes(value).decode() for field, value in fields if field == name_field]
            arrays.update(
                {f"{names[0]}/{part}": blob for part, blob in zip("wb", blobs, strict=False)}
            )
    return arrays


def _array(blob: memoryview) -> np.ndarray:
    """Reads a BlobProto: data in field 5; shape in field 7, in old files in fields 1 to 4."""
    fields = dict(_fields(blob))
    if 7 in fields:
        shape = _varints(dict(_fields(fields[7]))[1])
    else:
        shape = [fields.get(axis, 1) for axis in (1, 2, 3, 4)]
        while len(shape) > 1 and shape[0] == 1:
            shape.pop(0)
    return np.frombuffer(fields[5], "<f4").reshape(shape).copy()


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yields (number, value) of a protocol buffer's fields: integers, or bytes not yet decoded."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        size, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + size > len(message):
            raise ValueError("cut short")
        yield number, message[at : at + size]
        at += size


def _varints(packed: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        values.append(value)
    return values


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Returns the integer at a position, and the position after it."""
    value = shift = 0
    while message[at] & 128:
        value |= (message[at] & 127) << shift
        shift, at = shift + 7, at + 1
    return value | message[at] << shift, at + 1
