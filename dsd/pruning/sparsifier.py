"""Dense-sparse-dense for any training loop: masks held by the optimizers' step hooks."""

import warnings
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, get_args

import torch
from torch import Tensor, nn

from dsd.pruning import ranks
from dsd.pruning.bits import BitMask, pack
from dsd.pruning.checks import check_parameters, check_zeros, replaced
from dsd.pruning.criteria import Criterion, criterion_of, name_of
from dsd.pruning.distribution import Scope, Sparsity, groups
from dsd.pruning.growth import Growth
from dsd.pruning.holding import HOLDING, take_over
from dsd.pruning.masks import choose
from dsd.pruning.momentum import Momentum, copies, reset_momentum, save
from dsd.pruning.optimizers import Handle, Optimizers
from dsd.pruning.saved import as_bytes, check_fit, gradual_of, masks_of
from dsd.pruning.schedule import Gradual, check_is_schedule
from dsd.pruning.sharded import as_part, is_sharded, like, local, totals, whole
from dsd.pruning.shown import left_dense, table
from dsd.pruning.targets import Targets, names_of, targets, unwrapped


class Sparsifier:
    """Prunes a model's weights, holds them at zero while it trains, and lets them train again.

        s = Sparsifier(model, optimizer, sparsity=0.3, exclude=["conv1"])
        s.sparsify()  # prune; from now on every optimizer.step() leaves pruned weights at +0.0
        s.densify()  # drop the masks: pruned weights train again, from zero

    Any number of rounds. The model is not changed: no renamed parameter, no buffer, no attribute.
    The masks are kept here, one bit for each weight (on a GPU a byte more for each weight of layers
    of up to four million), and hooks apply them in place after each step of each optimizer, also of
    those inside others (Lookahead, SAM, fp32 master weights).
    `print(s)` shows what is pruned, and why the rest is not.

    model: any module, also wrapped (DistributedDataParallel, torch.compile).
    optimizer: the optimizer that trains it, or a wrapper of one, or a list of several.
    sparsity: fraction of zeros in each pruned layer, 0 <= sparsity < 1: exactly round(N * sparsity)
        of its N weights. Or one for each layer, {"conv1": 0.2, "layer1.*": 0.5}, by names of
        modules or parameters, exact or globs as in `exclude`: the first that matches a layer
        counts, and a layer that none matches stays dense.
    include, exclude: modules (with everything below) or parameters by exact name (`conv1` is not
        `layer1.0.conv1`) or glob (`*.conv1`). Pruned are the weights of layers that connect
        (linear, convolutions, recurrent, attention's projections) and what `include` names, such
        as an embedding, if the optimizer trains them, without what `exclude` names. Other
        parameters of two or more large axes are named in a warning. Where a layer computes its
        weight (weight_norm, spectral_norm, parametrizations), that weight has the zeros asked for,
        or is refused.
    momentum: what happens to the optimizer's state at prune and at re-dense.
        "pruned" (default): the momentum of pruned weights (`momentum_buffer` of SGD and RMSprop,
            `exp_avg` of Adam; state_names.py has the others) is set to zero, all else is kept. So a
            pruned weight restarts at zero and at rest, not moved by momentum that built up while it
            was masked. Running averages stay (`exp_avg_sq`, `square_avg`, `grad_avg`): they move no
            weight by themselves and come from the weight's own gradients. Without them its first
            step would be 3 times the learning rate in Adam (betas 0.9, 0.999), 32 times in RMSprop
            (alpha 0.999). State of an unknown name is left, and named in a warning.
        "reset": all state of all parameters is dropped, as if each phase had a new solver.
        "keep": the state stays as it is.
    criterion: which weights are pruned, those with the smallest scores: "magnitude" (default, the
        paper), "random", or a function (weight, generator) -> scores of the weight's shape.
    scope: "layer" (default, the paper) prunes each layer by itself; "global" compares the scores of
        all layers and prunes exactly round(N * sparsity) of their N weights together.
    schedule: prune gradually in every round, see `sparsify`.

    A weight's mask is held by one Sparsifier: a new one takes over from an earlier one, with a
    warning. The hooks belong to the optimizer objects. `optimizer.load_state_dict` keeps them, but
    torch drops them from a deep-copied or unpickled optimizer: copy all three together,
    `copy.deepcopy((model, optimizer, s))`, and the copies are attached to each other. If another
    optimizer steps, the pruned weights change: `sparsify`, `densify` and `state_dict` check that,
    and that the parameters are still those of construction. Processes of torch.distributed call
    `sparsify`, `densify` and `load_state_dict` together; their masks are checked to be equal.

    Weights may be DTensors, of which each process holds a part (fully_shard, parallelize_module):
    the masks are those of the whole weights. Split the model before the optimizer and this are
    created; what is split later is taken where the optimizer trains it. Then processes also call
    `finish` and `state_dict` together.

    Raises ValueError for a bad option, for an entry that matches nothing (with the nearest name),
    when there is nothing to prune, and for what cannot be held: L-BFGS, flattened weights (FSDP1,
    ZeRO-3), parametrizations that keep no zeros. TypeError for what is no optimizer.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: object,
        sparsity: Sparsity,
        exclude: Iterable[str] = (),
        momentum: Momentum = "pruned",
        *,
        include: Iterable[str] = (),
        criterion: str | Criterion = "magnitude",
        scope: Scope = "layer",
        schedule: Gradual | None = None,
    ) -> None:
        if momentum not in get_args(Momentum):
            raise ValueError(f"momentum must be one of {get_args(Momentum)}, not {momentum!r}")
        check_is_schedule(schedule)
        self.sparsity, self.schedule = sparsity, schedule
        self._criterion, self._scope = criterion_of(criterion), scope
        self._momentum: Momentum = momentum
        self._optimizers = Optimizers(optimizer)
        self._model = unwrapped(model)
        self._replicas = ranks.replicas(model)
        self._named = names_of(exclude), names_of(include)
        found = self._targets()
        self._weights, self._dense = found.pruned, found.dense
        self.check_sparsity(sparsity)
        self._masks: dict[str, BitMask] = {}
        self._growth: Growth | None = None  # the gradual schedule in progress
        self._hooks: list[Handle] = []
        take_over(self, self._weights.values(), ExitStack())
        if found.unsure:
            warnings.warn(left_dense(self._model, found.unsure), stacklevel=2)

    @property
    def layers(self) -> list[str]:
        """Returns the names of the prunable parameters, as in the unwrapped model's state_dict."""
        return list(self._weights)

    @property
    def active(self) -> bool:
        """Returns whether masks are held."""
        return bool(self._masks)

    @property
    def growing(self) -> bool:
        """Returns whether a gradual schedule is in progress, its final sparsity not yet reached."""
        return self._growth is not None

    @property
    def masks(self) -> dict[str, Tensor]:
        """Returns the masks by parameter name: bool, True = kept. Empty when not active.

        The mask of a DTensor is one, split over processes in the same way.
        """
        return {name: like(mask, self._weights[name]) for name, mask in self._parts().items()}

    @property
    def zeros(self) -> float:
        """Returns the fraction of the prunable weights, all layers together, that masks prune."""
        weights = sum(weight.numel() for weight in self._weights.values())
        return sum(held.pruned for held in self._masks.values()) / max(weights, 1)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Returns the parameter groups of the optimizers, where learning rates are set."""
        return self._optimizers.groups()

    def check_sparsity(self, sparsity: Sparsity) -> None:
        """Raises ValueError for a sparsity that `sparsify` would refuse."""
        groups(self._weights, sparsity, self._scope)

    def report(self) -> dict[str, dict[str, int]]:
        """Returns how many weights each prunable parameter has, and how many its mask keeps."""
        pruned = {name: held.pruned for name, held in self._masks.items()}
        return {
            name: {"weights": weight.numel(), "kept": weight.numel() - pruned.get(name, 0)}
            for name, weight in self._weights.items()
        }

    def __str__(self) -> str:
        """Returns a table: the parameters that are pruned, and why the others are left dense."""
        return table(self._model, self.report(), self._dense)

    def sparsify(
        self,
        sparsity: Sparsity | None = None,
        criterion: str | Criterion | None = None,
        generator: torch.Generator | None = None,
        gradually: Gradual | None = None,
    ) -> None:
        """Chooses masks from the weights as they are, and holds the pruned weights at zero.

        sparsity, criterion, gradually: of this round; by default those given at construction, where
        gradually is called schedule. generator: what random scores are drawn from; with several
        processes all draw what the first one's would. gradually: prune over the next optimizer
        steps instead, from the masks held now, if any; a pruned weight stays pruned, and the last
        step reaches the same count as pruning at once. Called while active, but not gradually, it
        replaces the masks. An error changes nothing: ValueError for weights that are not finite,
        for bad scores, for quantised momentum that cannot be reset, and when the masks of a
        gradual schedule prune too much already; RuntimeError when pruned weights have changed,
        when a parameter has been replaced, and when processes would have different masks. Warns of
        a layer that loses all of its weights.
        """
        self._check()
        found = self._present()
        if trained := [name for name in found.pruned if name not in self._weights]:
            raise RuntimeError(
                f"{trained[0]} is trained now, but was not when this Sparsifier was created; "
                "create it again"
            )
        criterion = self._criterion if criterion is None else criterion_of(criterion)
        sparsity = self.sparsity if sparsity is None else sparsity
        gradually = self.schedule if gradually is None else gradually
        check_is_schedule(gradually)
        spread = groups(self._weights, sparsity, self._scope)
        ranks.check_alike(self._weights, spread, name_of(criterion))
        generator = ranks.same_generator(generator)
        with ExitStack() as undo:
            if generator is not None:
                undo.callback(generator.set_state, generator.get_state())
            growth = None
            if gradually is None:
                masks = choose(
                    self._weights,
                    spread,
                    criterion,
                    generator,
                    sources=found.sources,
                    inputs_first=found.inputs_first,
                )
            else:
                growth = Growth.begin(gradually, spread, criterion, generator)
                growth.check_room(self.report() if self.active else {})
                masks = self._parts() or self._all_kept()
            ranks.check_same(self._weights, masks, self._replicas)
            self._reset_momentum(undo, returning=True)
            self._hold(masks, growth, undo)
            self._reset_momentum(undo)
            for name, source in found.sources.items():
                weight = source.weight()
                if weight[~masks[name]].any() or not weight.isfinite().all():
                    raise ValueError(
                        f"{name}: the layer's weight does not have the zeros of this parameter, or "
                        "is not finite any more; exclude it"
                    )
            undo.pop_all()
        for name, its in self.report().items():
            if self.active and its["weights"] and not its["kept"]:
                warnings.warn(
                    f"{name}: all of its weights are pruned; lower its sparsity or exclude it",
                    stacklevel=2,
                )

    def densify(self) -> None:
        """Drops the masks. Pruned weights restart from zero and train like all others.

        An error changes nothing: RuntimeError when no masks are held, pruned weights have changed
        or a parameter has been replaced; ValueError for quantised momentum that cannot be reset.
        """
        if not self.active:
            raise RuntimeError("densify() without masks; call sparsify() first")
        self._check()
        with ExitStack() as undo:
            self._reset_momentum(undo, returning=True)
            undo.pop_all()
        self._set({}, None)

    def finish(self) -> None:
        """Ends the work on the model: hooks, schedule and masks go, weights stay as they are.

        The model is a plain one, with zeros where it was pruned. Raises RuntimeError when pruned
        weights have changed, so that it would not be sparse.
        """
        self._check()
        self._set({}, None)

    def state_dict(self, *, full: bool = False) -> dict[str, Any]:
        """Returns {"masks": {name: {"shape": list, "bits": uint8}}}, without masks when not active.

        A byte of `bits` has eight weights, in row-major order, 1 = kept; `masks_of` unpacks them.
        In the middle of a gradual schedule there is also "gradual", the schedule's state. All are
        plain tensors and numbers that `torch.load(weights_only=True)` reads; save the model's and
        the optimizer's state with it. Raises RuntimeError when pruned weights have changed or a
        parameter has been replaced.

        Of a model with DTensors, all processes call it together, and it is what
        torch.distributed.checkpoint saves and loads on any number of processes, also as
        `{"dsd": sparsifier}`: {"masks": {name: bool DTensor}, "held": bool, "gradual": bytes}, with
        all weights kept where no masks are held. `full` puts the masks together, layer by layer,
        and returns what an undivided model has.
        """
        self._check()
        growth = None if self._growth is None else self._growth.state_dict()
        if any(map(is_sharded, self._weights.values())) and not full:
            parts = self._parts() or self._all_kept()
            return {
                "masks": {name: like(part, self._weights[name]) for name, part in parts.items()},
                "held": self.active,
                "gradual": b"" if growth is None else as_bytes(growth),
            }
        masks = {}
        for name, mask in self.masks.items():
            mask = whole(mask)
            masks[name] = {"shape": [*mask.shape], "bits": pack(mask)}
        state: dict[str, Any] = {"masks": masks}
        return state if growth is None else state | {"gradual": growth}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Loads saved masks and applies them at once; the optimizer's state stays as it is.

        state: what state_dict returned, or {"masks": {name: bool}}, as earlier versions did. A
        gradual schedule resumes where it was. Raises ValueError, changing nothing, when names,
        shapes or dtypes are not this model's, and when the schedule's criterion is a function that
        this Sparsifier was not given; RuntimeError when a parameter has been replaced.
        """
        masks = masks_of(state)
        check_parameters(self._model, self._optimizers, self._weights, self._masks)
        check_fit(masks, self._weights)
        growth = None
        if gradual := gradual_of(state):
            growth = Growth.from_state(gradual, self._criterion)
        masks = {name: as_part(mask, self._weights[name]) for name, mask in masks.items()}
        ranks.check_same(self._weights, masks, self._replicas)
        with ExitStack() as undo:
            self._hold(masks, growth, undo)
            undo.pop_all()

    def _targets(self) -> Targets:
        return targets(self._model, self._optimizers, *self._named)

    def _hold(self, masks: Mapping[str, Tensor], growth: Growth | None, undo: ExitStack) -> None:
        """Holds these masks from now on, and applies them."""
        take_over(self, [self._weights[name] for name in masks], undo)
        held = self._bits(masks)
        undo.callback(self._set, self._masks, self._growth)
        for name in held:
            save(self._weights[name], undo)
        for _, copy in copies(self._optimizers, [self._weights[name] for name in held]):
            save(copy, undo)
        self._set(held, growth)
        self._apply()

    def _bits(self, masks: Mapping[str, Tensor]) -> dict[str, BitMask]:
        """Returns masks of parts as they are held; their counts are of the whole weights."""
        held = {name: BitMask(mask, local(self._weights[name])) for name, mask in masks.items()}
        pruned = {name: mask.pruned for name, mask in held.items()}
        for name, count in totals(pruned, self._weights).items():
            held[name].pruned = count
        return held

    def _parts(self) -> dict[str, Tensor]:
        """Returns the masks of the parts of the weights that this process holds."""
        return {name: held.mask() for name, held in self._masks.items()}

    def _all_kept(self) -> dict[str, Tensor]:
        return {
            name: torch.ones_like(local(weight), dtype=torch.bool)
            for name, weight in self._weights.items()
        }

    def _set(self, masks: dict[str, BitMask], growth: Growth | None) -> None:
        self._masks, self._growth = masks, growth
        if not masks:
            HOLDING.discard(self)
            while self._hooks:
                self._hooks.pop().remove()
        elif not self._hooks:
            HOLDING.add(self)
            for hook in self._optimizers.hook(self._after_step):
                self._hooks.append(hook)

    def held(self) -> dict[str, nn.Parameter]:
        """Returns the weights whose masks are held, by name."""
        return {name: self._weights[name] for name in self._masks}

    def let_go(self, names: Collection[str], undo: ExitStack) -> None:
        """Drops masks, whatever the weights are now: another Sparsifier takes over."""
        undo.callback(self._set, self._masks, self._growth)
        masks = {name: mask for name, mask in self._masks.items() if name not in names}
        growth = self._growth.without(names) if self._growth and masks else None
        self._set(masks, growth)

    def _after_step(self, counts: bool, optimizers: Optimizers) -> None:
        if ranks.together() and replaced(self._model, self._weights):
            check_parameters(self._model, self._optimizers, self._weights, self._masks)
        self._apply(optimizers)
        if counts and self._growth is not None and self._growth.due():
            self._grow(self._growth)

    def _grow(self, growth: Growth) -> None:
        found = self._targets()
        masks = growth.grown(self._weights, self._parts(), found.sources, found.inputs_first)
        ranks.check_same(self._weights, masks, self._replicas)
        self._masks.update(self._bits(masks))
        self._apply()
        if self._momentum == "pruned":  # "reset" applies at prune and re-dense alone
            with ExitStack() as undo:
                self._reset_momentum(undo)
                undo.pop_all()
        if growth.over:
            self._growth = None

    def _apply(self, optimizers: Optimizers | None = None) -> None:
        """Applies the masks, after a step only those of the weights that could have moved in it.

        The others may be in a graph whose backward pass is to come: a generator's after the
        discriminator's step.
        """
        masks = self._by_weight()
        if optimizers not in (None, self._optimizers):
            trained = optimizers.trained()
            masks = {weight: held for weight, held in masks.items() if weight in trained}
        for weight, held in masks.items():
            held.apply(local(weight))
        for weight, copy in copies(optimizers or self._optimizers, masks):
            masks[weight].apply(local(copy))

    def _by_weight(self) -> dict[Tensor, BitMask]:
        return {self._weights[name]: held for name, held in self._masks.items()}

    def _reset_momentum(self, undo: ExitStack, returning: bool = False) -> None:
        reset_momentum(self._optimizers, self._momentum, self._by_weight(), undo, returning)

    def _check(self) -> None:
        """Raises RuntimeError for pruned weights that have changed and for other parameters."""
        check_parameters(self._model, self._optimizers, self._weights, self._masks)
        check_zeros(self._weights, self._masks)
        if any(weight.requires_grad for weight in self._weights.values()):  # else it is frozen
            self._present()

    def _present(self) -> Targets:
        """Returns the model's present targets. Raises RuntimeError for one that was added."""
        found = self._targets()
        for name in found.pruned:
            if name not in self._weights and name not in self._dense:
                raise RuntimeError(
                    f"{name} was added after this Sparsifier was created, which does not prune it; "
                    "create it again"
                )
        return found

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_hooks": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set(self._masks, self._growth)
