"""How sparsity is distributed: how many weights are pruned, and which are compared together."""

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Literal, NamedTuple, get_args

from dsd.pruning.names import ancestry, matches

Scope = Literal["layer", "global"]
Sparsity = float | Mapping[str, float]


class Group(NamedTuple):
    """Layers whose weights are compared together, and the fraction of them to prune."""

    layers: tuple[str, ...]
    sparsity: float


def pruned_count(weights: int, sparsity: float) -> int:
    """Returns the number of weights to prune, round(weights * sparsity).

    Raises ValueError when sparsity is not in [0, 1).
    """
    if not isinstance(sparsity, Real) or not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be at least 0 and below 1, not {sparsity!r}")
    return round(weights * sparsity)


def groups(layers: Iterable[str], sparsity: Sparsity, scope: Scope = "layer") -> list[Group]:
    """Returns the groups of layers whose weights are compared together, each with its sparsity.

    sparsity: of every layer; or {name or glob: sparsity}, where a layer gets that of the first
    entry that matches it or a module it is in, and stays dense when none does. scope: "layer"
    compares weights within each layer, "global" across all layers. Raises ValueError for a sparsity
    out of range, for an entry that matches nothing (with the nearest name), and for a sparsity by
    layer together with the scope "global".
    """
    layers = tuple(layers)
    if scope not in get_args(Scope):
        raise ValueError(f"scope must be one of {get_args(Scope)}, not {scope!r}")
    for value in sparsity.values() if isinstance(sparsity, Mapping) else [sparsity]:
        pruned_count(0, value)  # raises if out of range
    if scope == "global":
        if isinstance(sparsity, Mapping):
            raise ValueError('scope "global" has one sparsity for all layers, not one for each')
        return [Group(layers, sparsity)]
    if not isinstance(sparsity, Mapping):
        return [Group((name,), sparsity) for name in layers]
    known = list(dict.fromkeys(part for name in layers for part in ancestry(name)))
    of_layer = dict.fromkeys(layers, 0.0)
    for entry, value in reversed(list(sparsity.items())):  # so that the first is written last
        meant = matches(entry, known, "sparsity")
        of_layer |= {name: value for name in layers if not meant.isdisjoint(ancestry(name))}
    return [Group((name,), value) for name, value in of_layer.items()]


def overall(sizes: Mapping[str, int], sparsity: Sparsity) -> float:
    """Returns the fraction of zeros over all layers together; sizes: weights of each layer."""
    if not isinstance(sparsity, Mapping):
        return sparsity
    spread = groups(sizes, sparsity)
    pruned = sum(pruned_count(sizes[layer], share) for (layer,), share in spread)
    return pruned / sum(sizes.values())
