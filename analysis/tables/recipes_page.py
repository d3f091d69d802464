"""docs/recipes.md: whose schedule each arm of each recipe has, and what it is."""

from collections.abc import Iterator
from typing import Any

from analysis.arms import ordered
from analysis.grid import Grid
from analysis.words import number, phase_name
from dsd.suite.decay import Decay
from dsd.suite.folder import Suite
from dsd.suite.recipe import Recipe, scale_names

INTRO = """\
# Recipes and arms

Whose schedule an arm has: `paper` where the paper gives epochs, rates and sparsities, else `ours`.
A mask of `magnitude` keeps the largest weights of every layer, `random` as many at random; `none`
trains the same phases and rates without a mask. Rates are those that a phase begins with. At other
scales than `full` every schedule is ours.
"""


def page(suite: Suite) -> str:
    """Returns the page: recipe x arm at a glance, then a section a recipe."""
    recipes = {name: suite.recipe(name) for name in suite.recipes}
    arms = ordered(arm for recipe in recipes.values() for arm in recipe.arms)
    rows = [
        (f"[{name}](#{name})", *(r.arms[arm].source if arm in r.arms else "-" for arm in arms))
        for name, r in recipes.items()
    ]
    overview = Grid("Whose schedule", ("recipe", *arms), rows)
    sections = (_section(suite, name, recipe) for name, recipe in recipes.items())
    return "\n".join([INTRO, overview.markdown(), *sections])


def _section(suite: Suite, name: str, recipe: Recipe) -> str:
    rows: list[tuple[str, ...]] = []
    for arm_name, arm in recipe.arms.items():
        nodes = recipe.plan(arm_name)
        mask = next((node.mask for node in nodes if node.phase.sparse), "-")
        rows.append((arm_name, arm.source, _path(recipe, arm_name), mask, arm.note or "-"))
    header = ("arm", "schedule", "phases: epochs at rate", "mask", "note")
    arms = Grid(recipe.title, header, rows, tuple(facts(recipe)))
    lines = [_scale(recipe, suite.recipe(name, each)) for each in scale_names(suite.recipes[name])]
    return f"## {name}\n\n{arms.markdown()}" + "".join(lines)


def _path(recipe: Recipe, arm: str) -> str:
    return ", ".join(_phase(recipe, node.name) for node in recipe.plan(arm))


def _phase(recipe: Recipe, name: str) -> str:
    """Returns for example "sparse 45 at 0.001, sparsity 0.5"."""
    phase = recipe.phases[name]
    sparsity = ""
    if phase.sparse:
        by_layer = isinstance(phase.sparsity, dict)
        sparsity = f" (sparsity {'by layer' if by_layer else f'{phase.sparsity:g}'})"
    return f"{phase_name(name)} {phase.epochs:g} at {number(phase.lr)}{sparsity}"


def facts(recipe: Recipe) -> Iterator[str]:
    """Yields what decides a recipe's results besides its arms."""
    optimizer = recipe.optimizer.model_dump(exclude_none=True, exclude={"name"})
    yield f"optimizer: {recipe.optimizer.name}, {_pairs(optimizer)}"
    if recipe.clip_value is not None:
        yield f"each entry of the gradient clipped to ±{recipe.clip_value:g}"
    if recipe.clip_norm is not None:
        yield f"the gradient's norm clipped to {recipe.clip_norm:g}"
    yield f"momentum at prune and at re-dense: {recipe.momentum}"
    for name, phase in recipe.phases.items():
        if phase.decay.shape != "constant":
            yield f"rate inside {phase_name(name)}: {decay_name(phase.decay)}"
    yield f"never pruned: {', '.join(recipe.exclude)}, biases, normalisation"
    yield f"weights carried over: {recipe.carry_over.replace('_', ' ')} epoch"
    yield f"task: {_pairs(recipe.task)}"
    if recipe.table:
        column = f", {recipe.column}" if recipe.column else ""
        yield f"the paper's figures: results/paper/{recipe.table}.csv{column}"
    yield from recipe.notes


def _scale(recipe: Recipe, scaled: Recipe) -> str:
    changed_phases = [n for n, phase in scaled.phases.items() if phase != recipe.phases.get(n)]
    phases = [_phase(scaled, name) for name in changed_phases]
    changed = {k: v for k, v in scaled.task.items() if v != recipe.task.get(k)}
    said = [", ".join(phases), _pairs(changed), *(n for n in scaled.notes if n not in recipe.notes)]
    return f"- scale `{scaled.scale}`: {'; '.join(part for part in said if part)}\n"


def decay_name(decay: Decay) -> str:
    """Returns in words how the rate falls inside a phase."""
    if decay.shape == "step":
        return f"times {decay.factor:g} after epochs {', '.join(f'{at:g}' for at in decay.at)}"
    return f"polynomial, power {decay.power:g}" if decay.shape == "poly" else decay.shape


def _pairs(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_word(value)}" for key, value in settings.items())


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else str(value)
