"""Dense-sparse-dense for any training loop: masks held by the optimizer's step hook."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from dsd.pruning.criteria import Criterion, criterion_of
from dsd.pruning.distribution import Scope, Sparsity, groups
from dsd.pruning.masks import choose
from dsd.pruning.momentum import Momentum, reset_momentum
from dsd.pruning.schedule import Gradual, Growth
from dsd.pruning.selection import BIT_VIEW
from dsd.pruning.targets import prunable


class Sparsifier:
    """Prunes a model's weights, holds them at zero while it trains, and lets them train again.

        s = Sparsifier(model, optimizer, sparsity=0.3, exclude=["conv1"])
        s.sparsify()  # prune; from now on every optimizer.step() leaves pruned weights at +0.0
        s.densify()  # drop the masks: pruned weights train again, from zero

    Any number of rounds. The model is not changed: no renamed parameter, no buffer, no attribute.
    The masks are kept here, and a hook that the optimizer runs after each step applies them in
    place. They cost as much memory as the weights they mask; outside the sparse phase, nothing.

    model: any module, also wrapped (DistributedDataParallel, torch.compile).
    optimizer: the torch optimizer that trains it, or accelerate's wrapper of it.
    sparsity: fraction of zeros in each pruned layer, 0 <= sparsity < 1: exactly round(N * sparsity)
        of its N weights. Or one for each layer, {"conv1": 0.2, "layer1.*": 0.5}, by names of
        modules or parameters, exact or globs as in `exclude`: the first that matches a layer
        counts, and a layer that none matches stays dense.
    exclude: modules (with everything below) or parameters to leave dense, by exact name (`conv1` is
        not `layer1.0.conv1`) or glob (`*.conv1`). What remains is pruned: every parameter that the
        optimizer trains, of two or more dimensions, outside normalisation layers, and no bias.
    momentum: what happens to the optimizer's state at prune and at re-dense.
        "pruned" (default): the momentum of pruned weights (`momentum_buffer` of SGD and RMSprop,
            `exp_avg` of Adam) is set to zero, all else is kept. So a pruned weight restarts at
            zero and at rest, not moved by momentum that built up while it was masked. Running
            averages stay (`exp_avg_sq`, `square_avg`, `grad_avg`): they move no weight by
            themselves and come from the weight's own gradients. Without them its first step would
            be 3 times the learning rate in Adam (betas 0.9, 0.999), 32 times in RMSprop (alpha
            0.999).
        "reset": all state of all parameters is dropped, as if each phase had a new solver.
        "keep": the state stays as it is.
    criterion: which weights are pruned, those with the smallest scores: "magnitude" (default, the
        paper), "random", or a function (weight, generator) -> scores of the weight's shape.
    scope: "layer" (default, the paper) prunes each layer by itself; "global" compares the scores of
        all layers and prunes exactly round(N * sparsity) of their N weights together.

    The hook belongs to one optimizer object. `optimizer.load_state_dict` keeps it, but torch drops
    it from a deep-copied or unpickled optimizer: copy all three together,
    `copy.deepcopy((model, optimizer, s))`, and the copies are attached to each other. If another
    optimizer steps, the pruned weights change: `sparsify`, `densify` and `state_dict` check that.
    Move the model to its device and dtype before `sparsify` or `load_state_dict`.

    Raises ValueError for a bad option, for an `exclude` entry that matches nothing (with the
    nearest name) and when there is nothing to prune; TypeError when the optimizer is not torch's.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        sparsity: Sparsity,
        exclude: Iterable[str] = (),
        momentum: Momentum = "pruned",
        *,
        criterion: str | Criterion = "magnitude",
        scope: Scope = "layer",
    ) -> None:
        if momentum not in get_args(Momentum):
            raise ValueError(f"momentum must be one of {get_args(Momentum)}, not {momentum!r}")
        self.sparsity = sparsity
        self._criterion, self._scope = criterion_of(criterion), scope
        self._momentum: Momentum = momentum
        self._optimizer = _stepping_optimizer(optimizer)
        self._weights = prunable(model, self._optimizer, exclude)
        groups(self._weights, sparsity, scope)  # raises if it cannot be distributed
        self._bits: dict[str, Tensor] = {}  # the masks, as integers: all bits set = kept, or none
        self._growth: Growth | None = None  # the gradual schedule in progress
        self._hook: RemovableHandle | None = None

    @property
    def layers(self) -> list[str]:
        """Returns the names of the prunable parameters, as in the unwrapped model's state_dict."""
        return list(self._weights)

    @property
    def active(self) -> bool:
        """Returns whether masks are held."""
        return bool(self._bits)

    @property
    def growing(self) -> bool:
        """Returns whether a gradual schedule is in progress, its final sparsity not yet reached."""
        return self._growth is not None

    @property
    def masks(self) -> dict[str, Tensor]:
        """Returns the masks by parameter name: bool, True = kept. Empty when not active."""
        return {name: bits != 0 for name, bits in self._bits.items()}

    def report(self) -> dict[str, dict[str, int]]:
        """Returns how many weights each prunable parameter has, and how many its mask keeps."""
        return {
            name: {
                "weights": weight.numel(),
                "kept": int(self._bits[name].count_nonzero()) if self.active else weight.numel(),
            }
            for name, weight in self._weights.items()
        }

    def sparsify(
        self,
        sparsity: Sparsity | None = None,
        criterion: str | Criterion | None = None,
        generator: torch.Generator | None = None,
        gradually: Gradual | None = None,
    ) -> None:
        """Chooses masks from the weights as they are, and holds the pruned weights at zero.

        sparsity, criterion: of this round; by default those given at construction. generator: what
        random scores are drawn from. gradually: prune over the next optimizer steps instead, from
        the masks held now, if any; a pruned weight stays pruned, and the last step reaches the same
        count as pruning at once. Called while active, but not gradually, it replaces the masks.
        Raises ValueError, changing nothing, for weights that are not finite, for bad scores, and
        when the masks of a gradual schedule prune too much already; RuntimeError when pruned
        weights have changed.
        """
        self._check_held()
        criterion = self._criterion if criterion is None else criterion_of(criterion)
        sparsity = self.sparsity if sparsity is None else sparsity
        spread = groups(self._weights, sparsity, self._scope)
        growth = None
        if gradually is None:
            masks = choose(self._weights, spread, criterion, generator)
        else:
            growth = Growth.begin(gradually, spread, criterion, generator)
            growth.check_room(self.masks)
            masks = self.masks or {
                name: torch.ones_like(weight, dtype=torch.bool)
                for name, weight in self._weights.items()
            }
        reset_momentum(self._optimizer, self._momentum, self._masked())
        self._hold(masks)
        self._growth = growth
        reset_momentum(self._optimizer, self._momentum, self._masked())

    def densify(self) -> None:
        """Drops the masks. Pruned weights restart from zero and train like all others.

        Raises RuntimeError when no masks are held or pruned weights have changed.
        """
        if not self.active:
            raise RuntimeError("densify() without masks; call sparsify() first")
        self._check_held()
        reset_momentum(self._optimizer, self._momentum, self._masked())
        self.remove()

    def remove(self) -> None:
        """Removes masks, schedule and hook; weights and optimizer stay as they are."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = None
        self._bits = {}
        self._growth = None

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Returns {"masks": {name: bool, True = kept}}, without masks when not active.

        In the middle of a gradual schedule it also has "gradual", the schedule's state. All are
        plain tensors and numbers that `torch.load(weights_only=True)` reads; save the model's and
        the optimizer's state with it. Raises RuntimeError when pruned weights have changed.
        """
        self._check_held()
        if self._growth is None:
            return {"masks": self.masks}
        return {"masks": self.masks, "gradual": self._growth.state_dict()}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Loads saved masks and applies them at once; the optimizer's state stays as it is.

        A gradual schedule resumes where it was. Raises ValueError, changing nothing, when names,
        shapes or dtypes are not this model's, and when the schedule's criterion is a function that
        this Sparsifier was not given.
        """
        if set(state) - {"gradual"} != {"masks"}:
            raise ValueError(f'not the state of a Sparsifier: it has {sorted(state)}, not "masks"')
        masks = dict(state["masks"])
        for name in sorted(masks.keys() ^ self._weights.keys()) if masks else ():
            missing = "has no mask in" if name in self._weights else "is not prunable but in"
            raise ValueError(f"{name} {missing} the saved state; use the same model and exclude")
        for name, mask in masks.items():
            shape = self._weights[name].shape
            if mask.shape != shape or mask.dtype != torch.bool:
                raise ValueError(
                    f"{name}: the saved mask is {mask.dtype} of shape {tuple(mask.shape)}, "
                    f"but must be torch.bool of the weight's shape {tuple(shape)}"
                )
        growth = None
        if "gradual" in state:
            growth = Growth.from_state(state["gradual"], self._criterion)
        self._hold(masks)
        self._growth = growth

    def _hold(self, masks: Mapping[str, Tensor]) -> None:
        self.remove()
        for name, mask in masks.items():
            weight = self._weights[name]
            bits = torch.empty_like(weight, dtype=BIT_VIEW[weight.itemsize])
            self._bits[name] = bits.copy_(mask).neg_()
        self._apply()
        self._attach()

    def _attach(self) -> None:
        if self.active:
            self._hook = self._optimizer.register_step_post_hook(self._after_step)

    def _after_step(self, *_: object) -> None:
        self._apply()
        if self._growth is not None and self._growth.due():
            self._grow(self._growth)

    def _grow(self, growth: Growth) -> None:
        for name, mask in growth.grown(self._weights, self.masks).items():
            self._bits[name].copy_(mask).neg_()
        self._apply()
        if self._momentum == "pruned":  # "reset" applies at prune and re-dense alone
            reset_momentum(self._optimizer, self._momentum, self._masked())
        if growth.over:
            self._growth = None

    @torch.no_grad()
    def _apply(self) -> None:
        # AND gives +0.0 where a product leaves -0.0, or NaN from inf; on CPUs it is also several
        # times faster than masked_fill_.
        for name, bits in self._bits.items():
            self._weights[name].view(bits.dtype).bitwise_and_(bits)

    @torch.no_grad()
    def _check_held(self) -> None:
        for name, bits in self._bits.items():
            moved = int((self._weights[name].view(bits.dtype) & ~bits).count_nonzero())
            if moved:
                raise RuntimeError(
                    f"{name}: {moved} pruned weights are not +0.0 any more; the optimizer that "
                    "steps is not the one given to this Sparsifier. A copied, unpickled or new "
                    "optimizer has no hook: copy model, optimizer and sparsifier together, or "
                    "create a Sparsifier with the optimizer that steps and load these masks into it"
                )

    def _masked(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((self._weights[name], bits) for name, bits in self._bits.items())

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_hook": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._attach()


def _stepping_optimizer(optimizer: Optimizer) -> Optimizer:
    """Returns the optimizer inside wrappers such as accelerate's, whose own hooks never run.

    Raises TypeError when it is not torch's.
    """
    while isinstance(inner := getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = inner
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be a torch Optimizer, not {type(optimizer).__name__}")
    return optimizer
