"""The results as one tidy table, and the page that shows how to get it."""

import re
from pathlib import Path

import pytest

import analysis
from analysis.frame import COLUMNS, load_epochs
from dsd.errors import UserError

ROOT = Path(__file__).parents[2]


def log(epoch: float, value: float) -> dict:
    return {
        "epoch": epoch,
        "lr": 0.1,
        "train": {"loss": value},
        "heldout": {"error_pct": 2 * value},
    }


def test_a_row_a_figure_of_every_phase_and_of_the_epoch_carried_over(house):
    logs = [[log(1.0, 5.0), log(3.0, 4.0)], [log(1.25, 3.0)], [log(0.5, 2.0), log(1.0, 1.0)]]
    house.run("dsd", 3, 30.0, 33.0, 29.0, logs=logs, overrides=("phases.sparse.lr=0.02",))
    frame = analysis.load(house.runs)
    assert (*frame.columns,) == COLUMNS
    assert {(*row,) for row in frame[[*COLUMNS[:5]]].to_numpy()} == {
        ("images-resnet18", "full", "phases.sparse.lr=0.02", 3, "dsd")
    }
    found = frame.set_index(["path", "split", "metric"]).value.to_dict()
    assert found["dense", "test", "top1_error_pct"] == 30.0
    assert found["dense/sparse/redense", "test", "top1_error_pct"] == 29.0
    assert found["dense", "train", "loss"] == 4.0
    assert found["dense/sparse", "heldout", "error_pct"] == 6.0
    assert len(found) == len(frame) == 3 * 4
    assert {*frame[frame.metric == "top1_error_pct"].unit} == {"%"}
    epochs = load_epochs(house.runs)
    assert epochs[epochs.metric == "loss"].value.tolist() == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert epochs[epochs.path == "dense"].epoch.tolist() == [1.0, 1.0, 3.0, 3.0]


def test_a_damaged_record_names_its_file(house):
    house.run("dsd", 0, 29.0).write_text("{")
    with pytest.raises(UserError, match=r"dsd\.seed0\.json"):
        analysis.load(house.runs)


def test_the_snippet_of_the_page_prints_what_it_says(monkeypatch, capsys):
    page = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
    section = page.split("## Results in Python")[1]
    snippet, printed = re.findall(r"```\w*\n(.*?)```", section, re.DOTALL)[:2]
    monkeypatch.chdir(ROOT)
    exec(snippet, {})
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == printed.splitlines()
