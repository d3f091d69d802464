"""Tables 6 and 8: every parameter of our networks counted once, beside the paper's numbers."""

import csv
import io
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from torch import nn

from analysis import paper
from analysis.tables import architectures
from analysis.tables import files as tables
from analysis.tables.architectures import TABLES
from dsd.errors import UserError
from dsd.suite.folder import Suite
from models import build

SUITE = Suite(Path(__file__).parents[3])
SIX, EIGHT = TABLES


def same(tensor, *_, **__):
    return tensor


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.network)
def test_every_parameter_is_in_one_row(table):
    with torch.device("meta"), patch.multiple(nn.init, normal_=same, orthogonal_=same):
        net = build(table.network)
    found = architectures.layers(SUITE, table)
    assert sum(layer.ours for layer in found) == sum(p.numel() for p in net.parameters())
    modules = [module for row in table.layers for module in row]
    assert len(set(modules)) == len(modules)
    for module in modules:
        assert list(net.get_submodule(module).parameters())


def test_deepspeech_has_the_papers_size_layer_by_layer():
    found = architectures.layers(SUITE, SIX)
    assert [layer.ours for layer in found] == [layer.paper for layer in found]
    # 161 bins x 11 frames and a bias; three 1024 x 1024 and one bias
    assert found[0].ours == (161 * 11 + 1) * 1024
    assert found[3].ours == 3 * 1024**2 + 1024
    grid = architectures.grid(SUITE, SIX)
    assert grid.rows[3] == (
        *("3", "bidirectional recurrent", "recurrent", "3 146 752", "3 146 752", "yes"),
    )
    assert grid.rows[-1] == ("sum", "-", "-", "8 139 805", "8 139 805", "yes")
    assert grid.notes == ()


def test_deepspeech_2_differs_in_the_output_layer_alone():
    found = architectures.layers(SUITE, EIGHT)
    assert [layer.layer for layer in found if layer.ours != layer.paper] == ["10"]
    # 32 filters of 41 x 11, scale and shift of 32 channels x 81 bins
    assert found[0].ours == 32 * 41 * 11 + 2 * 32 * 81
    assert found[2].ours == (1312 + 2 * 1760) * 1760 + 2 * 1760
    grid = architectures.grid(SUITE, EIGHT)
    assert grid.rows[-2] == ("10", "ctc cost", "output", "95 054", "51 069", "no")
    assert grid.rows[-1][3:] == ("67 740 718", "67 696 733", "no")
    assert "95 054 is none; the nearest is 54 x 1761 = 95 094" in grid.notes[0]
    assert "29 x 1761 = 51 069" in grid.notes[0]


def test_the_papers_file_gives_the_papers_column(house):
    folder = house.suite.root / "results" / "paper"
    path = folder / f"{SIX.name}.csv"
    path.write_text(path.read_text().replace("1814528,seen", "1814529,unverified"))
    grid = architectures.grid(house.suite, SIX)
    assert grid.rows[0][3:] == ("1 814 529†", "1 814 528", "no")
    assert grid.rows[-1][3:] == ("8 139 806", "8 139 805", "no")


def test_the_files_hold_the_same_with_no_record(house):
    folder = house.suite.root / "results" / "tables"
    written = tables.files(house.suite)
    assert (
        "| 9 | fully connected | fc, norm | 3 101 120 | 3 101 120 | yes |"
        in (written[folder / "table8.md"])
    )
    rows = list(csv.DictReader(io.StringIO(written[folder / "table8.csv"])))
    assert [int(row["paper"]) for row in rows] == [
        int(row["parameters"]) for row in paper.read(SUITE.root / "results" / "paper", EIGHT.name)
    ]
    assert [row["equal"] for row in rows] == ["yes"] * 10 + ["no"]
    assert rows[10]["ours"] == "51069"
    assert len(written[folder / "table6.csv"].splitlines()) == 7


@pytest.mark.parametrize(
    ("old", "new"), [("parameters", "size"), ("29725", "many"), ("5,ctc_cost,29725,seen\n", "")]
)
def test_a_damaged_table_names_the_file(house, old, new):
    path = house.suite.root / "results" / "paper" / f"{SIX.name}.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=rf"{SIX.name}\.csv: .*; restore the file$") as error:
        architectures.grid(house.suite, SIX)
    assert "\n" not in str(error.value)
    path.unlink()
    with pytest.raises(UserError, match=rf"{SIX.name}\.csv: missing"):
        architectures.grid(house.suite, SIX)
