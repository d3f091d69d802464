"""Checkpoints that the original program wrote: model_checkpoint_<...>.p, pickled by Python 2."""

from pathlib import Path
from typing import Any

from data.pickles import load_pickle
from dsd.errors import UserError
from models.neuraltalk import PARAMETERS, NeuralTalk


def read_original(path: Path) -> tuple[NeuralTalk, tuple[str, ...]]:
    """Returns the network, in the arrays' dtype, and its words by index ("." first: the end).

    Nothing that the file holds is run. Raises UserError when it is no such checkpoint, or one of
    another generator or with a tanh on the cell.
    """
    try:
        checkpoint = _text(load_pickle(path))
        arrays, words = checkpoint["model"], checkpoint["ixtoword"]
        params = checkpoint["params"]
        vocabulary = tuple(words[index] for index in range(len(words)))
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; name a checkpoint of NeuralTalk") from None
    except Exception as error:  # a damaged pickle raises many kinds
        raise UserError(
            f"{path}: is no checkpoint of NeuralTalk ({type(error).__name__}: {error})"
        ) from None
    if params.get("generator", "lstm") != "lstm" or params.get("tanhC_version"):
        raise UserError(f"{path}: of a generator that is not read: only lstm without tanhC_version")
    try:
        net = NeuralTalk.from_numpy({name: arrays[name] for name in PARAMETERS if name in arrays})
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if len(vocabulary) != len(net.Ws):
        raise UserError(f"{path}: has {len(vocabulary)} words for {len(net.Ws)} rows of Ws")
    return net, vocabulary


def _text(value: Any) -> Any:
    """Returns the value with every Python 2 string as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, dict):
        return {_text(key): _text(item) for key, item in value.items()}
    return value
