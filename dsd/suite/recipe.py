"""Recipes: validated YAML, one file per row of the paper's tables."""

import copy
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from dsd.errors import UserError
from dsd.pruning.criteria import CRITERIA
from dsd.pruning.distribution import Scope, overall, pruned_count
from dsd.pruning.schedule import Gradual
from dsd.suite.decay import Decay
from dsd.suite.names import NAME, nearest
from dsd.suite.optimizers import check, check_is_one
from dsd.suite.values import Plain, check_plain, merge, parse_override, shown

# mask -> suffix of a phase's folder; any other mask has its name
SUFFIXES = {"magnitude": "", "none": "-unmasked", "kept": "-masked"}
M = TypeVar("M", bound=BaseModel)


def _sparsity(value: Any) -> Any:
    """Returns the value checked: a number, or one for each layer. Raises ValueError for others."""
    layers = (
        {str(name): number for name, number in value.items()} if isinstance(value, dict) else {}
    )
    for number in layers.values() or [value]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"a sparsity is a number, or one for each layer, not {number!r}")
        pruned_count(0, number)
    return layers or value


def _setting(name: Any, value: Any) -> Any:
    """Returns an optimizer's setting as torch takes it: tuples, and 1e-8, a text in YAML, as float.

    What fields name, pydantic reads.
    """
    if isinstance(value, list):
        return tuple(_setting(name, one) for one in value)
    with suppress(ValueError):
        return float(value) if isinstance(value, str) and name != "name" else value
    return value


def _eps(value: Any) -> Any:
    """Returns the value checked: a number, or Adafactor's two. Raises ValueError for others."""
    numbers = [one for one in value if one is not None] if isinstance(value, tuple) else [value]
    for number in numbers if value is not None else ():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"eps is a number, not {number!r}")
        if not 0 < number <= LARGEST:
            raise ValueError("Input should be greater than 0")
    return value


Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$", max_length=100)]
LARGEST = 1e6  # epochs, rates: above it there is nothing but overflow
Share = Annotated[float, Field(ge=0, lt=1)]
Sparsity = Annotated[float | dict[str, float], BeforeValidator(_sparsity)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _booleans_are_no_numbers(cls, raw: Any) -> Any:
        for name, value in raw.items() if isinstance(raw, dict) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field and not _takes(field.annotation, bool):
                raise ValueError(f"{name}: Input should not be {str(value).lower()}")
        return raw


def _takes(annotation: Any, kind: type) -> bool:
    return annotation in (kind, Any) or any(_takes(one, kind) for one in get_args(annotation))


class Optimizer(BaseModel):
    """A torch optimizer by its name, and its settings; the learning rate belongs to the phase.

    Any of torch.optim, see dsd/suite/optimizers.py; what no field names has torch's own name.
    """

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    name: Annotated[str, Field(max_length=100), AfterValidator(str.lower)]
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    nesterov: bool | None = None
    weight_decay: Annotated[float, Field(ge=0, le=LARGEST)] = 0.0
    alpha: Share | None = None  # RMSprop's decay
    betas: tuple[Share, Share] | None = None
    eps: Annotated[Any, AfterValidator(_eps)] = None

    @model_validator(mode="before")
    @classmethod
    def _others_are_given(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        dropped = [k for k, v in raw.items() if v is None and k not in cls.model_fields]
        for key in dropped:
            check_is_one(str(key))
        return {k: _setting(k, v) for k, v in raw.items() if k not in dropped}

    @model_validator(mode="after")
    def _has_these(self) -> "Optimizer":
        check(self.name, self.settings)
        if self.nesterov and not self.momentum and self.name == "sgd":
            raise ValueError("nesterov needs a momentum; drop it: optimizer.nesterov=null")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """Returns what is given to torch, besides the rate; a decay of zero where there is one."""
        given = self.model_dump(exclude={"name"}, exclude_none=True)
        if not self.weight_decay and self.name == "rprop":  # has none
            given.pop("weight_decay")
        return given


class Ramp(_Strict):
    """A gradual schedule: the phase reaches its sparsity by the cubic of Zhu and Gupta (2017)."""

    epochs: Annotated[float, Field(gt=0, le=LARGEST)]  # until the sparsity is reached
    every: Annotated[int, Field(ge=1)]  # optimizer steps between choices of the masks


class Phase(_Strict):
    """One stretch of training: how long, how fast, how sparse."""

    epochs: Annotated[float, Field(ge=0, le=LARGEST)]
    lr: Annotated[float, Field(gt=0, le=LARGEST)]
    sparsity: Sparsity = 0.0  # of every layer, or {name or glob: sparsity}, see Sparsifier
    scope: Scope = "layer"  # which weights are compared together: of a layer, or of all
    gradual: Ramp | None = None
    decay: Decay = Decay()

    @model_validator(mode="after")
    def _can_be_pruned(self) -> "Phase":
        if self.scope == "global" and isinstance(self.sparsity, dict):
            raise ValueError("scope: global has one sparsity for all layers, not one for each")
        if self.gradual and not self.sparse:
            raise ValueError("gradual: the phase has no sparsity to reach")
        if self.gradual and self.gradual.epochs > self.epochs:
            raise ValueError(f"gradual.epochs: the phase ends before, after {self.epochs:g} epochs")
        return self

    @property
    def sparse(self) -> bool:
        """Returns whether any layer is to be pruned."""
        layers = self.sparsity if isinstance(self.sparsity, dict) else {"": self.sparsity}
        return any(sparsity > 0 for sparsity in layers.values())

    def gradually(self, steps_per_epoch: int) -> Gradual | None:
        """Returns the gradual schedule in optimizer steps; None to prune at once."""
        steps = round(self.gradual.epochs * steps_per_epoch) if self.gradual else 0
        return Gradual(steps, self.gradual.every) if self.gradual and steps else None


class Arm(_Strict):
    """The phases of an arm in order, and the criterion that chooses a sparse phase's mask."""

    source: Literal["paper", "ours"]  # whose schedule it is
    phases: Annotated[tuple[Name, ...], Field(min_length=1)]
    mask: str = "magnitude"  # a criterion, or none
    keep_mask: bool = False  # the first sparse phase's mask is neither dropped nor chosen again
    note: str = ""

    @field_validator("mask")
    @classmethod
    def _is_known(cls, mask: str) -> str:
        if mask not in {*CRITERIA, "none"}:
            raise ValueError(f"no criterion is called {mask!r}{nearest(mask, [*CRITERIA, 'none'])}")
        return mask


class Node(_Strict):
    """One phase in the tree of phases."""

    name: Name  # the phase's name in the recipe
    folder: Name  # name of its folder, with the mask in it
    phase: Phase
    mask: Name  # a criterion, none, or kept: the mask of the phase before


def held_sparsity(path: Sequence[Node], layers: Mapping[str, Mapping[str, int]]) -> float:
    """Returns the sparsity at the end of a path, over all layers where it differs by layer.

    A kept mask has the sparsity that it was chosen with. layers: what Sparsifier.report returns.
    """
    chosen = [node for node in path if node.mask != "kept"]
    sizes = {name: counts["weights"] for name, counts in layers.items()}
    return overall(sizes, chosen[-1].phase.sparsity)


class Recipe(_Strict):
    """How one network is trained on one corpus, arm by arm."""

    name: str
    title: str
    corpus: str
    table: str | None = None  # the paper's table (results/paper/<table>.csv)
    column: str | None = None  # prefix of its columns, where the table has several recipes
    include: tuple[str, ...] = ()  # pruned, besides the weights of layers that connect
    exclude: tuple[str, ...] = ()  # not pruned
    momentum: Literal["pruned", "reset", "keep"] = "pruned"  # at prune and at re-dense
    carry_over: Literal["last", "best_heldout"] = "last"  # the epoch whose weights the phase keeps
    dense_seed: Annotated[int, Field(ge=0)] | None = None  # all seeds branch from this one's dense
    optimizer: Optimizer
    clip_value: Annotated[float, Field(gt=0)] | None = None  # of each entry of the gradient
    clip_norm: Annotated[float, Field(gt=0)] | None = None  # L2, of the whole gradient
    task: dict[str, Any]  # checked by the corpus's task.py
    phases: dict[Name, Phase]
    arms: dict[Name, Arm]
    notes: tuple[str, ...] = ()
    scale: str = "full"

    @model_validator(mode="after")
    def _arms_use_known_phases(self) -> "Recipe":
        for arm_name, arm in self.arms.items():
            for phase in arm.phases:
                if phase not in self.phases:
                    raise ValueError(
                        f"arms.{arm_name}.phases: no phase is called {phase!r}"
                        + nearest(phase, self.phases)
                    )
            if self.phases[arm.phases[0]].sparse:
                raise ValueError(f"arms.{arm_name}.phases: the first phase must be dense")
            masked = arm.mask != "none" and any(self.phases[p].sparse for p in arm.phases)
            if arm.keep_mask and not masked:
                raise ValueError(f"arms.{arm_name}.keep_mask: the arm has no mask to keep")
        return self

    def plan(self, arm_name: str) -> list[Node]:
        """Returns the arm's phases in order; arms with the same first phases share those nodes.

        Raises UserError when the recipe has no such arm.
        """
        if arm_name not in self.arms:
            raise UserError(
                f"{self.name}: no arm is called {arm_name!r}" + nearest(arm_name, self.arms)
            )
        arm = self.arms[arm_name]
        nodes: list[Node] = []
        for name in arm.phases:
            phase = self.phases[name]
            mask = arm.mask if phase.sparse else "none"
            if arm.keep_mask and any(node.mask != "none" for node in nodes):
                mask = "kept"
            masked = phase.sparse or mask == "kept"
            folder = name + (SUFFIXES.get(mask, f"-{mask}") if masked else "")
            nodes.append(Node(name=name, folder=folder, phase=phase, mask=mask))
        return nodes


def load_recipe(path: Path, scale: str = "full", overrides: tuple[str, ...] = ()) -> Recipe:
    """Reads one recipe, applies scale and overrides, and checks it.

    scale: an entry of the recipe's `scales:` section, merged into it; `full` is the recipe as it
    is. Its name comes from its path, `recipes/<corpus>/<network>.yaml`. Raises UserError with the
    file and the key.
    """
    raw, scales = _read(path)
    own = raw
    if scale != "full":
        if scale not in scales:
            raise UserError(
                f"{path}: the recipe has no scale {scale!r}" + nearest(scale, ["full", *scales])
            )
        raw = merge(raw, scales[scale] or {})
    for override in overrides:
        raw = merge(raw, parse_override(override))
    for key in ("name", "corpus", "scale"):
        if key in raw:
            raise UserError(
                f"{path}: {key}: follows from the recipe's file and --scale, and cannot be set; "
                "leave it out"
            )
    _refuse_idle_phases(path, own, raw)
    names = {"name": f"{path.parent.name}-{path.stem}", "corpus": path.parent.name, "scale": scale}
    return validate(Recipe, {**raw, **names}, str(path))


def _refuse_idle_phases(path: Path, own: dict[str, Any], raw: dict[str, Any]) -> None:
    """Raises UserError for a phase that a scale or a setting adds, and no arm has: a typing error.

    own: the recipe's file as it is. raw: the same with scale and settings.
    """
    before, now, arms = (
        found if isinstance(found, dict) else {}
        for found in (own.get("phases"), raw.get("phases"), raw.get("arms"))
    )
    plans = [arm.get("phases") for arm in arms.values() if isinstance(arm, dict)]
    used = {str(name) for plan in plans if isinstance(plan, list) for name in plan}
    for name in now:
        if name not in before and str(name) not in used and NAME.fullmatch(str(name)):
            raise UserError(f"{path}: phases.{name}: no arm uses it{nearest(str(name), used)}")


def scale_names(path: Path) -> list[str]:
    """Returns the names of a recipe's scales beside "full". Raises UserError as `load_recipe`."""
    return list(_read(path)[1])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns a recipe's keys, and its scales: the keys that each changes."""
    try:
        raw = copy.deepcopy(_parsed(path.read_text(encoding="utf-8")))
        check_plain(raw)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: a recipe is a mapping of keys, see CONTRIBUTING.md")
    scales = raw.get("scales") or {}
    if not isinstance(scales, dict) or any(
        not isinstance(s, dict | type(None)) for s in scales.values()
    ):
        raise UserError(f"{path}: scales: each scale is a mapping of the keys it changes")
    return {key: value for key, value in raw.items() if key != "scales"}, scales


@lru_cache(maxsize=256)  # the tables read a recipe once for each of its scales
def _parsed(text: str) -> Any:
    return yaml.load(text, Plain)


def validate(model: type[M], raw: dict[str, Any], where: str) -> M:
    """Returns `raw` as a checked pydantic model. Raises UserError for the first fault."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        key = shown(".".join(str(part) for part in fault["loc"]))
        if fault["type"] == "extra_forbidden":
            known = _keys_at(model, fault["loc"][:-1])
            wrong = str(fault["loc"][-1])
            raise UserError(f"{where}: unknown key {key!r}{nearest(wrong, known)}") from None
        message = fault["msg"].removeprefix("Value error, ")
        message = message if len(message) < 400 else f"{message[:300]}..."
        if fault["type"] == "string_pattern_mismatch" and NAME.pattern in message:
            message = f"{fault['input']!r} is no name: use letters, digits, - and _ alone"
            key = key.removesuffix("..[key]").removesuffix(".[key]")
        raise UserError(f"{where}: {key + ': ' if key else ''}{message}") from None


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Returns the valid keys of the section that `loc` leads to."""
    current: Any = model
    for part in loc:
        fields = getattr(current, "model_fields", None)
        annotation = fields[str(part)].annotation if fields and part in fields else current
        current = _inner_model(annotation) or current
    return list(current.model_fields)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _inner_model(inner)
        if found:
            return found
    return None
