"""`dsd export`: a trained network for others, with a model card and its inference cost."""

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from pydantic import BaseModel
from safetensors.torch import save

from dsd.errors import UserError
from dsd.export.inference_cost import compare
from dsd.export.model_card import card
from dsd.runs import checkpoint
from dsd.runs.files import write_atomically
from dsd.runs.finished import Trained, find
from dsd.runs.settings import digest
from dsd.runs.tree import address
from dsd.suite.finite import finite_outputs, not_finite
from dsd.suite.folder import Suite
from dsd.suite.recipe import validate
from dsd.suite.task import Plain

FILES = ("model.safetensors", "config.json", "inference_cost.json", "README.md")


def export(suite: Suite, run: Path, runs: Path, to: Path | None) -> tuple[Path, dict[str, Any]]:
    """Writes a trained phase's network to a folder; returns the folder and its inference cost.

    run: a phase's folder or a record, whose folders are in `runs`. to: by default
    exports/<label>.<arm>.seed<N>. The inference cost is compared with that of the dense phase, see
    inference_cost.compare. Raises UserError when there is no finished phase, its network cannot be
    built, or the folder holds other files or another run's export.
    """
    trained = find(suite, run, runs)
    folder = to or suite.root / "exports" / trained.name
    _check_free(folder)
    corpus = suite.recipes[trained.recipe].parent.name
    module = suite.task_module(corpus)
    plain = network(module, trained.folder, trained.state)
    baseline = network(
        module, trained.dense_folder, checkpoint.load_named(trained.dense_folder)
    ).network
    _check_finite(trained.folder, plain)
    cost = compare(plain.network, baseline, plain.example)
    weights = _safetensors(trained.state["model"])
    sha256 = hashlib.sha256(weights).hexdigest()
    title, notes = _title_and_notes(suite, trained)
    config = _config(trained, plain, title, corpus, sha256, module.Settings)
    _check_same(folder, config)
    readme = card(
        trained,
        plain,
        title=title,
        corpus=corpus,
        terms=getattr(module, "TERMS", f"{corpus}: licence unknown."),
        notes=notes,
        cost=cost,
        sha256=sha256,
    )
    folder.mkdir(parents=True, exist_ok=True)
    contents = (weights, _json(config), _json(cost), readme.encode())
    for name, data in zip(FILES, contents, strict=True):
        write_atomically(folder / name, data)
    return folder, cost


def network(module: ModuleType, folder: Path, state: dict[str, Any]) -> Plain:
    """Returns a checkpoint's network with its weights, in eval mode, from the corpus's task module.

    Raises UserError when the task has no `plain`, or builds another network.
    """
    if not hasattr(module, "plain"):
        raise UserError(f"{module.__file__}: has no plain(...), which dsd export needs; write one")
    settings = validate(module.Settings, state["settings"]["task"], f"{folder}: task")
    try:
        plain: Plain = module.plain(settings, state.get("assets", {}), state["model"])
        plain.network.load_state_dict(state["model"])
    except (KeyError, RuntimeError) as error:
        why = str(error).splitlines()[-1].strip()
        raise UserError(
            f"{folder}: its checkpoint does not fit the network of this revision ({why}); check "
            "out the revision that is in its phase.json"
        ) from None
    plain.network.eval()
    return plain


@torch.inference_mode()
def _check_finite(folder: Path, plain: Plain) -> None:
    """Raises UserError for weights, or scores of the example, that are NaN or infinite."""
    for name, tensor in plain.network.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(f"{folder}: {name} is not finite; train it again at a lower rate")
    with finite_outputs(plain.network) as unsound:
        plain.network(*plain.example)
    if any(unsound):
        raise not_finite(str(folder))


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a folder with --to")
    others = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if others and others != set(FILES):
        raise UserError(f"{folder}: holds other files than an export; name another with --to")


def _check_same(folder: Path, config: dict[str, Any]) -> None:
    """Raises UserError where the folder holds another run's export."""
    known = folder / FILES[1]
    try:
        held = json.loads(known.read_text(encoding="utf-8")) if known.exists() else config
    except ValueError:
        raise UserError(f"{known}: is no JSON; name another folder with --to") from None
    names = ("recipe", "scale", "corpus", "path", "seed", "settings")
    if not isinstance(held, dict) or any(held.get(name) != config[name] for name in names):
        raise UserError(
            f"{folder}: holds the export of another run, or of an earlier version; name another "
            "folder with --to"
        )


def _safetensors(state: dict[str, torch.Tensor]) -> bytes:
    # Tensors that share memory are refused, so each gets its own.
    own = {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
    return save(own, {"format": "pt"})


def _title_and_notes(suite: Suite, trained: Trained) -> tuple[str, list[str]]:
    """Returns the title, and the notes that belong to the results."""
    if trained.record:
        corpus_notes = trained.record.corpus.get("notes", [])
        return trained.record.title, [*corpus_notes, *trained.record.notes]
    recipe = suite.recipe(trained.recipe)
    return recipe.title, list(recipe.notes)


def _config(
    trained: Trained, plain: Plain, title: str, corpus: str, sha256: str, task: type[BaseModel]
) -> dict[str, Any]:
    """Returns what the network needs besides its weights, and which run it comes from.

    task: the model of the task's settings.
    """
    return {
        "title": title,
        "recipe": trained.recipe,
        "scale": trained.scale,
        "corpus": corpus,
        "arm": trained.record.arm if trained.record else None,
        "path": address(trained.path),
        "seed": trained.settings.seed,
        "load": plain.load,
        "task": trained.settings.task,
        "settings": digest(trained.settings, task),
        "assets": trained.state.get("assets", {}),
        "weights": {"file": FILES[0], "sha256": sha256},
    }


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
