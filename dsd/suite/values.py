"""Values of settings: plain and finite, from a recipe's file or from key=value."""

import math
import re
from typing import Any

import yaml

from dsd.errors import UserError

DEEPEST = 20  # levels of a setting


def merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Returns `base` with `change` applied: mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = merge(old, value)
        merged[key] = value
    return merged


def parse_override(text: str) -> dict[str, Any]:
    """Returns `phases.dense.epochs=3` as nested mappings, the value read as YAML.

    A date stays the text that it is. Raises UserError when it is not written key=value, and for a
    value that is no number, text, list or mapping of such.
    """
    key, equals, value = text.partition("=")
    given = repr(text) if len(text) < 100 else f"{text[:60]!r}..."
    if not equals or not key:
        raise UserError(f"{given}: settings are written key=value, e.g. phases.dense.epochs=3")
    if not value.strip():
        raise UserError(f"{given}: has no value; for none at all write {key}=null")
    try:
        nested = yaml.load(value, _Values)
        for part in reversed(key.split(".", DEEPEST)):
            nested = {part: nested}
        check_plain(nested)
    except yaml.YAMLError:
        raise UserError(f"{given}: the value is not valid YAML") from None
    except RecursionError:
        raise UserError(f"{given}: is nested too deeply") from None
    except ValueError as error:  # an integer of too many digits is one too
        raise UserError(f"{given}: {str(error).partition(';')[0]}") from None
    return dict(nested)


class Plain(yaml.SafeLoader):
    """YAML in which numbers are decimal, and a key comes once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if isinstance(key, str) and key in keys[:place]:
                line = node.value[place][0].start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    None, None, f"line {line}: {shown(key)!r} is there twice; remove one"
                )
        return dict(super().construct_mapping(node, deep))


# YAML 1.1 reads 010 as 8 and 1:30 as 90. Here they stay texts, of which the first becomes 10.
_NUMBERS = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0|[1-9][0-9_]*|0b[01_]+|0x[0-9a-fA-F_]+)$"),
    "tag:yaml.org,2002:float": re.compile(
        r"([-+]?[0-9][0-9_]*\.[0-9_]*|[-+]?\.[0-9][0-9_]*)([eE][-+][0-9]+)?$|"
        r"[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
    ),
}
Plain.yaml_implicit_resolvers = {
    first: [(tag, _NUMBERS.get(tag, pattern)) for tag, pattern in resolvers]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Values(Plain):
    """The same without dates, anchors and tags: a value is what it says."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.constructor.ConstructorError(None, None, "anchors are not read", None)
        return super().compose_node(parent, index)


_Values.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in Plain.yaml_implicit_resolvers.items()
}


def check_plain(value: Any, key: str = "", depth: int = 0) -> None:
    """Raises ValueError naming the key where a setting is no plain finite value."""
    where = f"{shown(key)}: " if key else ""
    if depth > DEEPEST:
        raise ValueError(f"{where}nested too deeply")
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str | int | float | bool) or "\0" in str(name):
                raise ValueError(f"{where}{shown(str(name))!r} is no key")
            check_plain(inner, f"{key}.{name}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            check_plain(inner, key, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}{value} is no finite number")
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"{where}an integer of more than 64 bits")
    elif isinstance(value, str) and not all(c.isprintable() or c in "\n\t" for c in value):
        raise ValueError(f"{where}holds control characters")
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"{where}{type(value).__name__} is no number, text, list or mapping")


def shown(key: str) -> str:
    """Returns a key for a message: on one line, and not too long."""
    short = key if len(key) < 100 else f"{key[:60]}..."
    return short if short.isprintable() else repr(short)
