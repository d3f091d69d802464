"""The image recipes: what they prune, what they start from, and their whole path at mini scale."""

from pathlib import Path

import pytest
import torch

from dsd.errors import UserError
from dsd.pruning.targets import prunable
from dsd.runs.record import read
from dsd.suite.folder import Suite
from dsd.suite.task import ALONE
from dsd.training.optimizers import make_optimizer
from models import build

ROOT = Path(__file__).parents[2]
SUITE = Suite(ROOT)
IMAGE_RECIPES = [
    name for name in SUITE.recipes if name.startswith(("imagenet-", "imagenette-", "cifar10-"))
]
# Weights of convolutions and fully connected layers, less the first convolution (and GoogLeNet's
# auxiliary heads, which are no part of the network at inference).
PRUNED_LAYERS = {
    "alexnet": 7,
    "squeezenet": 25,
    "squeezenet1_1": 25,
    "googlenet": 57,
    "vgg16": 15,
    "resnet18": 20,
    "resnet50": 53,
    "resnet20": 19,
}


@pytest.mark.parametrize("name", IMAGE_RECIPES)
def test_every_layer_is_pruned_but_the_first_convolution(name):
    recipe = SUITE.recipe(name)
    network = recipe.task["network"]
    with torch.device("meta"):
        net = build(network)
    layers = prunable(net, make_optimizer(recipe.optimizer, net.parameters(), 0.1), recipe.exclude)
    assert len(layers) == PRUNED_LAYERS[network]
    weights = [n for n, p in net.named_parameters() if p.dim() >= 2 and not n.startswith("aux")]
    assert set(weights) - set(layers) == {weights[0]}
    assert dict(net.named_parameters())[weights[0]].shape[1] == 3  # it reads the image


@pytest.mark.parametrize("name", IMAGE_RECIPES)
def test_the_papers_schedule_is_carried_where_it_is_the_papers(name):
    recipe = SUITE.recipe(name)
    paper = {
        "imagenet-googlenet": (60, 1e-2, 11, 1e-3, 0.3, 22, 1e-4, 33, 1e-5),
        "imagenet-vgg16": (74, 1e-2, 1.25, 1e-4, 0.3, 18, 1e-5, 20, 1e-7),
        "imagenet-resnet18": (90, 0.1, 45, 1e-2, 0.3, 45, 1e-3, 90, 1e-5),
        "imagenet-resnet50": (90, 0.1, 45, 1e-2, 0.3, 45, 1e-3, 90, 1e-5),
        "cifar10-resnet20": (164, 0.1, 45, 1e-3, 0.5, 45, 1e-4, 90, 1e-5),
    }
    if name not in paper:
        assert all(arm.source == "ours" for arm in recipe.arms.values())
        return
    dense, sparse, redense, llr = (recipe.phases[p] for p in ("dense", "sparse", "redense", "llr"))
    assert paper[name] == (
        *(dense.epochs, dense.lr),
        *(sparse.epochs, sparse.lr, sparse.sparsity),
        *(redense.epochs, redense.lr),
        *(llr.epochs, llr.lr),
    )
    assert recipe.arms["dsd"].source == "paper"
    assert recipe.task.get("heldout", 0) == 0  # the paper trains on the whole training set


def mini_task(name: str, folder: Path, **settings: object):
    recipe = SUITE.recipe(name, "mini")
    module = SUITE.task_module(recipe.corpus)
    module.miniature(folder / recipe.corpus)
    checked = module.Settings.model_validate({**recipe.task, **settings})
    return module.task(checked, folder / recipe.corpus, 0, 0)


def test_weights_of_other_pixels_are_refused(miniatures):
    task = mini_task("imagenet-squeezenet", miniatures)
    with pytest.raises(UserError, match=r"add task\.preprocessing=torchvision"):
        task.model("torchvision:IMAGENET1K_V1")
    task = mini_task("imagenet-resnet18", miniatures)
    with pytest.raises(UserError, match=r"add task\.preprocessing=caffe"):
        task.model("resnet18.npz")


def test_top1_and_top5_errors_are_counted_right(miniatures):
    task = mini_task("cifar10-resnet20", miniatures)

    class Oracle(torch.nn.Module):  # puts the right class on the place that `rank` says
        def __init__(self, rank: int) -> None:
            super().__init__()
            self.rank = rank

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            scores = -torch.arange(10.0).repeat(len(images), 1)
            places = (torch.arange(10)[None] - self.labels[:, None] + self.rank) % 10
            return scores.gather(1, places)

    for rank, error in ((0, 0.0), (1, 100.0)):
        oracle = Oracle(rank)
        for batch in task.eval_batches("test", ALONE):
            oracle.labels = batch["labels"]
            results = {k: v.numpy() for k, v in task.predict(oracle, batch).items()}
            assert (results["rank"] == rank).all()
            assert task.metrics("test", results)["top1_error_pct"] == error
            assert "top5_error_pct" not in task.metrics("test", results)


def test_auxiliary_heads_count_with_their_weight():
    from recipes.images import ImageTask

    logits = torch.randn(4, 10)
    batch = {"images": torch.zeros(4), "labels": torch.arange(4)}
    task = ImageTask.__new__(ImageTask)
    task._settings = type("Settings", (), {"aux_weight": 0.3})()
    task._colours = lambda images, drawn: images

    class Heads(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (logits, 2 * logits, -logits)

    one = [torch.nn.functional.cross_entropy(k * logits, batch["labels"]) for k in (1, 2, -1)]
    expected = one[0] + 0.3 * one[1] + 0.3 * one[2]
    torch.testing.assert_close(task.loss(Heads(), batch).mean, expected)


def test_a_mini_run_and_eval_of_its_weights_agree(dsd, runs):
    words = ["cifar10-resnet20", "--scale", "mini", "--runs", str(runs), "--device", "cpu"]
    small = "phases.dense.epochs=1"
    done = dsd("run", *words, "--arm", "baseline", small)
    assert done.returncode == 0, done.stderr
    (path,) = (runs / "records").glob("*.json")
    record = read(path)
    assert any("miniature" in note for note in record.corpus["notes"])
    (weights,) = runs.glob("cifar10-resnet20.mini/seed0/dense*/checkpoint-*.pt")
    done = dsd("eval", *words, "--weights", str(weights), small)
    assert done.returncode == 0, done.stderr
    assert f"test top1_error_pct {record.final['test']['top1_error_pct']:.2f}" in done.stdout
