"""Which parameters of a model are pruned."""

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase

from torch import nn
from torch.optim import Optimizer

NORMALISATION = (nn.LayerNorm, nn.RMSNorm)  # the others' parameters have one dimension


def prunable(
    model: nn.Module, optimizer: Optimizer, exclude: Iterable[str] = ()
) -> dict[str, nn.Parameter]:
    """Returns the parameters to prune by name, in the model's order; tied ones by their first name.

    They are the parameters that the optimizer trains, of two or more dimensions, outside
    normalisation layers, not named `bias...`, and neither excluded nor inside an excluded module.
    Names are those of the model inside wrappers (DistributedDataParallel, torch.compile).
    exclude: exact names or globs of modules or parameters; `conv1` does not mean `layer1.0.conv1`.
    Raises ValueError for an entry that matches nothing, and when there is nothing to prune.
    """
    model = _unwrapped(model)
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    known = [name for name, _ in model.named_modules(remove_duplicate=False) if name]
    known += [name for aliases in names.values() for name in aliases]
    entries = [exclude] if isinstance(exclude, str) else exclude
    excluded = {name for entry in entries for name in matches(entry, known, "exclude")}
    held = {p for group in optimizer.param_groups for p in group["params"]}
    scales = {p for m in model.modules() if isinstance(m, NORMALISATION) for p in m.parameters()}
    left = {
        aliases[0]: parameter
        for parameter, aliases in names.items()
        if parameter in held
        and parameter.requires_grad
        and parameter.dim() >= 2
        and parameter not in scales
        and not aliases[0].rpartition(".")[2].startswith("bias")
        and not any(part in excluded for name in aliases for part in ancestry(name))
    }
    if not left:
        raise ValueError(
            "nothing to prune: the optimizer trains no parameter of this model that has two or "
            "more dimensions, is neither bias nor normalisation, and is not excluded"
        )
    return left


def ancestry(name: str) -> list[str]:
    """Returns the modules that hold a parameter, and its name: a.b.weight -> a, a.b, a.b.weight."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def matches(entry: str, names: list[str], option: str) -> set[str]:
    """Returns the names that an entry of an option matches, by exact name or glob.

    Raises ValueError when it matches none, with the nearest name.
    """
    found = {name for name in names if fnmatchcase(name, entry)}
    if not found:
        nearest = get_close_matches(entry, names, n=1, cutoff=0)
        raise ValueError(
            f'{option}: no module or parameter is named "{entry}"; '
            f"the nearest is {', '.join(nearest) or 'none'}"
        )
    return found


def _unwrapped(model: nn.Module) -> nn.Module:
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif hasattr(model, "_orig_mod"):  # torch.compile
            model = model.get_submodule("_orig_mod")
        else:
            return model
