"""Weights to start from: a file, or torchvision's by name."""

import hashlib
import pickle
import re
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data.npz import load_npz
from data.pickles import latin1
from dsd.errors import UserError
from models.caffe import parameter_name, read_caffemodel

WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "module")
_SCALAR = np._core.multiarray.scalar  # type: ignore[attr-defined]
SAVED_ALONG: list[Any] = [  # many save their arguments and NumPy's numbers along; they run nothing
    *(Namespace, Counter, np.dtype, *map(type, map(np.dtype, ("f8", "f4", "i8", "i4", "?")))),
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    (latin1, "_codecs.encode"),
]
TORCHVISION = {  # its names of the networks that we take from it
    "squeezenet": "squeezenet1_0",
    "squeezenet1_1": "squeezenet1_1",
    "vgg16": "vgg16",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
}
CLASSIFIERS = {  # the layers whose size is the number of classes
    "alexnet": ("fc8",),
    "squeezenet": ("classifier.1",),
    "squeezenet1_1": ("classifier.1",),
    "googlenet": ("classifier", "aux1.classifier", "aux2.classifier"),
    "vgg16": ("classifier.6",),
    "resnet18": ("fc",),
    "resnet50": ("fc",),
    "resnet20": ("fc",),
}


def load_weights(
    model: nn.Module, source: str | Path, *, network: str, fresh_head: bool = False
) -> None:
    """Copies weights into a network built by `models.build(network)`.

    source: "torchvision:IMAGENET1K_V1" or another of its names, or a file: .safetensors; .pt, .pth,
    .bin, .ckpt or .tar (of torch) with a state dict, alone or under "model" or "state_dict", as
    DataParallel, torch.compile or AveragedModel wrap it; .caffemodel, or .npz of "<Caffe layer>/w"
    (O, I, H, W) and "/b". Caffe's weights expect BGR pixels of 0..255 less mean.
    fresh_head: a classifier for another number of classes stays as initialised.
    Raises UserError when the source cannot be read or is not this network's; the model is then as
    it was.
    """
    wanted = model.state_dict()
    heads = CLASSIFIERS.get(network, ())
    found: dict[str, Tensor] = {}
    fresh = set()
    for key, tensor in _read(str(source), network).items():
        name = parameter_name(key, network)
        shape = tuple(tensor.shape)
        if name not in wanted:
            raise UserError(
                f"{source}: {key!r} {shape} is not a parameter of {network}; "
                "give the weights of this network"
            )
        needed = tuple(wanted[name].shape)
        is_head = name.rpartition(".")[0] in heads
        if shape == needed:
            found[name] = tensor
        elif is_head and fresh_head:
            fresh.add(name)
        else:
            raise UserError(
                f"{source}: {key!r} is {shape}, but {network} needs {needed}; "
                + (f"build it with num_classes={shape[0]}" if is_head else "give its weights")
            )
    for name in wanted:
        # Files older than torch 0.4.1 lack BatchNorm's counter, which only momentum=None reads.
        if name not in found.keys() | fresh and not name.endswith(".num_batches_tracked"):
            raise UserError(
                f"{source}: has no {name!r} {tuple(wanted[name].shape)}, which {network} needs; "
                "give the weights of this network"
            )
    model.load_state_dict(found, strict=False)


def resolve(source: str | Path) -> str:
    """Returns how a record names a source: torchvision's name, or a file's name and SHA-256.

    Raises UserError when there is no such file.
    """
    if _is_torchvision(str(source)):
        return str(source)
    with _existing(str(source)).open("rb") as file:
        return f"{Path(source).name} sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def trained_with(source: str | Path) -> str | None:
    """Returns the preprocessing a source expects, "torchvision" or "caffe"; None: unknown."""
    if _is_torchvision(str(source)):
        return "torchvision"
    return "caffe" if Path(source).suffix in (".npz", ".caffemodel") else None


def _is_torchvision(source: str) -> bool:
    return source.startswith("torchvision:")


def _existing(source: str) -> Path:
    path = Path(source).expanduser()
    if not path.is_file():
        raise UserError(
            f"{source}: no such file; give one (a recipe's is looked up in the folder WEIGHTS=), "
            "or a name such as torchvision:IMAGENET1K_V1"
        )
    return path


def _read(source: str, network: str) -> Mapping[str, Tensor]:
    """Returns the tensors by the file's own names."""
    if _is_torchvision(source):
        return _torchvision(source, network)
    path = _existing(source)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise UserError(f"{source}: not a form of weights we read; known: {', '.join(READERS)}")
    try:
        return {key: torch.as_tensor(value) for key, value in READERS[suffix](path).items()}
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({asked[1]})" if asked else ""
        raise UserError(
            f"{source}: refused, for it holds more than tensors{what} or is damaged; save the "
            "state dict alone, or as .safetensors"
        ) from None
    except Exception as error:  # the readers raise anything when a file is damaged
        why = str(error).partition("\n")[0]
        raise UserError(
            f"{source}: cannot be read as {path.suffix} ({why}); get the file again"
        ) from None


def _state_dict(path: Path) -> dict[str, Tensor]:
    """Reads torch's file. Raises ValueError when there is no state dict in it."""
    with torch.serialization.safe_globals(SAVED_ALONG):
        state = torch.load(path, map_location="cpu", weights_only=True)
    for _ in range(2):  # a checkpoint of a wrapper of the model
        inner = [state[name] for name in WRAPPERS if isinstance(state, Mapping) and name in state]
        state = next((each for each in inner if isinstance(each, Mapping)), state)
    if not isinstance(state, Mapping) or not any(isinstance(v, Tensor) for v in state.values()):
        known = " or ".join(WRAPPERS)
        raise ValueError(f"no state dict, alone or under {known}")
    return {_unwrapped(name): value for name, value in state.items() if name != "n_averaged"}


def _unwrapped(name: str) -> str:
    """Returns a parameter's name without what wrappers put before it.

    DataParallel and AveragedModel: `module.`; torch.compile: `_orig_mod.`, also in the middle.
    """
    name = name.replace("_orig_mod.", "")
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return name


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


READERS: dict[str, Callable[[Path], Mapping[str, Any]]] = {
    ".safetensors": _safetensors,
    ".pt": _state_dict,
    ".pth": _state_dict,
    ".bin": _state_dict,
    ".ckpt": _state_dict,
    ".tar": _state_dict,  # model_best.pth.tar, which is no tar file
    ".npz": load_npz,
    ".caffemodel": read_caffemodel,
}


def _torchvision(source: str, network: str) -> Mapping[str, Tensor]:
    import torchvision

    if network not in TORCHVISION:
        raise UserError(f"{source}: torchvision has no weights of our {network}; give a file")
    known = torchvision.models.get_model_weights(TORCHVISION[network])
    name = source.removeprefix("torchvision:")
    if name not in known.__members__:
        names = ", ".join(member.name for member in known)
        raise UserError(f"{source}: no such weights of {network}; known: {names}")
    try:
        state: Mapping[str, Tensor] = known[name].get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{source}: not downloaded ({error}); fetch {known[name].url} and give the file"
        ) from None
    return state
