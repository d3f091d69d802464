"""A house of made-up records: recipes, the paper's figures, and runs whose errors are given."""

import csv
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from analysis import results
from analysis.grid import Grid
from analysis.groups import Group
from analysis.records import Run
from analysis.tables import files
from dsd.runs import phase_file, record
from dsd.runs.phase_file import PhaseFile
from dsd.suite.folder import Suite

ROOT = Path(__file__).parents[2]
MADE = {"date": "2020-01-02", "device": "a device", "precision": "fp32", "revision": "1"}

RECIPE = """\
title: {title}
{row}
exclude: [conv1]
optimizer: {{name: sgd, momentum: 0.9}}
task: {{width: 8}}
phases:
  dense: {{epochs: 3, lr: 0.1}}
  sparse: {{epochs: 1.25, lr: 0.01, sparsity: 0.3}}
  redense: {{epochs: 1, lr: 0.001}}
  llr: {{epochs: 2, lr: 1.0e-5}}
arms:
  baseline: {{source: paper, phases: [dense]}}
  dsd: {{source: paper, phases: [dense, sparse, redense]}}
  dsdsd: {{source: ours, phases: [dense, sparse, redense, sparse, redense]}}
  llr: {{source: paper, phases: [dense, llr], note: "llr: a note of the arm"}}
  finetune: {{source: ours, phases: [dense, sparse, redense], mask: none}}
  random: {{source: ours, phases: [dense, sparse, redense], mask: random}}
notes: ["a note of the recipe"]
scales:
  short: {{phases: {{dense: {{epochs: 1}}}}, notes: ["a shorter schedule"]}}
  mini: {{}}
"""


@dataclass
class House:
    """A suite in a temporary folder whose records hold what a test says."""

    suite: Suite

    @property
    def runs(self) -> Path:
        return self.suite.root / "results" / "runs"

    @property
    def results(self) -> results.Results:
        return results.read(self.suite)

    @property
    def group(self) -> Group:
        """The only group of the records."""
        (found,) = self.results.groups
        return found

    def page(self, name: str) -> files.Page:
        return next(page for page in files.pages(self.results) if page.name == name)

    def csv(self, page: str, *keys: str) -> dict[Any, dict[str, str]]:
        """Returns the rows of a page's CSV by what they have in some columns."""
        (text,) = (
            text for path, text in self.page(page).files(Path()).items() if path.suffix == ".csv"
        )
        rows = list(csv.DictReader(io.StringIO(text)))
        found = {tuple(row[key] for key in keys) if keys[1:] else row[keys[0]]: row for row in rows}
        assert len(found) == len(rows)
        return found

    def written(self) -> dict[str, str]:
        """Returns what each generated file should hold, by its name."""
        found = self.results
        return {path.name: text for path, text in files.files(found, files.pages(found)).items()}

    def write(self) -> list[Path]:
        found = self.results
        return files.write(files.files(found, files.pages(found)))

    def check(self) -> None:
        found = self.results
        files.check(self.suite, files.files(found, files.pages(found)))

    def three_seeds(
        self,
        run: Callable[..., Path] | None = None,
        *middle: float,
        first: float = 30.0,
        sign: int = -1,
        **conditions: Any,
    ) -> None:
        """Writes dsd over baseline: 2, 2.5, 3, and over finetune: -1, 0, 1; `sign`: what is better.

        The baseline has 30, 31, 32; `middle` stands between the dense phase and the last.
        """
        run = run or self.run
        for seed in range(3):
            baseline = first + seed
            dsd = baseline + sign * (2 + seed / 2)
            run("baseline", seed, baseline, **conditions)
            run("dsd", seed, baseline, *(middle or (33.0,)), dsd, **conditions)
            finetune = dsd + sign * (1 - seed)
            run("finetune", seed, baseline, *(middle or (33.0,)), finetune, **conditions)

    def run(
        self,
        arm: str,
        seed: int,
        *errors: float,
        recipe: str = "images-resnet18",
        scale: str = "full",
        overrides: tuple[str, ...] = (),
        notes: Sequence[str] = (),
        fingerprint: str = "1",
        metric: str = "top1_error_pct",
        tests: Sequence[str] = ("test",),
        name: str | None = None,
        logs: Sequence[list[dict[str, Any]]] = (),
        stages: Sequence[list[dict[str, Any]]] = (),
        scored: Sequence[dict[str, dict[str, float]]] = (),
        examples: Mapping[str, np.ndarray] = MappingProxyType({}),
        made: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Path:
        """Writes a record; `errors` are the test figures after its last phases.

        `scored` gives each phase's test figures whole, `examples` what the sidecar holds.
        """
        of = self.suite.recipe(recipe, scale, overrides)
        nodes = of.plan(arm)
        figures = [99.0] * (len(nodes) - len(errors)) + list(errors)
        scored = scored or [
            {split: {"loss": 1.0, metric: figure + j} for j, split in enumerate(tests)}
            for figure in figures
        ]
        layers = stages[0][0]["layers"] if stages else ["a.weight"]
        phases = [
            {
                "name": node.name,
                "folder": node.folder,
                "mask": node.mask,
                "sparsity": node.phase.sparsity,
                "epochs": node.phase.epochs,
                "steps": 10,
                "lr": node.phase.lr,
                "decay": {},
                "log": logs[i] if logs else [],
                "carried_over_epoch": node.phase.epochs,
                "layers": {layer: {"weights": 8, "kept": 8} for layer in layers},
                "stages": stages[i] if stages else [],
                "sign_changes": {},
                "reborn": {},
                "test": scored[i],
                "skipped": [],
                "provenance": made or MADE,
            }
            for i, node in enumerate(nodes)
        ]
        content: dict[str, Any] = {
            "recipe": recipe,
            "title": of.title,
            "corpus": {"name": "images", "fingerprint": fingerprint, "notes": list(notes)},
            "table": of.table,
            "column": of.column,
            "scale": scale,
            "overrides": list(overrides),
            "arm": arm,
            "source": of.arms[arm].source,
            "notes": [*of.notes, *([of.arms[arm].note] if of.arms[arm].note else [])],
            "seed": seed,
            "metric": metric,
            "lower_is_better": True,
            "settings": {
                "task": of.task,
                "optimizer": of.optimizer.model_dump(mode="json"),
                "exclude": list(of.exclude),
                "momentum": of.momentum,
                "carry_over": of.carry_over,
                "path": [node.model_dump(mode="json") for node in nodes],
                "seed": seed,
                "dense_seed": of.dense_seed,
                "corpus": fingerprint,
            },
            "parameters": 8,
            "phases": phases,
        }
        stem = name or record.stem(recipe, scale, overrides, arm, seed)
        path = self.runs / f"{stem}.json"
        write(path, {**content, **changes}, examples)
        return path


def write(path: Path, content: Mapping[str, Any], examples: Mapping[str, np.ndarray]) -> None:
    """Writes a record and its phases; their stages have their histograms in them."""
    fields, phases = dict(content), []
    settings, parameters = fields.pop("settings"), fields.pop("parameters")
    folders: list[str] = []
    with TemporaryDirectory() as folder:
        for depth, phase in enumerate(fields.pop("phases"), start=1):
            folders.append(phase["folder"])
            where = "/".join(folders)
            layers = [stage["layers"] for stage in phase["stages"]]
            stages = [{key: one[key] for key in ("stage", "moment")} for one in phase["stages"]]
            file = PhaseFile.model_validate(
                {
                    "settings": {**settings, "path": settings["path"][:depth]},
                    "parameters": parameters,
                    "record": {**phase, "stages": stages},
                    "arrays": "",
                }
            )
            own = {
                key.removeprefix(f"{where}/"): values
                for key, values in examples.items()
                if key.startswith(f"{where}/") and key.count("/") == where.count("/") + 2
            }
            source = Path(folder) / f"{depth}.json"
            phase_file.write(source, file, {**own, **phase_file.pack_histograms(layers)})
            phases.append((f"{fields['recipe']}/seed{fields['seed']}/{where}", source))
        record.write(path, fields, phases)


def contents(path: Path) -> dict[str, Any]:
    """Returns a record as `write` takes it."""
    found = record.read(path).model_dump(mode="json", exclude={"links"})
    stages = iter(record.read_stages(path))
    for phase in found["phases"]:
        for stage in phase["stages"]:
            stage["layers"] = next(stages)[1]
    return found


def read_run(path: Path) -> Run:
    """Returns a record as the analysis takes it."""
    return Run(path, record.read(path))


def lines(grid: Grid) -> dict[str, dict[str, str]]:
    """Returns a table's lines by their first cell: what is under each header."""
    found = {row[0]: dict(zip(grid.header, row, strict=True)) for row in grid.rows}
    assert len(found) == len(grid.rows)
    return found


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Two recipes with a row in the paper, one without; no record yet."""
    folder = tmp_path / "recipes" / "images"
    folder.mkdir(parents=True)
    for name, title, row in (
        ("resnet18", "ResNet-18", "table: table4_resnet\ncolumn: resnet18"),
        ("resnet20", "ResNet-20", "table: appendix_cifar10_resnet20"),
        ("own", "Our own", ""),
    ):
        (folder / f"{name}.yaml").write_text(RECIPE.format(title=title, row=row))
    shutil.copytree(ROOT / "results" / "paper", tmp_path / "results" / "paper")
    return House(Suite(tmp_path))


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """Changes fields of a record on the disk, as a faulty program might."""

    def change(path: Path, **changes: Any) -> None:
        write(path, {**contents(path), **changes}, record.read_examples(path))

    return change


def scored(figure: float) -> dict[str, dict[str, float]]:
    """Returns a phase's test figures: BLEU-n is figure - 10 (n - 1), one more at beam 20."""
    tests = {"test": {"loss": 30.0, "perplexity": figure / 4}}
    for beam, more in ((1, 0.0), (20, 1.0)):
        bleu = {f"bleu{n}": figure - 10 * (n - 1) + more for n in (1, 2, 3, 4)}
        usual = {f"standard_{metric}": value / 2 for metric, value in bleu.items()}
        tests[f"test_beam{beam}"] = {**bleu, **usual, "length_ratio": 0.9, "mean_length": 8.5}
    return tests


@pytest.fixture
def captions(house):
    """The house with a captioning recipe; returns what writes a record of it."""
    recipe = house.suite.recipes["images-resnet18"].read_text()
    path = house.suite.root / "recipes" / "flickr8k" / "neuraltalk.yaml"
    path.parent.mkdir()
    path.write_text(
        recipe.replace("table: table4_resnet\ncolumn: resnet18", "table: table5_neuraltalk")
        .replace("ResNet-18", "NeuralTalk")
        .replace("width: 8", "features: vgg16")
    )

    def run(arm: str, seed: int, *figures: float, **conditions) -> Path:
        nodes = house.suite.recipe("flickr8k-neuraltalk").plan(arm)
        figures = (50.0,) * (len(nodes) - len(figures)) + figures
        return house.run(
            arm,
            seed,
            recipe="flickr8k-neuraltalk",
            metric="bleu4",
            lower_is_better=False,
            scored=[scored(figure) for figure in figures],
            **conditions,
        )

    return run


SPEECH = """\
title: {title}
{row}
optimizer: {{name: sgd, momentum: 0.9}}
task: {{network: {network}}}
phases:
  dense: {{epochs: 50, lr: 8.0e-4}}
  dense_on: {{epochs: 100, lr: 8.0e-4}}
  sparse1: {{epochs: 50, lr: 5.0e-4, sparsity: 0.5}}
  redense1: {{epochs: 50, lr: 3.0e-4}}
  sparse2: {{epochs: 50, lr: 1.0e-4, sparsity: 0.25}}
  redense2: {{epochs: 50, lr: 3.0e-5}}
  llr: {{epochs: 200, lr: 3.0e-5}}
arms:
  baseline: {{source: ours, phases: [dense, dense_on]}}
  dsd: {{source: ours, phases: &path [dense, sparse1, redense1, sparse2, redense2]}}
  llr: {{source: ours, phases: [dense, llr]}}
  finetune: {{source: ours, phases: *path, mask: none}}
  random: {{source: ours, phases: *path, mask: random}}
scales:
  short: {{}}
  mini: {{}}
"""


@pytest.fixture
def speech(house):
    """The house with speech recipes; returns what writes a record of one.

    The figures are the WER after the last phases. The CER is a third of it; eval93 has 5 more.
    """
    for corpus, network, title, row in (
        ("wsj", "deepspeech", "DeepSpeech on WSJ", "table: table7_deepspeech"),
        ("wsj", "deepspeech2", "DeepSpeech 2 on WSJ", "table: table9_deepspeech2"),
        ("an4", "deepspeech", "DeepSpeech on AN4", ""),
        ("librispeech", "deepspeech2", "DeepSpeech 2 on LibriSpeech", ""),
    ):
        path = house.suite.root / "recipes" / corpus / f"{network}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(SPEECH.format(title=title, network=network, row=row))

    def run(arm, seed, *wers: float, recipe="wsj-deepspeech", tests=None, **conditions) -> Path:
        tests = tests or (("eval92", "eval93") if recipe.startswith("wsj") else ("test",))
        nodes = house.suite.recipe(recipe).plan(arm)
        if arm == "baseline" and len(wers) == 1:
            wers = wers * 2
        wers = (60.0,) * (len(nodes) - len(wers)) + wers
        scored = [
            {
                split: {"loss": 9.0, "wer_pct": wer + 5 * j, "cer_pct": wer / 3}
                for j, split in enumerate(tests)
            }
            for wer in wers
        ]
        return house.run(
            arm, seed, recipe=recipe, metric="wer_pct", scored=scored, tests=tests, **conditions
        )

    return run


@pytest.fixture
def image(house):
    """Returns what writes a record of ResNet-18; `errors` are top-1, and twice the top-5 error."""

    def run(arm: str, seed: int, *errors: float, **conditions) -> Path:
        tests = [{"test": {"top1_error_pct": e, "top5_error_pct": e / 2}} for e in errors]
        return house.run(arm, seed, scored=tests, **conditions)

    return run
