"""Tables 6 and 8: every parameter of our networks counted once, beside the paper's numbers."""

from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from torch import nn

from analysis import paper
from analysis.results import Results
from analysis.tables.table6_table8 import TABLES, Layer, table
from dsd.suite.folder import Suite
from models import build
from tests.analysis.conftest import lines

ROOT = Path(__file__).parents[3]
SIX, EIGHT = TABLES
OURS = Results(Suite(ROOT), [])


def layers(one) -> list[Layer]:
    return [*table(OURS, one).rows][:-1]


def cells(grid, layer: str) -> list[str]:
    return [lines(grid)[layer][h] for h in ("paper: parameters", "ours: parameters", "equal")]


def same(tensor, *_, **__):
    return tensor


@pytest.mark.parametrize("one", TABLES, ids=lambda one: one.network)
def test_every_parameter_is_in_one_row(one):
    with torch.device("meta"), patch.multiple(nn.init, normal_=same, orthogonal_=same):
        net = build(one.network)
    found = layers(one)
    assert sum(layer.ours for layer in found) == sum(p.numel() for p in net.parameters())
    modules = [module for row in one.layers for module in row.split(", ")]
    assert len(set(modules)) == len(modules)
    for module in modules:
        assert list(net.get_submodule(module).parameters())


def test_deepspeech_has_the_papers_size_layer_by_layer():
    found = layers(SIX)
    assert [layer.ours for layer in found] == [layer.paper for layer in found]
    # 161 bins x 11 frames and a bias; three 1024 x 1024 and one bias
    assert found[0].ours == (161 * 11 + 1) * 1024
    assert found[3].ours == 3 * 1024**2 + 1024
    grid = table(OURS, SIX).grid()
    assert lines(grid)["3"] == {
        "layer": "3",
        "type": "bidirectional recurrent",
        "our modules": "recurrent",
        "paper: parameters": "3 146 752",
        "ours: parameters": "3 146 752",
        "equal": "yes",
    }
    assert cells(grid, "sum") == ["8 139 805", "8 139 805", "yes"]
    assert grid.notes == ()


def test_deepspeech_2_differs_in_the_output_layer_alone():
    found = layers(EIGHT)
    assert [layer.layer for layer in found if layer.ours != layer.paper] == ["10"]
    # 32 filters of 41 x 11, scale and shift of 32 channels x 81 bins
    assert found[0].ours == 32 * 41 * 11 + 2 * 32 * 81
    assert found[2].ours == (1312 + 2 * 1760) * 1760 + 2 * 1760
    grid = table(OURS, EIGHT).grid()
    assert cells(grid, "10") == ["95 054", "51 069", "no"]
    assert cells(grid, "sum") == ["67 740 718", "67 696 733", "no"]
    assert "95 054 is none; the nearest is 54 x 1761 = 95 094" in grid.notes[0]
    assert "29 x 1761 = 51 069" in grid.notes[0]


def test_the_papers_file_gives_the_papers_column(house):
    path = house.suite.root / "results" / "paper" / f"{SIX.file}.csv"
    path.write_text(path.read_text().replace("1814528,seen", "1814529,unverified"))
    (grid,) = house.page("table6").grids
    assert cells(grid, "0") == ["1 814 529†", "1 814 528", "no"]
    assert cells(grid, "sum") == ["8 139 806", "8 139 805", "no"]


def test_the_files_hold_the_same_with_no_record(house):
    text = house.written()["table8.md"]
    assert "| 9 | fully connected | fc, norm | 3 101 120 | 3 101 120 | yes |" in text
    rows = house.csv("table8", "layer")
    printed = paper.load(ROOT).rows(EIGHT.file)
    assert {layer: row["paper"] for layer, row in rows.items()} == {
        row["layer"]: row["parameters"] for row in printed
    }
    assert [row["equal"] for row in rows.values()] == ["yes"] * 10 + ["no"]
    assert rows["10"]["ours"] == "51069"
    assert len(house.csv("table6", "layer")) == 6
