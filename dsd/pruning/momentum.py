"""What happens to the optimizers' state at prune and at re-dense."""

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Literal

import torch
from torch import Tensor, nn

from dsd.pruning.bits import BitMask
from dsd.pruning.optimizers import Kept, Optimizers

Momentum = Literal["pruned", "reset", "keep"]

# State that moves a weight in a step whose gradient is zero, in torch, timm, pytorch-optimizer,
# bitsandbytes, torchao, optimi and lion-pytorch: momentum, sums and last values of gradients.
MOMENTA = {
    *("momentum_buffer", "exp_avg", "momentum", "moments", "momenta", "m", "velocity", "buf"),
    *("exp_avg_slow", "exp_avg_fast", "exp_avg2", "exp_avg_diff", "grok_exp_avg", "neg_exp_avg"),
    *("pos_momentum", "neg_momentum", "avg_grad", "mov_avg_grad", "grad_ema", "ema_grad"),
    *("last_grad", "previous_grad", "prev_grad", "pre_grad", "neg_pre_grad", "update", "d", "bg"),
    *("s", "sk", "state1", "first_moment", "moment", "kahan_comp", "compensation", "shift"),
}
# State that only scales a gradient, or is compared with it.
SCALES = {
    *("exp_avg_sq", "max_exp_avg_sq", "square_avg", "grad_avg", "acc_delta", "sum", "exp_inf"),
    *("exp_avg_var", "max_exp_avg_var", "exp_hessian_diag_sq", "hessian", "approx_hessian"),
    *("exp_hessian_diag", "grad_sum_sq", "fim", "alpha_k", "n", "b", "v_k", "variance", "state2"),
    *("prev", "step_size", "exp_avg_lr", "exp_avg_lr_1", "second_moment", "moment2", "bhg"),
    *("exp_avg_sq_slow", "beta1_prod", "exp_avg_grad", "mask", "r", "step"),
}
# Copies of the weights, which an optimizer moves them to: held at zero like the weights.
COPIES = {
    *("z", "x0", "x_k", "p0", "ax", "pbar", "ema", "mov_avg_param", "prev_param", "old_p", "e_w"),
    *("param_fp32", "param_copy", "anchor", "mug"),
}
COPIES_BEGIN = ("slow", "master", "fp32", "cached_slow", "backup")
# They mix the entries of a matrix, so that it rests only as a whole.
MIXING = ("muon", "shampoo", "soap", "kron", "psgd", "splus", "scion", "dion", "galore", "spectral")


# bitsandbytes' state1 is the momentum, but in these, which have none.
ONE_STATE = ("rmsprop", "adagrad")

Rest = Callable[[], object]


def is_copy(name: str) -> bool:
    """Returns whether state of this name is a copy of the weights."""
    return name in COPIES or name.startswith(COPIES_BEGIN)


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
        for state in optimizers.states():
            undo.callback(state.update, dict(state))
            state.clear()
    elif momentum == "pruned":
        for tensor, rest in _to_rest(optimizers, masks, returning):
            save(tensor, undo)
            rest()


def save(tensor: Tensor, undo: ExitStack) -> None:
    """Has a tensor's present values put back by `undo`; they wait in the CPU's memory."""
    plain = type(tensor) in (Tensor, nn.Parameter)
    values = tensor.detach().to("cpu", copy=True) if plain else copy.deepcopy(tensor)
    undo.callback(_put_back, tensor, values)


@torch.no_grad()
def _put_back(tensor: Tensor, values: Tensor) -> None:
    tensor.copy_(values)


def _to_rest(
    optimizers: Optimizers, masks: Mapping[Tensor, BitMask], returning: bool
) -> list[tuple[Tensor, Rest]]:
    """Returns the tensors to change, and how, when it is known that all can be changed."""
    found: list[tuple[Tensor, Rest]] = []
    unknown: dict[str, None] = {}
    for parameter, kept in optimizers.kept(masks, lambda name: not is_copy(name)):
        name, value = kept.name, kept.value
        scales = name in SCALES or (name == "state1" and kept.by.lower().startswith(ONE_STATE))
        if scales or not _per_weight(value, parameter) or value.dtype == torch.bool:
            continue
        if name not in MOMENTA and value.is_floating_point():
            unknown[f"{kept.by}'s {name}"] = None
            continue
        pruned = ~masks[parameter].mask()
        if returning and any(part in kept.by.lower() for part in MIXING):
            pruned = torch.ones_like(pruned)
        found.append((value, _way_to_rest(kept, pruned)))
    if unknown:
        warnings.warn(
            f"{', '.join(unknown)}: state for each weight, whose role is not known and which is left "
            'as it is; if it moves weights when gradients are zero, use momentum="reset"',
            stacklevel=4,
        )
    return found


def _per_weight(value: Tensor, parameter: Tensor) -> bool:
    """Returns whether a tensor has an entry, or several in front, for each of the weights."""
    return parameter.dim() > 0 and value.shape[-parameter.dim() :] == parameter.shape


def _way_to_rest(kept: Kept, pruned: Tensor) -> Rest:
    """Returns what sets pruned weights' state to zero. Raises ValueError where nothing can."""
    value = kept.value
    if type(value) in (Tensor, nn.Parameter) and value.is_floating_point():
        return lambda: value.masked_fill_(pruned.to(value.device), 0)
    if value.dtype == torch.uint8 and "qmap1" in kept.beside:  # bitsandbytes: indices into a table
        zeros = (kept.beside["qmap1"] == 0).nonzero()
        if len(zeros):
            return lambda: value.masked_fill_(pruned.to(value.device), int(zeros[0]))
    elif hasattr(value, "dequantize"):  # torchao: quantises what is copied into it

        def rest(tensor: Tensor) -> Tensor:
            return tensor.copy_(tensor.dequantize().masked_fill(pruned.to(tensor.device), 0))

        try:
            if not rest(copy.deepcopy(value)).dequantize()[pruned].any():
                return lambda: rest(value)
        except (NotImplementedError, RuntimeError):
            pass
    raise ValueError(
        f"{kept.by}'s {kept.name} is quantised ({type(value).__name__}, {value.dtype}) in a way "
        'that cannot be set to zero for single weights; use momentum="reset" or "keep"'
    )
