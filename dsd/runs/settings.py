"""The settings that decide a phase's result, and where two sets of them differ.

Settings are compared through their models, never as text: a key added later, whose default means
the earlier behaviour, leaves finished phases finished and their folders found.
"""

import hashlib
import json
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from dsd.suite.recipe import Node, Optimizer


class Settings(BaseModel):
    """What decides the result of a path's last phase; other settings' checkpoints are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: dict[str, Any]
    optimizer: Optimizer
    clip_value: float | None = None
    clip_norm: float | None = None
    exclude: tuple[str, ...] = ()
    layers: tuple[str, ...] | None = None  # prunable layers; None in runs that did not save them
    momentum: Literal["pruned", "reset", "keep"] = "pruned"
    carry_over: Literal["last", "best_heldout"] = Field(
        default="last", validation_alias=AliasChoices("carry_over", "hand_on")
    )
    path: tuple[Node, ...]
    seed: int
    dense_seed: int | None = None  # where the dense phase is another seed's
    corpus: Any  # fingerprint of the data
    weights: Any = None  # fingerprint of the weights to start from
    precision: str = "fp32"
    channels_last: bool = False
    compile: bool = False
    fused: bool = False
    tf32: bool = False
    processes: int = Field(default=1, exclude=True)  # of earlier versions; now in the provenance


def difference(old: Settings, new: Settings, task: type[BaseModel] | None = None) -> str:
    """Returns the first setting in which two runs differ, with both values; "" for none.

    Where both have `layers`, these are compared in place of `exclude`. task: the model of the
    task's settings, which fills in their defaults.
    """
    return _difference(_comparable(old, new, task), _comparable(new, old, task), "")


def digest(settings: Settings, task: type[BaseModel] | None = None) -> str:
    """Returns a digest, eight hex digits, of the settings that are not defaults; without seeds."""
    given = settings.model_dump(mode="json", exclude_defaults=True, exclude={"seed", "dense_seed"})
    given["task"] = _task(settings, task, exclude_defaults=True)
    if settings.layers is not None:
        given.pop("exclude", None)
    return hashlib.sha256(json.dumps(given).encode()).hexdigest()[:8]


def _comparable(one: Settings, other: Settings, task: type[BaseModel] | None) -> dict[str, Any]:
    content = one.model_dump(mode="json")
    content["task"] = _task(one, task)
    content.pop("exclude" if one.layers is not None and other.layers is not None else "layers")
    return content


def _task(settings: Settings, model: type[BaseModel] | None, **options: Any) -> dict[str, Any]:
    if model is None:
        return settings.task
    try:
        return model.model_validate(settings.task).model_dump(mode="json", **options)
    except ValidationError:  # settings of a task as it was: they differ, and are shown as they are
        return settings.task


def _difference(old: Any, new: Any, key: str) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        if key.endswith("sparsity") and [*old] != [*new]:  # the first entry that matches counts
            return f"{key}: {old!r} then, {new!r} now"
        for name in sorted({*old, *new}):
            fault = _difference(old.get(name), new.get(name), f"{key}.{name}".lstrip("."))
            if fault:
                return fault
        return ""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return next((f for i, (a, b) in pairs if (f := _difference(a, b, f"{key}.{i}"))), "")
    return "" if old == new else f"{key}: {old!r} then, {new!r} now"
