"""What happens to the optimizers' state at prune and at re-dense."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Literal

import torch
from torch import Tensor, nn

from dsd.pruning.bits import BitMask
from dsd.pruning.optimizers import Kept, Optimizers
from dsd.pruning.sharded import local
from dsd.pruning.state_names import MIXING, MOMENTA, ONE_STATE, SCALES, is_copy, is_scale

Momentum = Literal["pruned", "reset", "keep"]

Rest = Callable[[], object]


def copies(optimizers: Optimizers, parameters: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields (parameter, copy) for the copies of weights that optimizers keep."""
    for parameter, kept in optimizers.kept(parameters, is_copy):
        if _per_weight(kept.value, parameter) and kept.value.is_floating_point():
            yield parameter, kept.value


@torch.no_grad()
def reset_momentum(
    optimizers: Optimizers,
    momentum: Momentum,
    masks: Mapping[Tensor, BitMask],
    undo: ExitStack,
    returning: bool = False,
) -> None:
    """Resets the optimizers' state as `momentum` says, see Sparsifier.

    masks: of the parameters. returning: the masked weights will train again. undo:
    takes what puts the state back. Raises ValueError, before it changes anything, for quantised
    state that cannot be set to rest; warns of state that it does not know.
    """
    if momentum == "reset":
        for state, new in optimizers.states():
            undo.callback(state.update, dict(state))
            undo.callback(state.clear)
            state.clear()
            state.update(new)
        for name, tensor in optimizers.in_groups():
            if name in MOMENTA or name in SCALES:
                save(tensor, undo)
                tensor.zero_()
    elif momentum == "pruned":
        for tensor, rest in _to_rest(optimizers, masks, returning):
            save(tensor, undo)
            rest()


def save(tensor: Tensor, undo: ExitStack) -> None:
    """Has a tensor's present values put back by `undo`; they wait in the CPU's memory."""
    for part in _parts(tensor):
        undo.callback(_put_back, part, part.detach().to("cpu", copy=True))


def _put_back(tensor: Tensor, values: Tensor) -> None:
    with torch.no_grad():
        tensor.copy_(values)


def _parts(tensor: Tensor) -> list[Tensor]:
    """Returns the plain tensors of which a tensor is made."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return [tensor]
    names, _ = tensor.__tensor_flatten__()
    return [part for name in names for part in _parts(getattr(tensor, name))]


def _to_rest(
    optimizers: Optimizers, masks: Mapping[Tensor, BitMask], returning: bool
) -> list[tuple[Tensor, Rest]]:
    """Returns the tensors to change, and how, when it is known that all can be changed."""
    found: list[tuple[Tensor, Rest]] = []
    unknown: dict[str, None] = {}
    for parameter, kept in optimizers.kept(masks, lambda name: not is_copy(name)):
        single = kept.value.numel() < 2 and kept.value.shape != parameter.shape
        kept = kept._replace(value=local(kept.value))
        name, value, by = kept.name, kept.value, kept.by.__name__.lower()
        scales = is_scale(name, kept.by) or (name == "state1" and by.startswith(ONE_STATE))
        if scales or single or value.dtype == torch.bool:
            continue
        whole = not _per_weight(value, parameter) or any(part in by for part in MIXING)
        if name not in MOMENTA and (value.is_floating_point() or whole):
            unknown[f"{kept.by.__name__}'s {name}"] = None
        elif not whole:
            found.append((value, _way_to_rest(kept, ~masks[parameter].mask())))
        elif returning:
            found.append((value, _way_to_rest(kept, torch.ones_like(value, dtype=torch.bool))))
    if unknown:
        warnings.warn(
            f"{', '.join(unknown)}: state whose role is not known, left as it is; if it moves "
            'weights when gradients are zero, use momentum="reset"',
            stacklevel=6,  # of the call of sparsify or densify
        )
    return found


def _per_weight(value: Tensor, parameter: Tensor) -> bool:
    """Returns whether a tensor has an entry, or several in front, for each of the weights."""
    shape = local(parameter).shape
    return bool(shape) and local(value).shape[-len(shape) :] == shape


def _way_to_rest(kept: Kept, pruned: Tensor) -> Rest:
    """Returns what sets pruned weights' state to zero. Raises ValueError where nothing can."""
    value = kept.value
    if type(value) in (Tensor, nn.Parameter) and value.is_floating_point():
        return lambda: value.masked_fill_(pruned.to(value.device), 0)
    if value.dtype == torch.uint8 and "qmap1" in kept.beside:  # bitsandbytes: indices into a table
        zeros = (kept.beside["qmap1"] == 0).nonzero()
        if len(zeros):
            return lambda: value.masked_fill_(pruned.to(value.device), int(zeros[0]))
    elif hasattr(value, "__tensor_flatten__"):  # torchao: quantises what is copied into it

        def rest(tensor: Tensor) -> Tensor:
            return tensor.copy_(tensor.dequantize().masked_fill(pruned.to(tensor.device), 0))

        with ExitStack() as undo:  # a trial
            save(value, undo)
            if not rest(value).dequantize()[pruned].any():
                return lambda: rest(value)
    raise ValueError(
        f"{kept.by.__name__}'s {kept.name} is quantised ({type(value).__name__}, {value.dtype}) in "
        'a way that cannot be set to zero for single weights; use momentum="reset" or "keep"'
    )
