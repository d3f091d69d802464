"""Which parameters of a model are pruned: weights of layers that connect, and those included."""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import type_before_parametrizations

from dsd.pruning.names import ancestry, matches
from dsd.pruning.optimizers import Optimizers
from dsd.pruning.parametrized import Source, parameter_name, source
from dsd.pruning.sharded import is_sharded, part_of, reshard

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
NORMALISATION = re.compile(r"norm(alization)?(\dd)?$", re.IGNORECASE)  # a module's class


class Targets(NamedTuple):
    """The parameters of a model by name, as in its state_dict; tied ones by their first name."""

    pruned: dict[str, nn.Parameter]
    sources: dict[str, Source]  # of the pruned whose layer computes its weight from them
    inputs_first: set[str]  # of the pruned: weights (inputs, outputs, ...), not the other way round
    dense: dict[str, str]  # the others, and why they are left dense
    unsure: list[str]  # of the dense: two or more large axes, but no layer's weight, nor excluded


def prunable(
    model: nn.Module,
    optimizer: object,
    exclude: Iterable[str] = (),
    include: Iterable[str] = (),
) -> dict[str, nn.Parameter]:
    """Returns the parameters to prune by name; see `targets`."""
    return targets(model, Optimizers(optimizer), exclude, include).pruned


def targets(
    model: nn.Module,
    optimizers: Optimizers,
    exclude: Iterable[str] = (),
    include: Iterable[str] = (),
) -> Targets:
    """Returns which parameters are pruned, in the model's order, and why the others are not.

    Pruned are the weights of layers that connect (linear, bilinear, convolutions, recurrent layers
    and cells, attention's projections, transformers' Conv1D) and what `include` names, if the
    optimizers train them, without what `exclude` names. A weight tied to an embedding counts as the
    embedding. Names are those of the model inside wrappers (DistributedDataParallel,
    torch.compile).
    include, exclude: exact names or globs of modules or parameters; `conv1` does not mean
    `layer1.0.conv1`. Raises ValueError for an entry that matches nothing, a parameter that cannot
    be pruned, and when there is nothing to prune.
    """
    model = unwrapped(model)
    reshard(model)
    refuse_flattened(model)
    names = aliases(model)
    known = [name for name, _ in model.named_modules(remove_duplicate=False) if name]
    known += [name for its in names.values() for name in its]
    excluded = _matched(exclude, known, "exclude")
    included = _matched(include, known, "include")
    exact = {*names_of(include)}
    trained = optimizers.trained()
    weights = dict(_connecting(model))
    embeddings = {p for m in model.modules() if isinstance(m, EMBEDDINGS) for p in m.parameters()}
    scales = {
        parameter
        for module in model.modules()
        if NORMALISATION.search(type_before_parametrizations(module).__name__)
        for parameter in module.parameters(recurse=False)
    }
    found = Targets({}, {}, set(), {}, [])
    for parameter, its in names.items():
        name, path = its[0], {part for alias in its for part in ancestry(alias)}
        plain = parameter not in scales and not name.rpartition(".")[2].startswith("bias")
        large = plain and sum(size > 1 for size in parameter.shape) >= 2
        asked = bool(included & path if large else exact & {*its})
        connects = parameter in weights and parameter not in embeddings
        if not excluded.isdisjoint(path):
            found.dense[name] = "excluded"
        elif not parameter.requires_grad or parameter not in trained:
            found.dense[name] = "not trained"
        elif asked or connects:
            if not parameter.is_floating_point():
                raise ValueError(f"{name}: cannot prune {parameter.dtype}; exclude it")
            found.pruned[name] = parameter
            if its_source := _source(name, *weights[parameter]) if parameter in weights else None:
                found.sources[name] = its_source
            if parameter in weights and isinstance(weights[parameter][0], _inputs_first()):
                found.inputs_first.add(name)
        elif not large:
            found.dense[name] = "bias, scale or token"
        else:
            found.dense[name] = "embedding" if parameter in embeddings else "no layer's weight"
            found.unsure.append(name)
    for entry in names_of(include):
        parts = _matched([entry], known, "include")
        reached = [n for n in names.values() if any(not parts.isdisjoint(ancestry(a)) for a in n)]
        if not any(n[0] in found.pruned or found.dense[n[0]] == "excluded" for n in reached):
            raise ValueError(
                f'include: "{entry}" names no parameter of two or more large axes that the '
                "optimizer trains; biases, scales and tokens are included by their exact names"
            )
    if not found.pruned:
        raise ValueError(_nothing(model, optimizers, found))
    return found


def aliases(model: nn.Module) -> dict[nn.Parameter, list[str]]:
    """Returns each parameter's names, several where it is tied."""
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return names


def unwrapped(model: nn.Module) -> nn.Module:
    """Returns the model inside DistributedDataParallel, torch.compile and accelerate's wrappers."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif hasattr(model, "_orig_mod"):  # torch.compile
            model = model.get_submodule("_orig_mod")
        else:
            return model


def names_of(option: Iterable[str]) -> list[str]:
    """Returns the entries of an option, which may be one name. Raises ValueError for others."""
    names = [option] if isinstance(option, str) else [*option]
    for name in names:
        if not isinstance(name, str):
            raise ValueError(
                f"include and exclude take names or globs, not {type(name).__name__}; "
                "model.named_modules() has the names"
            )
    return names


def _matched(option: Iterable[str], known: list[str], name: str) -> set[str]:
    return {match for entry in names_of(option) for match in matches(entry, known, name)}


def _inputs_first() -> tuple[type[nn.Module], ...]:
    """Returns the layers whose weights are (inputs, outputs, ...)."""
    # transformers' Conv1D is a linear layer; where it is not imported, no model has one
    conv1d = getattr(sys.modules.get("transformers.pytorch_utils"), "Conv1D", None)
    return (_ConvTransposeNd, conv1d) if conv1d else (_ConvTransposeNd,)


def _connecting(model: nn.Module) -> Iterator[tuple[nn.Parameter, tuple[nn.Module, str]]]:
    """Yields the parameters behind the weights of layers that connect, with layer and weight."""
    for module in model.modules():
        names: Iterable[str] = ()
        if isinstance(module, (nn.Linear, nn.Bilinear, _ConvNd, *_inputs_first())):
            names = ["weight"]
        elif isinstance(module, nn.RNNBase):
            names = [name for name in module._flat_weights_names if name.startswith("weight")]
        elif isinstance(module, nn.RNNCellBase):
            names = ["weight_ih", "weight_hh"]
        elif isinstance(module, nn.MultiheadAttention):  # its out_proj is a Linear
            names = [f"{of}_proj_weight" for of in ("in", "q", "k", "v")]
        for name in names:
            parameter = dict(module.named_parameters()).get(parameter_name(module, name))
            if parameter is not None:
                yield parameter, (module, name)


def _source(name: str, module: nn.Module, weight: str) -> Source | None:
    try:
        parameter = dict(module.named_parameters())[parameter_name(module, weight)]
        if is_sharded(parameter):
            part_of(parameter)  # raises if it cannot be pruned
            if parameter_name(module, weight) != weight:
                raise ValueError(
                    "a parametrization computes the weight, and it is split over "
                    "processes; exclude it, or do not split it"
                )
            return None
        return source(module, weight)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def refuse_flattened(model: nn.Module) -> None:
    """Raises ValueError for parameters whose parts have lost their shape, or that have no values.

    DTensors are fine: of these each process knows which part it holds.
    """
    for name, module in model.named_modules():
        if type(module).__name__ == "FullyShardedDataParallel":
            raise ValueError(
                f"{name or 'the model'}: FullyShardedDataParallel flattens its weights and splits "
                "them over processes, so layers cannot be pruned to an exact count; use "
                "fully_shard (FSDP2) or DistributedDataParallel, or apply masks before wrapping"
            )
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ValueError(f"{name}: has no shape yet; run a batch through the model first")
        if hasattr(parameter, "ds_id"):
            raise ValueError(
                f"{name}: is split over processes (ZeRO-3) and has no shape, so it cannot be "
                "pruned to an exact count; use fully_shard (FSDP2) or DistributedDataParallel"
            )


def _nothing(model: nn.Module, optimizers: Optimizers, found: Targets) -> str:
    """Returns why there is nothing to prune."""
    if not optimizers.trained() & {*model.parameters()}:
        return (
            "nothing to prune: the optimizer holds no parameter of this model; it was made for "
            "another model, or for flattened copies of the parameters"
        )
    return (
        "nothing to prune: no weight of a layer that connects is trained by the optimizer and not "
        f"excluded{'; include= can name ' + ', '.join(found.unsure[:5]) if found.unsure else ''}"
    )
