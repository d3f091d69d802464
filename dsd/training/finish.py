"""The end of a phase: test sets, weight statistics, phase.json; and the record of an arm."""

from pathlib import Path
from typing import Any

from dsd.errors import UserError
from dsd.pruning import statistics
from dsd.runs import phase_file, record
from dsd.runs.phase_file import PhaseFile, PhaseRecord
from dsd.runs.settings import difference
from dsd.runs.tree import Place, address
from dsd.suite.recipe import held_sparsity
from dsd.suite.scores import decimals
from dsd.training.evaluate import evaluate
from dsd.training.run import Run
from dsd.training.sharding import load_model, load_optimizer
from dsd.training.state import TrainState, save


def finish(run: Run, place: Place, state: TrainState) -> None:
    """Evaluates the weights to carry over on the test sets, and writes the finished phase."""
    save(run, place, state)
    epoch = carry_over(run, state)
    before = place.parent.checkpoint() if place.parent else None
    tests, examples = {}, {}
    for split in run.task.tests:
        metrics, results = evaluate(run, state.net, split)
        tests[split] = metrics
        examples.update({f"{split}/{name}": values for name, values in results.items()})
        words = ", ".join(
            f"{name} {value:.{decimals(name, [value])}f}" for name, value in metrics.items()
        )
        run.reporter.note(f"{place.node.name}: {split} {words}")
    layers = state.sparsifier.layers
    if before is None:
        state.half_widths = statistics.half_widths(state.net, layers)
    else:
        state.half_widths = before["half_widths"]
    save(run, place, state)
    node, progress = place.node, state.progress
    stages = [*state.stages, _last_stage(place, state)]
    done = PhaseRecord(
        name=node.name,
        folder=node.folder,
        mask=node.mask,
        sparsity=held_sparsity(place.path, state.sparsifier.report()),
        epochs=node.phase.epochs,
        steps=progress.steps,
        lr=node.phase.lr,
        decay=node.phase.decay.model_dump(mode="json"),
        log=progress.epochs,
        carried_over_epoch=epoch,
        layers=state.sparsifier.report(),
        stages=[{"stage": one["stage"], "moment": one["moment"]} for one in stages],
        sign_changes=statistics.changes(state.net, before["model"], layers) if before else {},
        reborn=_reborn(place, state, before),
        test=tests,
        skipped=progress.skipped,
        provenance={
            **progress.sessions[-1],
            "train_seconds": round(progress.seconds, 1),
            "earlier_sessions": progress.sessions[:-1],
        },
    )
    if run.accelerator.is_main_process:
        parameters = sum(p.numel() for p in state.net.parameters())
        file = PhaseFile(settings=place.settings, parameters=parameters, record=done, arrays="")
        weights = phase_file.pack_histograms([one["layers"] for one in stages])
        phase_file.write(place.file, file, {**examples, **weights})
    run.accelerator.wait_for_everyone()


def carry_over(run: Run, state: TrainState) -> float:
    """Restores the best held-out epoch where the recipe says so; returns the epoch carried over."""
    best = state.progress.best
    if best is None:
        return state.progress.steps / run.task.steps_per_epoch
    if "model" in best:
        load_model(state.net, best["model"])
        load_optimizer(state.optimizer, best["optimizer"])
        state.progress.best = {"value": best["value"], "epoch": best["epoch"]}
    epoch: float = best["epoch"]
    return epoch


def record_file(run: Run, arm: str) -> Path:
    """Returns where an arm's record goes."""
    recipe = run.recipe
    stem = record.stem(recipe.name, recipe.scale, run.overrides, arm, run.seed)
    return run.records / f"{stem}.json"


def refuse_another_record(run: Run, arm: str, path: list[Place]) -> None:
    """Raises UserError where the arm's record is there already, of other settings or data."""
    where = record_file(run.owner(path[-1]), arm)
    if not where.exists():
        return
    try:
        settings = record.read(where).settings
    except UserError:  # damaged, or of an earlier version: it is written again
        return
    if fault := difference(settings, path[-1].settings, path[-1].task):
        raise UserError(
            f"{where}: holds a record of other settings ({fault}); move it away, or give --records "
            "another folder"
        )


def write_record(run: Run, arm: str, path: list[Place]) -> Path:
    """Writes an arm's record and copies of its phases; returns the record's path."""
    if run.dense and len(path) == 1:  # its only phase is another seed's
        return write_record(run.dense, arm, path)
    recipe, task, where = run.recipe, run.task, record_file(run, arm)
    if run.accelerator.is_main_process:
        note = recipe.arms[arm].note
        ours = recipe.scale != "full" or run.overrides
        content = {
            "recipe": recipe.name,
            "title": recipe.title,
            "corpus": task.corpus,
            "table": recipe.table,
            "column": recipe.column,
            "scale": recipe.scale,
            "overrides": list(run.overrides),
            "arm": arm,
            "source": "ours" if ours else recipe.arms[arm].source,
            "notes": [*recipe.notes, *([note] if note else [])],
            "seed": run.seed,
            "metric": task.metric,
            "lower_is_better": task.lower_is_better,
        }
        label = record.label(recipe.name, recipe.scale)
        phases = [
            (f"{label}/seed{run.owner(place).seed}/{address(place.path)}", place.file)
            for place in path
        ]
        record.write(where, content, phases)
    run.accelerator.wait_for_everyone()
    return where


def _last_stage(place: Place, state: TrainState) -> dict[str, Any]:
    name = "dense" if place.parent is None else "trained"
    if state.sparsifier.active:
        name = "sparse-trained"
    elif state.stages:
        name = "re-dense"
    layers = statistics.stage(state.net, state.half_widths)
    return {"stage": name, "moment": "end", "layers": layers}


def _reborn(place: Place, state: TrainState, before: dict[str, Any] | None) -> dict[str, Any]:
    """Returns what became of the weights that the phase before had pruned."""
    if before is None or not before["sparsifier"]["masks"] or state.sparsifier.active:
        return {}
    dense = place.parent
    while dense and dense.node.mask != "none":  # several sparse phases may follow each other
        dense = dense.parent
    assert dense  # a recipe's first phase is dense
    masks = before["sparsifier"]["masks"]
    return statistics.reborn(state.net, masks, dense.checkpoint()["model"])
