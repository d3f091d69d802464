"""Names of optimizers in recipes, and which settings each has: those of torch, by its signatures.

What the usual ones have is written down, so that reading a recipe need not wait for torch.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dsd.suite.names import nearest

if TYPE_CHECKING:
    from torch.optim import Optimizer

USUAL = {  # besides weight_decay
    "sgd": {"momentum", "nesterov"},
    "rmsprop": {"momentum", "alpha", "eps"},
    "adam": {"betas", "eps"},
    "adamw": {"betas", "eps"},
}
OURS = {"rmsprop_eps_inside": {"alpha", "eps", "weight_decay"}}  # in dsd/training/optimizers.py
REFUSED = {
    "lbfgs": "computes the loss several times a step, along a line through weights that no mask "
    "holds",
    "sparseadam": "takes sparse gradients alone, and these are dense",
}
# The rate is the phase's; the others say how torch computes, not what, or would climb the loss.
NOT_SETTINGS = {
    "params",
    "lr",
    "foreach",
    "fused",
    "capturable",
    "differentiable",
    "maximize",
}


def check(name: str, given: Mapping[str, Any]) -> None:
    """Raises ValueError for an unknown or refused optimizer, and settings that it does not take.

    given: settings by name, without the rate.
    """
    two = isinstance(given.get("eps"), tuple)  # Adafactor's
    if name in USUAL and given.keys() <= USUAL[name] | {"weight_decay"} and not two:
        return
    if name in REFUSED:
        raise ValueError(f"{name} {REFUSED[name]}; use another optimizer")
    known = OURS.get(name) or settings(name)
    others = sorted(given.keys() - known)
    if others:
        close = difflib.get_close_matches(others[0], known, n=1, cutoff=0.6)
        drop = " ".join(f"optimizer.{key}=null" for key in others)
        hint = f"did you mean {close[0]!r}?" if close else f"drop them: {drop}"
        raise ValueError(f"{name} has no {', '.join(others)}; {hint}")
    if name not in OURS:
        _try(name, given)


def check_is_one(key: str) -> None:
    """Raises ValueError for a key that is no setting of any optimizer."""
    known = {key for name in classes() for key in settings(name)}
    if key not in known:
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else "leave it out"
        raise ValueError(f"no optimizer has {key[:60]!r}; {hint}")


def settings(name: str) -> set[str]:
    """Returns the settings of one of torch's optimizers. Raises ValueError for an unknown name."""
    known = classes()
    if name not in known:
        raise ValueError(f"no optimizer is called {name!r}{nearest(name, [*known, *OURS])}")
    return {*inspect.signature(known[name]).parameters} - NOT_SETTINGS


def classes() -> "dict[str, Callable[..., Optimizer]]":
    """Returns torch's optimizers that step without a closure on dense gradients, by lower case."""
    from torch import optim

    found = {
        name.lower(): value
        for name, value in vars(optim).items()
        if inspect.isclass(value) and issubclass(value, optim.Optimizer)
    }
    return {n: c for n, c in sorted(found.items()) if n != "optimizer" and n not in REFUSED}


def _try(name: str, given: Mapping[str, Any]) -> None:
    """Steps once on a weight. Raises ValueError for values that torch cannot use."""
    import torch

    for key, one in inspect.signature(classes()[name]).parameters.items():
        if isinstance(one.default, bool) and not isinstance(given.get(key, False), bool):
            raise ValueError(f"{key} of {name} is true or false, not {given[key]!r}")
    weight = torch.nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.ones(2, 2)
    try:
        classes()[name]([weight], lr=1e-3, **given).step()
    except Exception as error:  # torch checks some values when they are used
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"not settings of {name}: {why}") from None
