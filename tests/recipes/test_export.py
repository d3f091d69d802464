"""Networks of every kind leave as plain files, load by the card's own lines, and answer alike."""

import json
import re
from pathlib import Path

import pytest
import torch

from dsd.export import inference_cost
from dsd.export.export import export
from dsd.runs import checkpoint, phase_file
from dsd.runs.phase_file import PhaseFile
from dsd.suite.folder import Suite
from dsd.suite.recipe import validate
from models import build
from models.weights import load_weights

ROOT = Path(__file__).parents[2]
SUITE = Suite(ROOT)
CLASSES = {"classes": ["one", "two", "three"]}
IMAGES = {"preprocessing": "fb_resnet", "resize": 72, "crop": 64, "batch_size": 8}
CAPTIONS = {"features": "efficientnet_lite0", "encoding": 6, "hidden": 5, "batch_size": 8}
KINDS = {
    # recipe: (task, assets, network, its options)
    "imagenette-resnet18": (IMAGES | {"network": "resnet18"}, CLASSES, "resnet18", {}),
    "imagenette-squeezenet": (
        IMAGES | {"network": "squeezenet1_1", "weights": "torchvision:IMAGENET1K_V1"},
        CLASSES,
        "squeezenet1_1",
        {},
    ),
    "cifar10-resnet20": (
        {"network": "resnet20", "preprocessing": "cifar", "batch_size": 8},
        CLASSES,
        "resnet20",
        {},
    ),
    "imagenet-googlenet": (IMAGES | {"network": "googlenet"}, CLASSES, "googlenet", {}),
    "an4-deepspeech": (
        {"network": "deepspeech", "hidden": 8, "dropout": 0.1, "batch_size": 2},
        {"alphabet": " 'abcdefghijklmnopqrstuvwxyz", "task": {}},
        "deepspeech",
        {"num_classes": 29, "hidden": 8},
    ),
    "wsj-deepspeech2": (
        {"network": "deepspeech2", "hidden": 8, "batch_size": 2},
        {"alphabet": " 'abcdefghijklmnopqrstuvwxyz", "task": {}},
        "deepspeech2",
        {"num_classes": 29, "hidden": 8},
    ),
    "flickr8k-neuraltalk": (
        CAPTIONS,
        {"vocabulary": [".", "a", "dog"], "features": "efficientnet_lite0"},
        "neuraltalk",
        {"num_classes": 3, "features": 7, "encoding": 6, "hidden": 5},
    ),
}


@pytest.fixture(autouse=True)
def one_round(monkeypatch):
    """Times each network once."""
    for name in ("ROUNDS", "FEWEST"):
        monkeypatch.setattr(inference_cost, name, 1)
    monkeypatch.setattr(inference_cost, "LEAST", 0.0)


def trained(root: Path, recipe: str) -> Path:
    """Writes a dense and a sparse phase with drawn weights as `dsd run` does; returns the last."""
    task, assets, network, options = KINDS[recipe]
    if "classes" in assets:
        options = {"num_classes": len(assets["classes"])}
    folder, path = root / recipe / "seed3", []
    for name in ("dense", "sparse"):
        folder /= name
        folder.mkdir(parents=True)
        phase = {"epochs": 1.0, "lr": 0.1, "sparsity": 0.0}
        path = [*path, {"name": name, "folder": name, "phase": phase, "mask": "none"}]
        settings = {
            "task": task,
            "optimizer": {"name": "sgd"},
            "path": path,
            "seed": 3,
            "corpus": "",
        }
        torch.manual_seed(len(path))
        net = build(network, **options)
        for value in net.state_dict().values():  # running means and variances too
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) / 10)
        state = {"settings": settings, "model": net.state_dict(), "assets": assets}
        checkpoint.save(folder, state)
        record = {key: {} for key in ("layers", "sign_changes", "reborn", "provenance", "decay")}
        record |= {key: [] for key in ("log", "stages", "skipped")}
        record |= {"name": name, "folder": name, "mask": "none", "sparsity": 0.0, "epochs": 1.0}
        record |= {
            "steps": 1,
            "lr": 0.1,
            "carried_over_epoch": 1.0,
            "test": {"test": {"error": 1.0}},
        }
        phase = {"settings": settings, "parameters": 1, "record": record, "arrays": ""}
        phase_file.write(folder / "phase.json", PhaseFile.model_validate(phase), {})
    return folder


def outputs(net: torch.nn.Module, recipe: str) -> list[torch.Tensor]:
    """Returns the tensors that the network answers to its hook's example with."""
    module = SUITE.task_module(SUITE.recipes[recipe].parent.name)
    task, assets, _, _ = KINDS[recipe]
    plain = module.plain(validate(module.Settings, task, recipe), assets, net.state_dict())
    with torch.inference_mode():
        found = net.eval()(*plain.example)
    return [part for part in (found if isinstance(found, tuple) else (found,)) if part is not None]


@pytest.mark.parametrize("recipe", KINDS)
def test_the_exported_network_answers_as_the_checkpoints(tmp_path, monkeypatch, recipe):
    folder = trained(tmp_path, recipe)
    out, compared = export(SUITE, folder, tmp_path, tmp_path / "out")
    assert compared["differences"] == []
    assert compared["network"]["flops"] > 0
    card = (out / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    monkeypatch.chdir(out)
    names: dict = {}
    exec(code, names)
    _, _, network, options = KINDS[recipe]
    if network not in ("deepspeech", "deepspeech2", "neuraltalk"):
        options = {"num_classes": 3}
    expected = build(network, **options)
    expected.load_state_dict(checkpoint.load(folder)["model"])
    assert not names["net"].training
    ours, theirs = outputs(names["net"], recipe), outputs(expected, recipe)
    assert all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
        for a, b in zip(ours, theirs, strict=True)
    )
    config = json.loads((out / "config.json").read_text())
    assert config["assets"] == KINDS[recipe][1]
    assert config["task"] == KINDS[recipe][0]
    licences = card.partition("## Data and licences")[2].partition("##")[0]
    assert "licence unknown" in licences or "https://" in licences


@pytest.mark.parametrize(
    ("recipe", "needed"),
    [
        ("imagenette-resnet18", {"safetensors", "torchvision"}),
        ("cifar10-resnet20", {"safetensors", "models"}),
    ],
)
def test_torchvisions_networks_need_nothing_of_the_suite(tmp_path, recipe, needed):
    out, _ = export(SUITE, trained(tmp_path, recipe), tmp_path, tmp_path / "out")
    code = re.search(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)[1]
    names = re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE)
    assert set(names) == needed


def test_the_cost_is_of_inference_without_googlenets_auxiliary_heads(tmp_path):
    _, compared = export(SUITE, trained(tmp_path, "imagenet-googlenet"), tmp_path, tmp_path / "out")
    net = build("googlenet", num_classes=3, aux_heads=False).eval()
    assert compared["network"]["flops"] == inference_cost.flops(net, (torch.zeros(1, 3, 64, 64),))


def test_starting_weights_bring_their_terms(tmp_path):
    out, _ = export(SUITE, trained(tmp_path, "imagenette-squeezenet"), tmp_path, tmp_path / "out")
    licences = (out / "README.md").read_text().partition("## Data and licences")[2]
    assert "Starting weights, torchvision:IMAGENET1K\\_V1: may have terms" in licences
    assert "issues/23" in licences


def test_dsd_eval_can_read_an_exported_file(tmp_path):
    folder = trained(tmp_path, "cifar10-resnet20")
    out, _ = export(SUITE, folder, tmp_path, tmp_path / "out")
    net = build("resnet20", num_classes=3)
    load_weights(net, out / "model.safetensors", network="resnet20")
    state = checkpoint.load(folder)["model"]
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
