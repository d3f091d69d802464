"""Every recipe has a layer whose histograms are drawn by default; it is pruned."""

from pathlib import Path

import pytest
import torch

from analysis.figures.layers import DEFAULTS, choose, network
from dsd.pruning.targets import prunable
from dsd.suite.folder import Suite
from dsd.training.optimizers import make_optimizer
from models import build

SUITE = Suite(Path(__file__).parents[3])


@pytest.mark.parametrize("name", SUITE.recipes)
def test_the_default_layer_is_there_and_pruned(name):
    recipe = SUITE.recipe(name)
    its = network(name, recipe.task)
    assert its in DEFAULTS, "name the layer to draw in analysis/figures/layers.py"
    with torch.device("meta"):
        net = build(its)
    optimizer = make_optimizer(recipe.optimizer, net.parameters(), 0.1)
    pruned = prunable(net, optimizer, recipe.exclude, recipe.include)
    assert choose(its, pruned, None) == DEFAULTS[its]


def test_the_papers_figure_is_of_inception_5bs_3x3():
    assert DEFAULTS["googlenet"] == "inception_5b.conv3x3.weight"
    assert build("googlenet").get_parameter(DEFAULTS["googlenet"]).shape[2:] == (3, 3)
