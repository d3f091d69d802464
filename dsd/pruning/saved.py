"""How masks and a gradual schedule are saved, and whether saved ones fit a model."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import torch
from torch import Tensor

from dsd.pruning.bits import unpack


def masks_of(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Returns the masks of a Sparsifier's state_dict, by parameter name: bool, True = kept.

    Raises ValueError when it is none.
    """
    if set(state) - {"gradual", "held"} != {"masks"}:
        raise ValueError(f'not the state of a Sparsifier: it has {sorted(state)}, not "masks"')
    if not state.get("held", True):
        return {}
    return {
        name: mask if isinstance(mask, Tensor) else unpack(mask["bits"], mask["shape"])
        for name, mask in state["masks"].items()
    }


def check_fit(masks: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Raises ValueError when masks have other names, shapes or dtypes than weights need.

    No masks fit every model: it was not pruned.
    """
    for name in sorted(masks.keys() ^ weights.keys()) if masks else ():
        missing = "has no mask in" if name in weights else "is not prunable but in"
        raise ValueError(
            f"{name} {missing} the saved state; use the same model, include and exclude"
        )
    for name, mask in masks.items():
        shape = weights[name].shape
        if mask.shape != shape or mask.dtype != torch.bool:
            raise ValueError(
                f"{name}: the saved mask is {mask.dtype} of shape {tuple(mask.shape)}, "
                f"but must be torch.bool of the weight's shape {tuple(shape)}"
            )


def gradual_of(state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Returns the state of the gradual schedule in a Sparsifier's state_dict, None without one."""
    saved = state.get("gradual")
    if isinstance(saved, bytes):
        return torch.load(BytesIO(saved), weights_only=True) if saved else None
    return saved


def as_bytes(state: dict[str, Any]) -> bytes:
    """Returns a schedule's state as one value: torch.distributed.checkpoint must know all keys."""
    file = BytesIO()
    torch.save(state, file)
    return file.getvalue()
