"""What must still hold of a model for its masks to be right."""

from collections.abc import Mapping

from torch import nn

from dsd.pruning.bits import BitMask
from dsd.pruning.optimizers import Optimizers
from dsd.pruning.sharded import is_sharded, local, part_of, reshard, totals
from dsd.pruning.targets import aliases, refuse_flattened

Weights = dict[str, nn.Parameter]


def check_zeros(weights: Weights, masks: Mapping[str, BitMask]) -> None:
    """Raises RuntimeError for pruned weights that are not +0.0 any more."""
    revived = {name: held.revived(local(weights[name])) for name, held in masks.items()}
    for name, moved in totals(revived, weights).items():
        if moved:
            raise RuntimeError(
                f"{name}: {moved} pruned weights are not +0.0 any more. Either they were changed "
                "outside the optimizer's step, such as by loading a dense state: then create a "
                "Sparsifier again, which takes over from this one; or the optimizer that steps is "
                "not the one given to this Sparsifier. A copied, unpickled or new optimizer has no "
                "hook: copy model, optimizer and sparsifier together, or create a Sparsifier with "
                'the optimizer that steps and load {"masks": this_one.masks} into it'
            )


def replaced(model: nn.Module, weights: Weights) -> bool:
    """Returns whether a weight seems not to be the model's any more."""
    for name, weight in weights.items():
        module, _, leaf = name.rpartition(".")
        if model.get_submodule(module)._parameters.get(leaf) is not weight:
            return True
    return False


def check_parameters(
    model: nn.Module, optimizers: Optimizers, weights: Weights, masks: dict[str, BitMask]
) -> None:
    """Raises RuntimeError for a weight that was replaced or has another shape.

    One that was split over processes since is taken, with its part of the mask, where the optimizer
    trains it.
    """
    reshard(model)
    refuse_flattened(model)
    now = {name: p for p, names in aliases(model).items() for name in names}
    for name, weight in weights.items():
        split = now.get(name, weight)
        if is_sharded(split) and not is_sharded(weight):
            if split not in optimizers.trained():
                raise RuntimeError(
                    f"{name}: was split over processes (fully_shard, tensor parallelism) after "
                    "this Sparsifier was created, and the optimizer trains what it was before; "
                    "split the model first, then create optimizer and Sparsifier"
                )
            weights[name] = split
            if name in masks:
                held = masks[name]
                masks[name] = BitMask(part_of(split).of(held.mask()), local(split))
                masks[name].pruned = held.pruned
        elif split is not weight or name not in now:
            raise RuntimeError(
                f"{name}: {'was replaced' if name in now else 'is gone'} since this Sparsifier "
                "was created, by a new layer, load_state_dict(assign=True), a resize or a "
                "wrapper; create it again, with an optimizer of the model as it is now"
            )
        elif name in masks and masks[name].shape != local(weight).shape:
            raise RuntimeError(
                f"{name}: its shape was changed to {tuple(weight.shape)} since it was pruned; "
                "create the Sparsifier again, with an optimizer of the model as it is now"
            )
