"""Checkpoints of the original program: read as Python 2 wrote them, and nothing in them run."""

import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from dsd.errors import UserError
from models.neuraltalk_checkpoint import read_original

GOLDEN = Path(__file__).parent / "neuraltalk.npz"


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes str and bytes as Python 2 wrote its str, arrays as its NumPy did."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_string(self, value: str | bytes) -> None:
        data = value.encode() if isinstance(value, str) else value
        if self.bin:
            self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        else:
            self.write(pickle.STRING + repr(data)[1:].encode() + b"\n")

    dispatch[str] = dispatch[bytes] = save_string


def python2(value: object, protocol: int = 0) -> bytes:
    file = io.BytesIO()
    Python2Pickler(file, protocol=protocol).dump(value)
    return file.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@pytest.fixture
def checkpoint() -> dict[str, Any]:
    with np.load(GOLDEN, allow_pickle=False) as arrays:
        model = {k.removeprefix("param_"): arrays[k] for k in arrays if k.startswith("param_")}
    words = {0: ".", **{i: f"word{i}" for i in range(1, len(model["Ws"]))}}
    return {
        "it": 5699,
        "epoch": 18.99,
        "model": model,
        "params": {"generator": "lstm", "hidden_size": 16, "tanhC_version": 0},
        "perplexity": np.float64(15.7),
        "wordtoix": {"#START#": 0, **{w: i for i, w in words.items() if i}},
        "ixtoword": words,
    }


@pytest.fixture
def write(tmp_path):
    def write(value: object, protocol: int = 0) -> Path:  # the original's pickle.dump gave none
        path = tmp_path / "model_checkpoint_flickr8k.p"
        path.write_bytes(python2(value, protocol))
        return path

    return write


@pytest.mark.parametrize("protocol", [0, 2])
def test_arrays_and_words_are_read(checkpoint, write, protocol):
    net, words = read_original(write(checkpoint, protocol))
    for name, array in checkpoint["model"].items():
        np.testing.assert_array_equal(net.get_parameter(name).detach().numpy(), array)
    assert words[:3] == (".", "word1", "word2")
    with np.load(GOLDEN, allow_pickle=False) as golden:
        features = torch.from_numpy(golden["features"])
        said = [w for w in golden["beam3_words_0"].tolist() if w]
    assert net.caption(features[:1], beam=3)[0][0] == said


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_code_in_a_checkpoint_is_not_run(checkpoint, write, tmp_path):
    path = write({**checkpoint, "it": Bomb(tmp_path / "ran")})
    with pytest.raises(UserError, match=r"flickr8k\.p: asks to run (posix|nt)\.mkdir"):
        read_original(path)
    assert not (tmp_path / "ran").exists()


def test_other_files_are_refused_by_name(checkpoint, write, tmp_path):
    def refused(match: str, **change: object) -> None:
        with pytest.raises(UserError, match=rf"flickr8k\.p: {match}"):
            read_original(write({**checkpoint, **change}))

    refused("of a generator that is not read", params={"generator": "rnn"})
    refused("of a generator that is not read", params={"generator": "lstm", "tanhC_version": 1})
    refused("has 2 words for 40 rows of Ws", ixtoword={0: ".", 1: "a"})
    refused("NeuralTalk: WLSTM, .*: missing or unknown", model={"We": checkpoint["model"]["We"]})
    refused("is no checkpoint of NeuralTalk", ixtoword=3)
    with pytest.raises(UserError, match="is no checkpoint of NeuralTalk"):
        read_original(write(["a list"]))
    damaged = tmp_path / "damaged.p"
    damaged.write_bytes(python2(checkpoint)[:500])
    with pytest.raises(UserError, match=r"damaged\.p: is no checkpoint of NeuralTalk"):
        read_original(damaged)
    with pytest.raises(UserError, match="no such file"):
        read_original(tmp_path / "none.p")
