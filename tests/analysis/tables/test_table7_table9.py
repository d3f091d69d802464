"""Tables 7 and 9 from made-up records: whose column a figure may enter, phases, verdicts."""

from pathlib import Path

import pytest

from analysis import paper
from analysis.grid import Grid
from analysis.tables.table7_table9 import PATHS, TABLES
from dsd.errors import UserError
from dsd.suite.folder import Suite
from tests.analysis.conftest import lines

ROOT = Path(__file__).parents[3]
AN4 = "an4-deepspeech"
PAPER = ("paper: WSJ'92 WER (%)", "paper: WSJ'93 WER (%)")
OURS = ("ours: WSJ'92 WER (%)", "ours: WSJ'93 WER (%)")
WER, CER = "test: WER (%)", "test: CER (%)"


def grids(house, name: str = "table7") -> list[Grid]:
    return house.page(name).grids


def cells(grid: Grid, row: str, *headers: str) -> list[str]:
    return [lines(grid)[row][header] for header in headers]


def ours_of(grid: Grid) -> set[str]:
    return {cell for row in lines(grid) for cell in cells(grid, row, *OURS)}


def three_seeds(house, speech, **conditions) -> None:
    house.three_seeds(speech, 50.0, 40.0, 45.0, **conditions)


@pytest.mark.parametrize("one", TABLES, ids=lambda one: one.page)
def test_the_papers_sums_are_right_and_the_recipe_follows_its_schedule(one):
    """Every row's epochs, rate and sparsity, by the path of phases that the row stands for."""
    rows = {row["row"]: row for row in paper.load(ROOT).rows(one.file)}
    for prefix in ("wsj92", "wsj93"):
        name = f"{prefix}_wer_pct"
        gain = float(rows["baseline"][name]) - float(rows["dense_2"][name])
        assert gain == pytest.approx(float(rows["improve_abs"][name]), abs=0.001)
    recipe = Suite(ROOT).recipe(f"wsj-{one.network}")
    assert recipe.table == one.file
    assert recipe.task["network"] == one.network
    plans = {arm: recipe.plan(arm) for arm in ("dsd", "baseline")}
    assert "/".join(node.folder for node in plans["dsd"]) == PATHS["dense_2"]
    assert "/".join(node.folder for node in plans["baseline"]) == PATHS["baseline"]
    *iterations, baseline = (rows[row] for row in PATHS)
    for row, node in zip(iterations, plans["dsd"], strict=True):
        schedule = [float(row[key]) for key in ("epochs", "lr", "sparsity_pct")]
        assert schedule == [node.phase.epochs, node.phase.lr, 100 * node.phase.sparsity]
    assert float(baseline["epochs"]) == sum(node.phase.epochs for node in plans["baseline"])
    assert {node.phase.lr for node in plans["baseline"]} == {float(baseline["lr"])}


@pytest.mark.parametrize(
    ("page", "dense", "best", "gain"),
    [
        ("table7", ["29.82", "34.57"], ["27.45", "31.59"], ["0.58", "1.96"]),
        ("table9", ["11.83", "17.42"], ["9.02", "13.44"], ["0.53", "1.08"]),
    ],
)
def test_without_records_the_papers_tables_stand_alone(house, page, dense, best, gain):
    (grid,) = grids(house, page)
    assert grid.header == ("", "sparsity (%)", "epochs", "rate", *PAPER, *OURS)
    assert [*lines(grid)][:6] == [
        *("dense 0", "sparse 1", "dense 1", "sparse 2", "dense 2", "baseline")
    ]
    assert cells(grid, "dense 0", *PAPER) == dense
    assert cells(grid, "dense 2", *PAPER) == best
    assert cells(grid, "improvement", "epochs", *PAPER) == ["-", *gain]
    assert ours_of(grid) == {"not run"}
    assert ("2100 hours that are not public" in " ".join(grid.notes)) == (page == "table9")
    rows = house.csv(page, "row", "split")
    assert [rows["dense_0", split]["paper"] for split in ("eval92", "eval93")] == dense
    assert {row["ours"] for row in rows.values()} == {""}


def test_full_runs_on_wsj_stand_beside_the_papers_figures(house, speech):
    three_seeds(house, speech)
    grid, phases = grids(house)
    for row, eval92, eval93 in (
        ("dense 0", "31.00 ± 1.00 (n 3)", "36.00 ± 1.00 (n 3)"),
        ("sparse 1", "50.00 ± 0.00 (n 3)", "55.00 ± 0.00 (n 3)"),
        ("dense 1", "40.00 ± 0.00 (n 3)", "45.00 ± 0.00 (n 3)"),
        ("sparse 2", "45.00 ± 0.00 (n 3)", "50.00 ± 0.00 (n 3)"),
        ("dense 2", "28.50 ± 0.50 (n 3)", "33.50 ± 0.50 (n 3)"),
        ("baseline", "31.00 ± 1.00 (n 3)", "36.00 ± 1.00 (n 3)"),
        ("improvement", "2.50 ± 0.50 (n 3)", "2.50 ± 0.50 (n 3)"),
        ("improvement (%)", "8.06 (n 3)", "6.94 (n 3)"),  # 2.5 of 31, of 36
    ):
        assert cells(grid, row, *OURS) == [eval92, eval93], row
    assert cells(phases, "dsd, re-dense2", "eval92: WER (%)", "eval93: CER (%)") == [
        *("28.50 ± 0.50", "9.50 ± 0.17")
    ]
    assert "Epochs in all: dsd 250, baseline 150." in grid.notes[0]


APART = {
    "the paper has no such row": {"recipe": AN4},
    "scale short": {"scale": "short"},
    "changed settings": {"overrides": ("phases.sparse1.lr=0.1",)},
    "partial training set: 9 of 37416": {"notes": ["partial training set: 9 of 37416"]},
}


@pytest.mark.parametrize("reason", APART)
def test_other_runs_never_stand_in_a_column_of_wsj(house, speech, reason):
    three_seeds(house, speech, **APART[reason])
    grid, phases = grids(house)
    assert ours_of(grid) == {"not run"}
    assert "28.50 ± 0.50" in lines(phases)["dsd, re-dense2"].values()
    assert f"Not beside the paper's figures: {reason}." in phases.notes
    rows = house.csv("table7", "recipe", "path", "split", "metric").values()
    assert not [row for row in rows if row["paper"] and row["ours"]]
    assert [row["paper"] for row in rows if row["paper"]][-1] == "33.55"


def test_an_an4_recipe_that_claims_the_papers_row_is_refused(house, speech):
    path = house.suite.recipes[AN4]
    path.write_text(f"table: table7_deepspeech\n{path.read_text()}")
    speech("dsd", 0, 30.0, recipe=AN4)
    with pytest.raises(UserError, match=r"table7_deepspeech\.csv: no column holds wer_pct"):
        house.written()


def test_every_phase_of_every_arm_once(house, speech):
    an4 = {"recipe": AN4, "corpus": {"name": "an4", "utterances": {"test": 130}}}
    three_seeds(house, speech, **an4)
    speech("baseline", 3, 34.0, 33.0, **an4)
    speech("llr", 0, 30.0, 29.0, **an4)
    _, phases = grids(house)
    plan = ("sparsity (%)", "epochs", "rate", "our seeds")
    assert phases.header == ("", *plan, WER, CER)
    after = ["sparse1", "re-dense1", "sparse2", "re-dense2"]
    assert [*lines(phases)] == [
        *("dense", "baseline, dense_on"),
        *(f"{arm}, {phase}" for arm in ("dsd", "finetune") for phase in after),
        "llr",
    ]
    for row, wanted in (
        ("dense", ["0", "50", "0.0008", "4", "31.75 ± 1.71", "10.58 ± 0.57"]),
        ("dsd, sparse2", ["25", "50", "0.0001", "3", "45.00 ± 0.00", "15.00 ± 0.00"]),
        ("finetune, sparse1", ["0", "50", "0.0005", "3", "50.00 ± 0.00", "16.67 ± 0.00"]),
        ("finetune, re-dense2", ["0", "50", "3e-5", "3", "28.50 ± 1.50", "9.50 ± 0.50"]),
        ("llr", ["0", "200", "3e-5", "1", "29.00", "9.67"]),
    ):
        assert cells(phases, row, *plan, WER, CER) == wanted
    notes = " ".join(phases.notes)
    assert "Epochs in all: baseline 150, dsd 250, finetune 250, llr 250." in notes
    assert "Test utterances: test 130." in phases.notes
    assert "no language model" in notes


def test_the_answers_as_done_by_hand(house, speech):
    three_seeds(house, speech, recipe=AN4)
    # t(0.975, 2) = 4.302653; sd 0.5: half width 1.242, a third of it for the CER
    assert grids(house)[1].notes[:2] == (
        "Test, DSD against the baseline, n = 3: WER +2.50 ± 0.50 (+1.26 to +3.74): better; "
        "CER +0.83 ± 0.17 (+0.42 to +1.25): better.",
        "Test, DSD against the matched fine-tuning, n = 3: WER +0.00 ± 1.00 (-2.48 to +2.48): no "
        "difference shown; CER +0.00 ± 0.33 (-0.83 to +0.83): no difference shown.",
    )


def test_more_errors_than_the_baseline_are_no_win_and_one_seed_no_verdict(house, speech):
    for seed in (0, 1):
        speech("baseline", seed, 30.0, recipe=AN4)
        speech("dsd", seed, 31.0 + seed / 20, recipe=AN4)
    speech("finetune", 0, 34.0, recipe=AN4)
    baseline, finetune = grids(house)[1].notes[:2]
    assert baseline.count(": worse") == 2
    assert finetune == "Test, DSD against the matched fine-tuning, n = 1: WER +3.00; CER +1.00."


def test_a_sweep_is_compared_with_the_arms_that_have_no_mask(house, speech):
    three_seeds(house, speech, recipe=AN4)
    speech("random", 0, 34.0, 59.0, 58.0, 57.0, 56.0, recipe=AN4)
    for seed in range(3):
        change = ["phases.sparse1.sparsity=0.7"]
        speech("dsd", seed, 27.0 + 1.1 * seed, recipe=AN4, overrides=change)
    _, usual, sweep = grids(house)
    assert cells(usual, "dsd, re-dense2", WER) == ["28.50 ± 0.50"]
    assert cells(sweep, "dsd, sparse1", "sparsity (%)") == ["70"]
    assert cells(sweep, "dsd, re-dense2", WER) == ["28.10 ± 1.10"]
    assert cells(sweep, "baseline, dense_on", WER) == ["31.00 ± 1.00"]
    assert "random, sparse1" in lines(usual)
    assert "random, sparse1" not in lines(sweep)  # its mask is of the usual sparsity
    lent = "baseline and finetune: as at the usual sparsity, on which they do not depend."
    assert lent in sweep.notes
    assert lent not in usual.notes


def test_deepspeech_2_and_its_corpora_have_table_9(house, speech):
    speech("dsd", 0, 12.0, recipe="librispeech-deepspeech2", tests=("test_clean", "test_other"))
    note = "the paper trained DeepSpeech 2 on 2100 hours that are not public"
    speech("dsd", 0, 14.0, recipe="wsj-deepspeech2", notes=[note])
    grid, libri, wsj = grids(house, "table9")
    assert ours_of(grid) == {"not run"}
    assert cells(libri, "dsd, re-dense2", "test_clean: WER (%)", "test_other: CER (%)") == [
        *("12.00", "4.00")
    ]
    assert f"Not beside the paper's figures: {note}." in wsj.notes
    assert len(grids(house)) == 1


def test_miniatures_and_other_networks_are_left_out(house, speech):
    house.run("dsd", 0, 29.0)
    three_seeds(house, speech, scale="mini", notes=["miniature: synthetic speech"])
    assert len(grids(house)) == 1


def test_the_csv_holds_the_same_numbers(house, speech):
    three_seeds(house, speech)
    rows = house.csv("table7", "path", "split", "metric")
    row = rows["dense/dense_on", "eval93", "wer_pct"]
    assert (row["row"], row["arm"], row["seeds"]) == ("baseline", "baseline", "0 1 2")
    assert [float(row[k]) for k in ("paper", "ours", "dsd_minus_row", "dsd_minus_row_sd")] == [
        *(33.55, 36.0, -2.5, 0.5)
    ]
    assert [float(row["low"]), float(row["high"])] == pytest.approx([-3.74207, -1.25793], abs=1e-5)
    assert rows["dense/dense_on", "eval93", "cer_pct"]["paper"] == ""
    dsd = rows[PATHS["dense_2"], "eval92", "wer_pct"]
    assert (dsd["row"], dsd["paper"], dsd["dsd_minus_row"]) == ("dense_2", "27.45", "")
    unmasked = rows["dense/sparse1-unmasked", "eval92", "wer_pct"]
    assert (unmasked["row"], unmasked["mask"], unmasked["sparsity"]) == ("", "none", "0")
