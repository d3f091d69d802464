"""The optimizers that train a model and those inside them: what they hold, when they step."""

import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MethodType
from typing import Any, NamedTuple, Protocol

from torch import Tensor
from torch.optim import Optimizer

# They only pass a step on to the optimizer inside; or do not, while gradients accumulate.
DELEGATES = ("accelerate.", "lightning.", "pytorch_lightning.")


class Kept(NamedTuple):
    """A tensor that an optimizer keeps for one parameter."""

    by: type  # the optimizer's class
    name: str  # such as exp_avg
    value: Tensor
    beside: Mapping[str, Any]  # what else is kept with it, such as the scales of a quantised value


class Handle(Protocol):
    """What undoes a hook."""

    def remove(self) -> None: ...


class Optimizers:
    """Optimizers with their levels, outermost first: a Lookahead around an Adam has two.

    A level is torch's Optimizer, or another object with `step` and `param_groups`. Raises TypeError
    for what is no optimizer, ValueError for one under which masks cannot be held.
    """

    def __init__(self, optimizers: object) -> None:
        self.levels: list[Any] = []
        self._given = [*optimizers] if isinstance(optimizers, list | tuple) else [optimizers]
        for optimizer in self._given:
            if not _is_optimizer(optimizer) and not any(_inside(optimizer)):
                raise TypeError(
                    "optimizer must be a torch Optimizer, a wrapper of one, or a list of these, "
                    f"not {type(optimizer).__name__}"
                )
            self._add(optimizer)
        if not self.levels:
            raise ValueError("optimizer: the list is empty")

    def _add(self, optimizer: object) -> None:
        if _is_in(optimizer, self.levels):
            return
        if "lbfgs" in type(optimizer).__name__.lower():
            raise ValueError(
                f"{type(optimizer).__name__} searches along a line that leads through weights "
                "which are not masked, and diverges; use an optimizer of one gradient a step"
            )
        self.levels.append(optimizer)
        for inner in _inside(optimizer):
            self._add(inner)

    def apart(self) -> list["Optimizers"]:
        """Returns each of the optimizers that were given, by itself."""
        return [Optimizers(one) for one in self._given] if self._given[1:] else [self]

    def groups(self) -> list[dict[str, Any]]:
        """Returns the parameter groups of all levels, each once."""
        found = [group for level in self.levels for group in getattr(level, "param_groups", [])]
        return [*{id(group): group for group in found}.values()]

    def trained(self) -> set[Tensor]:
        """Returns the tensors that are trained: in parameter groups, or in lists beside them."""
        return {tensor for *_, tensors in self._lists() for tensor in tensors}

    def kept(
        self, parameters: Iterable[Tensor], named: Callable[[str], bool]
    ) -> Iterator[tuple[Tensor, Kept]]:
        """Yields (parameter, Kept) for all that is kept for each parameter under such a name.

        It is in the levels' states, also in those of the parameter's copies, and in what else is
        kept by parameter or in lists that run parallel to the parameters, such as Lookahead's slow
        weights.
        """
        parameters = [*parameters]
        copies = self._copies({*parameters})
        books = [*self._books()]
        for parameter in parameters:
            its_copies = copies.get(parameter, [])
            for copy in its_copies:
                if named(copy.name):
                    yield parameter, copy
            for by, book, book_name in books:
                for key in (parameter, *(copy.value for copy in its_copies)):
                    state = book.get(key, {})
                    pages = state.items() if isinstance(state, Mapping) else [(book_name, state)]
                    for name, value in pages:
                        name = str(name)
                        for tensor in _of_state(value) if named(name) else ():
                            yield parameter, Kept(by, name, tensor, dict(pages))

    def states(self) -> list[tuple[dict[Any, Any], dict[Any, Any]]]:
        """Returns the levels' states, each once, with what a new optimizer has for state."""
        found: dict[int, tuple[dict[Any, Any], dict[Any, Any]]] = {}
        for level in self.levels:
            if isinstance(state := getattr(level, "state", None), dict) and id(state) not in found:
                found[id(state)] = state, _new_state(level) if state else {}
        return [*found.values()]

    def in_groups(self) -> Iterator[tuple[str, Tensor]]:
        """Yields (name, tensor) of what is in lists beside the parameters of a group."""
        for group in self.groups():
            for name, found in _beside(group).items():
                yield from ((name, tensor) for tensor in found)

    def hook(self, after: "After") -> Iterator[Handle]:
        """Calls `after` after each step of each level, before other hooks; yields what undoes it.

        It is given whether the step counts: those of one level, so that the steps of the first
        optimizer are counted once; and the optimizer that was given, with its levels. Other methods
        that step (`first_step` of SAM) are followed too.
        """
        innermost = next(level for level in self.levels if not any(_inside(level)))
        hooked: list[Any] = []
        for given in self.apart():
            for level in given.levels:
                if type(level).__module__.startswith(DELEGATES) or _is_in(level, hooked):
                    continue
                hooked.append(level)
                for name in _other_steps(type(level)):
                    yield _Followed(level, name, partial(after, False, given))
                if "_optimizer_step_post_hooks" in vars(level) and isinstance(level, Optimizer):
                    yield from _hooked(level, after, level is innermost, given)
                elif hasattr(level, "step"):
                    yield _Followed(level, "step", partial(after, level is innermost, given))

    def _lists(self) -> Iterator[tuple[type, str, list[Tensor]]]:
        """Yields (class, name, tensors) of the parameter groups and of lists of tensors."""
        for level in self.levels:
            by = type(level)
            if groups := getattr(level, "param_groups", None):
                yield by, "master weights", [p for group in groups for p in group["params"]]
            for group in groups or ():
                if beside := _beside(group):
                    yield by, "master weights", group["params"]
                    yield from ((by, name, found) for name, found in beside.items())
            for name, value in vars(level).items():
                if name not in ("param_groups", "state", "defaults") and (found := _tensors(value)):
                    yield by, name, found

    def _copies(self, parameters: set[Tensor]) -> dict[Tensor, list[Kept]]:
        """Returns, for each parameter, what is in its place in lists that run parallel."""
        lists = [*self._lists()]
        own = [tensors for *_, tensors in lists if not parameters.isdisjoint(tensors)]
        found: dict[Tensor, list[Kept]] = {}
        seen: set[tuple[Tensor, Tensor]] = set()
        for by, name, tensors in lists if len(lists) > len(own) else ():
            shapes = [tensor.shape for tensor in tensors]
            for parallel in own:
                if tensors is parallel or shapes != [tensor.shape for tensor in parallel]:
                    continue
                for pair in zip(parallel, tensors, strict=True):
                    if pair[0] in parameters and pair[1] not in parameters and pair not in seen:
                        seen.add(pair)
                        found.setdefault(pair[0], []).append(Kept(by, name, pair[1], {}))
        return found

    def _books(self) -> Iterator[tuple[type, Mapping[Any, Any], str]]:
        """Yields (class, mapping, its name) of what is kept by parameter."""
        seen: set[int] = set()
        for level in self.levels:
            for name, book in {"state": getattr(level, "state", {}), **vars(level)}.items():
                if not isinstance(book, Mapping) or id(book) in seen:
                    continue
                seen.add(id(book))
                if any(isinstance(key, Tensor) for key in book):
                    yield type(level), book, name


After = Callable[[bool, Optimizers], None]  # whether the step counts, and whose it was


def _hooked(level: Optimizer, after: After, counts: bool, given: Optimizers) -> Iterator[Handle]:
    """Hooks a level's steps.

    Torch calls the hooks twice where a class's step calls its base's: the first call counts.
    """
    began = False

    def before(*_: object) -> None:
        nonlocal began
        began = True

    def afterwards(*_: object) -> None:
        nonlocal began
        once, began = began, False
        after(counts and once, given)

    yield level.register_step_pre_hook(before)
    handle = level.register_step_post_hook(afterwards)
    # before those that were there, such as an average of the weights
    hooks: Any = level._optimizer_step_post_hooks
    hooks.move_to_end(handle.id, last=False)
    yield handle


def _other_steps(kind: type) -> list[str]:
    """Returns the methods of an optimizer's class that step, beside `step`."""
    names = {name for name in dir(kind) if name.endswith("_step") and name[0] != "_"}
    own = sorted(names - {*dir(Optimizer)})
    return [name for name in own if inspect.isfunction(inspect.getattr_static(kind, name))]


def _is_in(one: object, found: Iterable[object]) -> bool:
    return any(one is other for other in found)


class _Followed:
    """A method of one object, and what is called after it; copies of the object have it plain."""

    def __init__(self, owner: Any, name: str, after: Callable[[], None]) -> None:
        self.__name__ = name
        self._owner, self._after = owner, after
        self._was = vars(owner).get(name)
        self._bound = MethodType(self, owner)
        setattr(owner, name, self._bound)

    def __call__(self, owner: Any, *given: Any, **named: Any) -> Any:
        own = owner is self._owner
        plain = self._was if own else None
        result = (plain or getattr(type(owner), self.__name__).__get__(owner))(*given, **named)
        if own:
            self._after()
        return result

    def __get__(self, owner: Any, kind: Any = None) -> MethodType:
        return MethodType(self, owner)  # learning-rate schedulers bind a step again

    def remove(self) -> None:
        if vars(self._owner).get(self.__name__) is not self._bound:  # wrapped by another since
            self._after = _nothing
        elif self._was is None:
            delattr(self._owner, self.__name__)
        else:
            setattr(self._owner, self.__name__, self._was)


def _nothing() -> None: ...


def _new_state(optimizer: Any) -> dict[Any, Any]:
    """Returns the state that an optimizer has before its first step; Adagrad's is made with it."""
    own = inspect.signature(type(optimizer).__init__).parameters
    defaults = vars(optimizer).get("defaults", {})
    options = {name: value for name, value in defaults.items() if name in own}
    try:
        return dict(type(optimizer)([{**g} for g in optimizer.param_groups], **options).state)
    except Exception:  # a wrapper, or one whose options are other than its defaults
        return {}


def _is_optimizer(value: object) -> bool:
    return isinstance(value, Optimizer) or (
        callable(getattr(value, "step", None)) and hasattr(value, "param_groups")
    )


def _inside(optimizer: object) -> Iterator[object]:
    """Yields the optimizers that an object has as attributes, or in lists or dicts of them."""
    for value in getattr(optimizer, "__dict__", {}).values():
        inner = [*value.values()] if isinstance(value, Mapping) else value
        inner = inner if isinstance(inner, list | tuple) else [inner]
        yield from (one for one in inner if one is not optimizer and _is_optimizer(one))


def _beside(group: Mapping[str, Any]) -> dict[str, list[Tensor]]:
    """Returns the lists of tensors that some keep beside a group's parameters, by what they hold.

    "momentum_buffers" is a list of what others call momentum_buffer.
    """
    lists = {name: _tensors(value) for name, value in group.items() if name != "params"}
    parallel = {n: found for n, found in lists.items() if len(found) == len(group["params"])}
    return {
        n.removesuffix("s"): found for n, found in parallel.items() if isinstance(group[n], list)
    }


def _of_state(value: object) -> list[Tensor]:
    """Returns the tensors of a state's value: also of an object of the optimizer's own."""
    own = getattr(value, "__dict__", {}).values() if not isinstance(value, Tensor) else ()
    return _tensors(value) or [tensor for part in own for tensor in _tensors(part)]


def _tensors(value: object) -> list[Tensor]:
    """Returns the tensors of a tensor, or of nested lists and dicts of nothing else."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = [*value.values()]
    if not isinstance(value, list | tuple | deque):
        return []
    parts = [_tensors(part) for part in value]
    return [tensor for part in parts for tensor in part] if all(parts) else []
