"""Settings as people mistype them, thousands in one process: taken as they stand, or refused."""

import random
import string
from typing import Any

import torch

from dsd.errors import UserError
from dsd.suite.folder import Suite
from dsd.suite.recipe import validate
from dsd.suite.values import parse_override
from dsd.training.optimizers import make_optimizer
from tests.faults.tally import ROOT, Tally

RECIPES = ("cifar10-resnet20", "flickr8k-neuraltalk", "an4-deepspeech", "imagenette-resnet18")
KEYS = (
    *("name", "title", "corpus", "table", "exclude", "momentum", "carry_over", "dense_seed"),
    *("optimizer", "clip_value", "clip_norm", "task", "phases", "arms", "notes", "scale", "scales"),
    *("optimizer.name", "optimizer.momentum", "optimizer.eps", "optimizer.alpha"),
    *("optimizer.betas", "optimizer.weight_decay", "optimizer.nesterov"),
    *("phases.dense.epochs", "phases.dense.lr", "phases.sparse.sparsity", "phases.dense.decay"),
    *("phases.dense.decay.shape", "phases.dense.decay.at", "phases.sparse.scope"),
    *("phases.sparse.gradual", "phases.sparse.gradual.every", "phases.../x.epochs", "phases.a b"),
    *("arms.dsd.phases", "arms.dsd.mask", "arms.dsd.keep_mask", "arms.../../x", "arms.dsd.note"),
    *("task.batch_size", "task.hidden", "task.crop", "task.resize", "task.network", "task.weights"),
    *("task.heldout", "task.dropout", "task.heldout_speakers", "task.beams", "task.features"),
)
VALUES = (
    *("", "1", "0", "-1", "0.5", "1e300", "1.0e+300", "1.0e-320", ".inf", "-.inf", ".nan", "null"),
    *("true", "no", "~", "[]", "{}", "[1, 2]", "[0.9, 0.999]", "{a: 1}", "dense", "sgd", "adam"),
    *("rmsprop", "2020-01-01", "2020-13-45", "2020-01-01 10:00:00", "12:30:45", "0x1F", "0o17"),
    *("1_000", "1" * 30, "9" * 5000, "9223372036854775807", "9223372036854775808", "1e", "1.e"),
    *("&a [*a]", "*a", "!!python/object:os.system x", "!!binary aGk=", "!!set {a}", "!!null x"),
    *(
        "!!timestamp 2020-01-01",
        "!!float x",
        "!!int x",
        "{",
        "[",
        "]",
        ":",
        "- a",
        "? a",
        "a: b: c",
    ),
    *("[[" * 500, "[" * 30 + "]" * 30, "{a: " * 25 + "1" + "}" * 25, "\0", "a\0b", "\x1b[31m"),
    *("\ud800", "\u202e", "'", '"', "'unclosed", "../../x", "/etc/passwd", "[dense, ../../x]"),
    *(
        "{epochs: 1, lr: 0.1}",
        "{epochs: .inf, lr: 0.1}",
        "{shape: step, at: [1, -1]}",
        "<<: {a: 1}",
    ),
    *("magnitude", "random", "none", "kept", "[red]", "[/red]", "999999999999", "x" * 10_000),
)


def overrides(count: int, seed: int = 0) -> list[Tally]:
    """Reads recipes with so many changed settings, as far as training begins."""
    draw, suite, tally = random.Random(seed), Suite(ROOT), Tally("override")
    usual = {name: suite.recipe(name, "mini").model_dump() for name in RECIPES}
    for _ in range(count):
        name = draw.choice(RECIPES)
        text = f"{_key(draw)}={_value(draw)}"
        try:
            tally.add(_verdict(suite, name, text, usual[name]), f"{name} {text[:80]!r}")
        except UserError as error:
            whole = "\n" not in str(error) and len(str(error)) < 2000
            tally.add("refused" if whole else "traceback", f"{name} {text[:80]!r}: {error}"[:300])
        except Exception as error:  # what a user would see as a traceback
            what = f"{name} {text[:80]!r}: {type(error).__name__}: {str(error)[:100]}"
            tally.add("traceback", what)
    return [tally]


def _key(draw: random.Random) -> str:
    if draw.random() < 0.85:
        return draw.choice(KEYS)
    if draw.random() < 0.1:
        return ".".join(["a"] * draw.choice((30, 3000)))
    return "".join(draw.choices(string.printable + "äß\0", k=draw.randrange(12)))


def _value(draw: random.Random) -> str:
    if draw.random() < 0.8:
        return draw.choice(VALUES)
    return "".join(draw.choices(string.printable + ".:{}[]&*!-0123456789", k=draw.randrange(16)))


def _verdict(suite: Suite, name: str, text: str, usual: dict[str, Any]) -> str:
    """Returns "right" where the recipe has the value that was given, "silent" where it has not."""
    recipe = suite.recipe(name, "mini", (text,))
    task = suite.task_module(recipe.corpus)
    settings = validate(task.Settings, recipe.task, "task").model_dump()
    for arm in recipe.arms:
        recipe.plan(arm)
    parameter = torch.nn.Parameter(torch.zeros(1))
    make_optimizer(recipe.optimizer, [parameter], next(iter(recipe.phases.values())).lr)
    found: Any = {**recipe.model_dump(), "task": settings}
    given: Any = parse_override(text)
    while isinstance(given, dict) and len(given) == 1:
        ((key, given),) = given.items()
        if not isinstance(found, dict) or key not in found:
            return "silent"
        found = found[key]
    return "right" if _equal(given, found) else "silent"


def _equal(given: Any, found: Any) -> bool:
    """Returns whether a value is as given; types may differ as YAML's and the recipe's do."""
    if isinstance(given, dict):
        return isinstance(found, dict) and all(
            _equal(each, found.get(key, found.get(str(key)))) for key, each in given.items()
        )
    if isinstance(given, list):
        pairs = isinstance(found, list | tuple) and len(given) == len(found)
        return pairs and all(map(_equal, given, found))
    if isinstance(given, str) and isinstance(found, bool | int | float):
        return True  # pydantic reads "1e3" and "yes" as what they say
    return bool(given == found)
