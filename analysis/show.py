"""`dsd show`: one recipe, its phases, what is pruned, what it cost, and the commands to give."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from analysis.grid import Grid
from analysis.statistics import spread
from analysis.tables.recipes_page import decay_name, facts
from analysis.words import NOTHING, number, phase_name, plus_minus
from dsd.errors import UserError
from dsd.runs import record
from dsd.runs.record import Record
from dsd.suite.recipe import Recipe


def grids(recipe: Recipe, folders: Iterable[Path]) -> Iterator[Grid]:
    """Yields the tables; folders: where records may lie that tell layers and cost."""
    known = list(_records(recipe.name, folders))
    yield _phases(recipe)
    yield _arms(recipe)
    yield _layers(recipe, known)
    yield _cost(known)


def commands(recipe: Recipe) -> list[tuple[str, str]]:
    """Returns command lines, and what each does."""
    name, variable = recipe.name, recipe.corpus.upper()
    scale = "" if recipe.scale == "full" else f" --scale {recipe.scale}"
    data = "" if recipe.scale == "mini" else f"{variable}=/path "
    lines = [
        (f"dsd run {name} --scale mini --arm all", "all arms on a miniature, without data"),
        (f"{data}dsd run {name}{scale} --arm dsd --arm finetune --seed 0", "DSD and its control"),
        (f"make {name}-dsd {variable}=/path SEED=0", "the same through make, one arm"),
    ]
    return lines


def _records(name: str, folders: Iterable[Path]) -> Iterator[Record]:
    for folder in folders:
        for path in sorted(folder.glob(f"{name}*.json")):
            try:
                found = record.read(path)
            except UserError:
                continue  # the tables say what is wrong with it
            if found.recipe == name:
                yield found


def _phases(recipe: Recipe) -> Grid:
    rows: list[tuple[str, ...]] = []
    for name, phase in recipe.phases.items():
        by_layer = isinstance(phase.sparsity, dict)
        sparsity = "by layer" if by_layer else f"{phase.sparsity:g}" if phase.sparse else NOTHING
        rate = f"{number(phase.lr)}, {decay_name(phase.decay)}"
        rows.append((phase_name(name), f"{phase.epochs:g}", rate, sparsity))
    said = tuple(fact for fact in facts(recipe) if not fact.startswith("rate inside"))
    return Grid(recipe.title, ("phase", "epochs", "rate", "sparsity"), rows, said)


def _arms(recipe: Recipe) -> Grid:
    rows: list[tuple[str, ...]] = []
    for name, arm in recipe.arms.items():
        nodes = recipe.plan(name)
        masks = [node.mask for node in nodes if node.phase.sparse]
        path = ", ".join(phase_name(node.name) for node in nodes)
        rows.append((name, arm.source, path, masks[0] if masks else NOTHING))
    notes = tuple(arm.note for arm in recipe.arms.values() if arm.note)
    return Grid("Arms", ("arm", "schedule", "phases", "mask"), rows, notes)


def _layers(recipe: Recipe, known: list[Record]) -> Grid:
    """Returns the pruned layers with their weights, and what each sparse phase keeps of them."""
    title = "Pruned layers"
    pruned = [one for one in known if any(phase.sparsity for phase in one.phases)]
    pruned.sort(key=lambda one: (one.scale != recipe.scale, one.scale == "mini"))
    if not pruned:
        return Grid(
            title,
            ("layer",),
            [("all weight matrices and kernels but those never pruned",)],
            (f"counts: after a first run, such as dsd run {recipe.name} --scale mini",),
        )
    one = pruned[0]
    sparse = next(phase for phase in one.phases if phase.sparsity)
    rows: list[tuple[str, ...]] = [
        (layer, f"{n['weights']:,}", f"{n['kept']:,}", f"{1 - n['kept'] / n['weights']:.1%}")
        for layer, n in sparse.layers.items()
        if n["weights"]
    ]
    total = [sum(n[part] for n in sparse.layers.values()) for part in ("weights", "kept")]
    rows.append(("all", *(f"{n:,}" for n in total), f"{1 - total[1] / total[0]:.1%}"))
    note = (
        f"from the record of {record.label(one.recipe, one.scale, tuple(one.overrides))} "
        f"{one.arm}, seed {one.seed}; the network has {one.parameters:,} parameters"
    )
    return Grid(title, ("layer", "weights", "kept", "sparsity"), rows, (note,))


def _cost(known: list[Record]) -> Grid:
    """Returns how long the training of each arm took, by scale."""
    hours: dict[tuple[str, str], list[float]] = {}
    for one in known:
        label = record.label(one.recipe, one.scale, tuple(one.overrides))
        spent = sum(phase.provenance["train_seconds"] for phase in one.phases) / 3600
        scale = label.removeprefix(one.recipe).removeprefix(".") or "full"
        hours.setdefault((scale, one.arm), []).append(spent)
    rows: list[tuple[str, ...]] = [
        (scale, arm, plus_minus(spread(spent)), str(len(spent)))
        for (scale, arm), spent in sorted(hours.items())
    ]
    devices = sorted({one.provenance["device"] for one in known})
    notes = ("with its dense phase, which the arms of a seed share", f"on {'; '.join(devices)}")
    return Grid(
        "Cost, from the records here",
        ("scale", "arm", "hours of training", "n"),
        rows or [("no record yet", *[NOTHING] * 3)],
        notes if rows else (),
    )
