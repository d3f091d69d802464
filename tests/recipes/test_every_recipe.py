"""Every recipe of the suite is tested by being there: its file, plans, a step, a score, a run."""

import functools
import json
import math
import warnings
from itertools import islice
from pathlib import Path

import pytest
import torch
import yaml
from accelerate import Accelerator

from analysis.figures.layers import network
from dsd import Sparsifier
from dsd.pruning.targets import prunable
from dsd.runs.record import read, read_examples
from dsd.suite.folder import Suite
from dsd.suite.recipe import Recipe, validate
from dsd.suite.task import ALONE, Shard, Task
from dsd.training.evaluate import evaluate_split
from dsd.training.optimizers import make_optimizer
from models import build

SUITE = Suite(Path(__file__).parents[2])
ARMS = ("baseline", "dsd", "finetune", "random", "llr", "sparse")
CONTROLS = {"finetune": "none", "random": "random", "sparse": "magnitude"}  # arm: its mask
LEARNS = {  # recipe: the metric of its tests and what the whole miniature run comes below
    "wsj-deepspeech": ("wer_pct", 60),
    "wsj-deepspeech2": ("wer_pct", 60),
    "librispeech-deepspeech2": ("wer_pct", 60),
}

every_recipe = pytest.mark.parametrize("name", SUITE.recipes)


def at_every_scale(name: str) -> list[Recipe]:
    scales = yaml.safe_load(SUITE.recipes[name].read_text()).get("scales") or {}
    return [SUITE.recipe(name, scale) for scale in ("full", *scales)]


@every_recipe
def test_it_loads_at_every_scale_and_says_what_it_is(name):
    recipes = at_every_scale(name)
    assert "mini" in [recipe.scale for recipe in recipes]
    module = SUITE.task_module(recipes[0].corpus)
    for recipe in recipes:
        assert recipe.title
        assert recipe.notes
        assert set(recipe.arms) >= set(ARMS)
        validate(module.Settings, recipe.task, f"{name}, scale {recipe.scale}")


def test_titles_differ():
    titles = [SUITE.recipe(name).title for name in SUITE.recipes]
    assert len(set(titles)) == len(titles)


@every_recipe
def test_its_plans_are_those_of_the_arms(name):
    for recipe in at_every_scale(name):
        plans = {arm: recipe.plan(arm) for arm in recipe.arms}
        assert len({plan[0] for plan in plans.values()}) == 1, "all share one dense phase"
        used = {node.name for plan in plans.values() for node in plan}
        assert used == set(recipe.phases) if recipe.scale == "full" else used <= set(recipe.phases)
        for arm in ("baseline", "llr"):
            assert all(node.phase.sparsity == 0 for node in plans[arm])
        assert plans["llr"][-1].phase.lr < plans["llr"][0].phase.lr
        dsd = plans["dsd"]
        assert [node.mask for node in dsd if node.phase.sparsity] == [
            "magnitude" for node in dsd if node.phase.sparsity
        ]
        assert any(node.phase.sparsity for node in dsd)
        assert dsd[-1].phase.sparsity == 0
        for arm, mask in CONTROLS.items():
            assert recipe.arms[arm].phases == recipe.arms["dsd"].phases
            first = next(node for node in plans[arm] if node.phase.sparsity)
            assert (first.mask, recipe.arms[arm].keep_mask) == (mask, arm == "sparse")


@every_recipe
def test_the_pruned_layers_are_those_of_finished_runs(name):
    """Runs say which layers they prune; a recipe that named others would train them all again."""
    networks = json.loads((Path(__file__).parent / "pruned_layers.json").read_text())
    for recipe in at_every_scale(name):
        its = network(name, recipe.task)
        with torch.device("meta"):
            net = build(its)
        optimizer = make_optimizer(recipe.optimizer, net.parameters(), lr=0.1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # all is decided: included or excluded
            s = Sparsifier(net, optimizer, 0.5, recipe.exclude, include=recipe.include)
        assert s.layers == networks[its]


@functools.lru_cache(maxsize=1)
def miniature_task(name: str, miniatures: Path) -> Task:
    recipe = SUITE.recipe(name, "mini")
    module, folder = SUITE.task_module(recipe.corpus), miniatures / recipe.corpus
    module.miniature(folder)
    return module.task(validate(module.Settings, recipe.task, name), folder, seed=0, workers=0)


@every_recipe
def test_the_miniature_trains_a_step_and_is_scored(name, miniatures, monkeypatch):
    recipe, task = SUITE.recipe(name, "mini"), miniature_task(name, miniatures)
    assert any("miniature" in note for note in task.corpus["notes"])
    assert task.corpus["fingerprint"]
    net = task.model()
    optimizer = make_optimizer(recipe.optimizer, net.parameters(), recipe.phases["dense"].lr)
    for other in at_every_scale(name):  # raises ValueError where an entry names nothing
        assert prunable(net, optimizer, other.exclude, other.include)
    first = next(net.parameters())
    before = first.detach().clone()

    loss = task.loss(net, next(task.batches(0, 0, ALONE)))
    assert loss.examples == recipe.task["batch_size"]
    assert loss.mean.isfinite()
    loss.mean.backward()
    optimizer.step()
    assert not torch.equal(before, first)

    whole = task.eval_batches
    monkeypatch.setattr(task, "eval_batches", lambda *given: islice(whole(*given), 1))  # for speed
    metrics, examples = evaluate_split(task, net, Accelerator(cpu=True), task.tests[-1])
    assert examples
    assert math.isfinite(metrics[task.metric])
    if recipe.carry_over == "best_heldout":
        assert task.heldout


@every_recipe
def test_processes_together_see_every_example_once(name, miniatures):
    task = miniature_task(name, miniatures)

    def seen(batches):
        return [place for batch in batches for place in batch["index"].tolist()]

    for split in filter(None, (task.heldout, *task.tests)):
        alone = seen(task.eval_batches(split, ALONE))
        assert sorted(alone) == list(range(len(alone)))
        parts = [seen(task.eval_batches(split, Shard(rank, 3))) for rank in range(3)]
        assert sorted(place for part in parts for place in part) == sorted(alone)
    whole = [seen([batch]) for batch in task.batches(1, 0, ALONE)]
    assert len(whole) == task.steps_per_epoch
    assert [len(batch) for batch in whole] == task.batch_sizes(1)
    late = [seen([batch]) for batch in task.batches(1, len(whole) - 2, ALONE)]
    assert late == whole[-2:]
    parts = [seen(task.batches(1, len(whole) - 2, Shard(rank, 3))) for rank in range(3)]
    assert sorted(place for part in parts for place in part) == sorted(whole[-2] + whole[-1])


@pytest.mark.slow
@every_recipe
def test_the_whole_miniature_runs(name, dsd, runs):
    command = ("run", name, "--scale", "mini", "--arm", "dsd", "--runs", str(runs))
    done = dsd(*command, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    (path,) = (runs / "records").glob("*.json")
    record = read(path)
    assert [phase.sparsity for phase in record.phases] == [
        node.phase.sparsity for node in SUITE.recipe(name, "mini").plan("dsd")
    ]
    for phase in record.phases:
        for layer, counts in (phase.layers if phase.sparsity else {}).items():
            pruned = counts["weights"] - counts["kept"]
            assert pruned == round(counts["weights"] * phase.sparsity), layer
    assert read_examples(path)
    metric, bound = LEARNS.get(name, ("", math.inf))
    for metrics in record.final.values():
        assert not metric or metrics[metric] < bound
