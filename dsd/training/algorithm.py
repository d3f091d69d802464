"""Running an arm: walk its path through the tree of plans, train what is not trained yet, record.

Folders mirror the tree, e.g. `runs/cifar10-resnet20/seed0/dense/sparse/redense`: arms that begin
alike share those folders, so the dense phase is trained once per seed.
"""

import hashlib
import io
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from dsd.errors import UserError
from dsd.pruning import statistics
from dsd.pruning.distribution import groups
from dsd.pruning.sparsifier import Sparsifier
from dsd.runs import checkpoint, record
from dsd.suite.recipe import Node, Recipe, held_sparsity
from dsd.suite.task import Task
from dsd.training.optimizers import make_optimizer
from dsd.training.phase import Hooks, NotFinite, Parts, Progress, train_phase
from dsd.training.progress import Reporter
from dsd.training.stop import Stop


@dataclass(frozen=True)
class Options:
    """How to run, apart from the recipe; goes into the record."""

    precision: str = "fp32"
    channels_last: bool = False
    compile: bool = False
    deterministic: bool = True


@dataclass
class Run:
    """One recipe and seed, with what all its arms share."""

    recipe: Recipe
    usual: Recipe  # the same recipe and scale, without the overrides
    overrides: tuple[str, ...]
    seed: int
    task: Task
    accelerator: Accelerator
    options: Options
    runs: Path  # where checkpoints live
    records: Path  # where records go
    checkpoint_every_s: float
    made: dict[str, Any]  # how this process makes numbers: command, revision, device ...
    stop: Stop
    reporter: Reporter
    dense: "Run | None" = None  # whose dense phase all arms branch from, where it is another seed's

    @property
    def folder(self) -> Path:
        return self.runs / record.label(self.recipe.name, self.recipe.scale) / f"seed{self.seed}"

    def arm(self, name: str) -> Path:
        """Trains what the arm still lacks and writes its record; returns the record's path.

        Raises UserError on data, settings or losses that cannot be used, Stopped when stopped.
        """
        plan = self.recipe.plan(name)
        if self.dense and len(plan) == 1:  # nothing of it is this seed's
            return self.dense.arm(name)
        if self.recipe.hand_on == "best_heldout" and not self.task.heldout:
            raise UserError(
                f"{self.recipe.name}: hand_on: best_heldout needs a held-out split; "
                "set task.heldout, or hand_on: last"
            )
        for depth in range(len(plan)):
            self._node(plan[: depth + 1])
        recipe = self.recipe
        stem = record.stem(recipe.name, recipe.scale, self.overrides, name, self.seed)
        path = self.records / f"{stem}.json"
        if self.accelerator.is_main_process:
            self._write_record(path, name, plan)
        self.accelerator.wait_for_everyone()
        return path

    def node_folder(self, path: list[Node]) -> Path:
        """Returns the folder of the last node of a path.

        What the overrides do not touch is shared; a node that they change has a folder of its own.
        """
        if self.dense and len(path) == 1:
            return self.dense.node_folder(path)
        folder = self.folder
        for depth, node in enumerate(path, start=1):
            settings = self._settings(self.recipe, path[:depth])
            known = all(n.name in self.usual.phases for n in path[:depth])
            as_usual = [
                n.model_copy(update={"phase": self.usual.phases[n.name]})
                for n in path[:depth]
                if known
            ]
            changed = settings != self._settings(self.usual, as_usual)
            folder /= node.folder + (f"-{_digest(settings)}" if changed else "")
        return folder

    def _node(self, path: list[Node]) -> None:
        if self.dense and len(path) == 1:
            self.dense._node(path)
            return
        folder = self.node_folder(path)
        settings = self._settings(self.recipe, path)
        done = folder / "phase.json"
        if done.exists():
            _same_settings(json.loads(done.read_text())["settings"], settings, folder)
            return
        if not self.accelerator.is_main_process:
            _train_node(self, path, folder, settings)
            return
        with checkpoint.lock(folder):
            _train_node(self, path, folder, settings)

    def _settings(self, recipe: Recipe, path: list[Node]) -> dict[str, Any]:
        """Returns all that decides a node's result; a checkpoint of anything else is refused."""
        clips = {"clip_value": recipe.clip_value, "clip_norm": recipe.clip_norm}
        return {
            "task": recipe.task,
            "optimizer": recipe.optimizer.model_dump(mode="json"),
            **{name: clip for name, clip in clips.items() if clip is not None},
            "exclude": list(recipe.exclude),
            "momentum": recipe.momentum,
            "hand_on": recipe.hand_on,
            "path": [node.model_dump(mode="json") for node in path],
            "seed": self.seed,
            **({"dense_seed": self.dense.seed} if self.dense and len(path) > 1 else {}),
            "corpus": self.task.corpus["fingerprint"],
            "weights": self.task.corpus.get("weights"),
            "precision": self.options.precision,
            "channels_last": self.options.channels_last,
            "compile": self.options.compile,
            "processes": self.accelerator.num_processes,
        }

    def _write_record(self, path: Path, arm_name: str, plan: list[Node]) -> None:
        recipe, arm = self.recipe, self.recipe.arms[arm_name]
        phases, examples = [], {}
        for depth in range(len(plan)):
            folder = self.node_folder(plan[: depth + 1])
            phase = json.loads((folder / "phase.json").read_text())
            settings = phase.pop("settings")
            phases.append(phase)
            with np.load(folder / "examples.npz", allow_pickle=False) as arrays:
                prefix = "/".join(node.folder for node in plan[: depth + 1])
                examples.update({f"{prefix}/{key}": arrays[key] for key in arrays})
        parameters = phases[0].pop("parameters")
        for phase in phases[1:]:
            phase.pop("parameters")
        content = {
            "recipe": recipe.name,
            "title": recipe.title,
            "corpus": self.task.corpus,
            "table": recipe.table,
            "column": recipe.column,
            "scale": recipe.scale,
            "overrides": list(self.overrides),
            "arm": arm_name,
            "source": arm.source if recipe.scale == "full" and not self.overrides else "ours",
            "notes": [*recipe.notes, *([arm.note] if arm.note else [])],
            "seed": self.seed,
            "metric": self.task.metric,
            "lower_is_better": self.task.lower_is_better,
            "settings": settings,
            "parameters": parameters,
            "phases": phases,
            "final": phases[-1]["test"],
            "made": phases[-1]["made"],
        }
        record.write(path, content, examples)


def _train_node(run: Run, path: list[Node], folder: Path, settings: dict[str, Any]) -> None:
    """Trains the last node of a path: from its checkpoint, from its parent, or from the start."""
    node, accelerator = path[-1], run.accelerator
    accelerator.free_memory()  # it keeps every model it has prepared
    checkpoint.seed_all(run.seed, *(n.folder for n in path), accelerator.process_index)
    parts = _build(run, node)
    parent = _finished(run, path[:-1])
    state = checkpoint.load(folder)
    first_epoch = sum(math.ceil(n.phase.epochs) for n in path[:-1])
    progress = Progress()
    if state is None:
        start_stages = _enter(run, path, parts, parent)
    else:
        _same_settings(state["settings"], settings, folder)
        start_stages = state["stages"]
        parts.net.load_state_dict(state["model"])
        parts.optimizer.load_state_dict(state["optimizer"])
        parts.sparsifier.load_state_dict(state["sparsifier"])
        progress = Progress(**state["progress"])
        own = state["ranks"][accelerator.process_index]
        checkpoint.set_rng_state(own["rng"])
        progress.sums = {k: v.to(accelerator.device) for k, v in own["sums"].items()}
        progress.examples = own["examples"]

    if run.made not in progress.sessions:
        progress.sessions.append(run.made)
    last_save = time.monotonic()

    def save(**more: Any) -> None:
        nonlocal last_save
        skipped = gather_object([run.task.skipped])
        progress.skipped = sorted(
            {*progress.skipped, *(name for names in skipped for name in names)}
        )
        ranks = gather_object([_own_state(progress)])
        if accelerator.is_main_process:
            content = {
                "settings": settings,
                "model": parts.net.state_dict(),
                "assets": run.task.assets,
                "optimizer": parts.optimizer.state_dict(),
                "sparsifier": parts.sparsifier.state_dict(),
                "ranks": ranks,
                "progress": vars(progress),
                "stages": start_stages,
                **more,
            }
            checkpoint.save(folder, content)
        accelerator.wait_for_everyone()
        last_save = time.monotonic()

    hooks = Hooks(
        save=save,
        due=lambda: time.monotonic() - last_save >= run.checkpoint_every_s,
        stop=run.stop,
        step=run.reporter.step,
        epoch=run.reporter.epoch,
    )
    where = "/".join(n.folder for n in path)
    total = round(node.phase.epochs * run.task.steps_per_epoch)
    run.reporter.phase(where, node, total, progress.steps, run.task.unit, run.task.steps_per_epoch)
    keep_best = run.recipe.hand_on == "best_heldout"
    try:
        train_phase(
            node.phase,
            run.task,
            parts,
            progress,
            hooks,
            first_epoch=first_epoch,
            keep_best=keep_best,
        )
    except NotFinite as fault:
        kept = checkpoint.load(folder)
        good = f"of step {kept['progress']['steps']}" if kept else "is the phase before's"
        raise UserError(
            f"{folder}: the loss is not finite at step {fault.step} of phase {node.name} "
            f"(lr {node.phase.lr:g}); the last good checkpoint {good}; lower phases.{node.name}.lr "
            "or use --precision fp32"
        ) from None
    save()
    _finish(run, path, folder, settings, parts, progress, parent, start_stages, save)


def _own_state(progress: Progress) -> dict[str, Any]:
    """Returns what each process has of its own: generators, and sums over its shards."""
    sums = {name: value.cpu() for name, value in progress.sums.items()}
    return {"rng": checkpoint.rng_state(), "sums": sums, "examples": progress.examples}


def _build(run: Run, node: Node) -> Parts:
    accelerator, recipe = run.accelerator, run.recipe
    net = run.task.model().to(accelerator.device)
    if run.options.channels_last:
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(recipe.optimizer, net.parameters(), node.phase.lr)
    try:
        sparsifier = Sparsifier(
            net,
            optimizer,
            sparsity=node.phase.sparsity,
            exclude=recipe.exclude,
            momentum=recipe.momentum,
            scope=node.phase.scope,
        )
        for phase in recipe.phases.values():  # now, not after days of the dense phase
            groups(sparsifier.layers, phase.sparsity, phase.scope)
    except ValueError as error:
        raise UserError(f"{recipe.name}: {error}") from None
    model = accelerator.prepare_model(net)
    return Parts(
        accelerator,
        net,
        model,
        optimizer,
        sparsifier,
        channels_last=run.options.channels_last,
        clip_value=recipe.clip_value,
        clip_norm=recipe.clip_norm,
    )


def _finished(run: Run, path: list[Node]) -> dict[str, Any] | None:
    """Returns the checkpoint of a path's last node, which is finished; None for no path."""
    if not path:
        return None
    folder = run.node_folder(path)
    state = checkpoint.load(folder)
    if state is None:
        raise UserError(
            f"{folder}: the phase is marked finished but its checkpoint is gone; "
            f"remove {folder / 'phase.json'} to train it again"
        )
    return state


def _enter(
    run: Run, path: list[Node], parts: Parts, parent: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Takes over the parent's weights and enters the phase; returns the stages seen on the way."""
    if parent is None:
        return []
    node, sparsifier = path[-1], parts.sparsifier
    parts.net.load_state_dict(parent["model"])
    parts.optimizer.load_state_dict(parent["optimizer"])
    sparsifier.load_state_dict(parent["sparsifier"])
    if run.recipe.momentum == "reset":  # in every arm: a control gets what dsd gets
        parts.optimizer.state.clear()
    if node.mask == "kept":
        return []
    was_sparse = sparsifier.active
    if node.mask != "none":
        seed = checkpoint.seed_of("mask", run.seed, len(path))
        generator = torch.Generator().manual_seed(seed)
        gradually = node.phase.gradually(run.task.steps_per_epoch)
        sparsifier.sparsify(criterion=node.mask, generator=generator, gradually=gradually)
        name = "pruned"
    elif was_sparse:
        sparsifier.densify()
        name = "zeros restored"
    else:
        return []
    return [_stage(parts, name, "start", parent["half_widths"])]


def _stage(parts: Parts, name: str, moment: str, widths: dict[str, float]) -> dict[str, Any]:
    return {"stage": name, "moment": moment, "layers": statistics.stage(parts.net, widths)}


def _finish(
    run: Run,
    path: list[Node],
    folder: Path,
    settings: dict[str, Any],
    parts: Parts,
    progress: Progress,
    parent: dict[str, Any] | None,
    start_stages: list[dict[str, Any]],
    save: Callable[..., None],
) -> None:
    """Scores the phase's end, describes its weights, and marks the phase finished."""
    node, sparsifier, task = path[-1], parts.sparsifier, run.task
    handed_on = progress.steps / task.steps_per_epoch
    if progress.best is not None and "model" in progress.best:
        parts.net.load_state_dict(progress.best["model"])
        parts.optimizer.load_state_dict(progress.best["optimizer"])
        progress.best = {"value": progress.best["value"], "epoch": progress.best["epoch"]}
    if progress.best is not None:
        handed_on = progress.best["epoch"]
    tests, examples = {}, {}
    for split in task.tests:
        figures, results = parts.score(task, split)
        tests[split] = record.finite(figures, f"{folder}: {split}")
        examples.update({f"{split}/{name}": values for name, values in results.items()})
        run.reporter.note(f"{node.name}: {split} " + _figures(figures))
    layers = sparsifier.layers
    widths = parent["half_widths"] if parent else statistics.half_widths(parts.net, layers)
    name = "dense" if parent is None else "trained"
    if sparsifier.active:
        name = "sparse-trained"
    elif start_stages:
        name = "re-dense"
    save(half_widths=widths)
    came_back: dict[str, Any] = {}
    if parent and parent["sparsifier"]["masks"] and not sparsifier.active:
        before_pruning = _finished(run, path[:-2])
        assert before_pruning is not None  # a recipe's first phase is dense
        masks = parent["sparsifier"]["masks"]
        came_back = statistics.reborn(parts.net, masks, before_pruning["model"])
    phase = {
        "name": node.name,
        "folder": node.folder,
        "mask": node.mask,
        "sparsity": held_sparsity(path, sparsifier.report()),
        "epochs": node.phase.epochs,
        "steps": progress.steps,
        "lr": node.phase.lr,
        "decay": node.phase.decay.model_dump(mode="json"),
        "log": progress.epochs,
        "handed_on_epoch": handed_on,
        "layers": sparsifier.report(),
        "stages": [*start_stages, _stage(parts, name, "end", widths)],
        "sign_changes": statistics.changes(parts.net, parent["model"], layers) if parent else {},
        "returned": came_back,
        "test": tests,
        "skipped": progress.skipped,
        "parameters": sum(p.numel() for p in parts.net.parameters()),
        "made": {
            **progress.sessions[-1],
            "train_seconds": round(progress.seconds, 1),
            "earlier_sessions": progress.sessions[:-1],
        },
        "settings": settings,
    }
    if run.accelerator.is_main_process:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **examples)
        checkpoint.write_atomically(folder / "examples.npz", buffer.getvalue())
        text = json.dumps(phase, allow_nan=False)
        checkpoint.write_atomically(folder / "phase.json", text.encode())
    run.accelerator.wait_for_everyone()


def _figures(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in figures.items())


def _same_settings(old: dict[str, Any], new: dict[str, Any], folder: Path) -> None:
    """Raises UserError that names the first setting in which a checkpoint differs from the run."""
    fault = _difference(json.loads(json.dumps(old)), json.loads(json.dumps(new)), "")
    if fault:
        raise UserError(
            f"{folder}: made with other settings ({fault}); move the folder away to train again, "
            "or give --runs another folder"
        )


def _digest(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def _difference(old: Any, new: Any, key: str) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            fault = _difference(old.get(name), new.get(name), f"{key}.{name}".lstrip("."))
            if fault:
                return fault
        return ""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return next((f for i, (a, b) in pairs if (f := _difference(a, b, f"{key}.{i}"))), "")
    return "" if old == new else f"{key}: {old!r} then, {new!r} now"
