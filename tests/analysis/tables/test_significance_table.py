"""The table of comparisons from made-up records."""

import numpy as np
import pytest

from analysis.grid import csv_text
from analysis.records import groups, read_all
from analysis.significance import comparisons, sentence
from analysis.tables.files import pages
from analysis.tables.significance_table import HEADER, NOTES, csv_rows, grids


def three_seeds(house, **conditions) -> None:
    """dsd over baseline: 2, 2.5, 3 more or less; over finetune: -1, 0, 1."""
    for seed, baseline in enumerate((30.0, 31.0, 32.0)):
        dsd = baseline - 2 - seed / 2
        house.run("baseline", seed, baseline, **conditions)
        house.run("dsd", seed, dsd, **conditions)
        house.run("finetune", seed, dsd - 1 + seed, **conditions)


def test_a_row_a_comparison_and_its_sentence_first(house):
    three_seeds(house)
    found = groups(read_all(house.runs))
    (grid,) = grids(found)
    assert grid.title == "ResNet-18 (images-resnet18, scale full): dsd's gain in top-1 error (%)"
    assert grid.header == HEADER
    baseline, finetune = grid.rows
    assert baseline == (
        *("test", "baseline", "3", "+2.50 ± 0.50", "+8.1 %", "+1.26 to +3.74", "+2.00 to +3.00"),
        *("-", "0.013", "0.032", "0.018", "+5.00", "5.25, 3"),
    )
    assert finetune[1:6] == ("finetune", "3", "+0.00 ± 1.00", "+0.0 %", "-2.48 to +2.48")
    told = tuple(map(sentence, comparisons(found[0])))
    assert grid.notes == told
    (page,) = (page for page in pages(house.suite, found) if page.name == "significance")
    assert page.legend == NOTES
    assert told[0].startswith("DSD beats the baseline by 2.50 points")
    assert "number of comparisons is not corrected for" in NOTES[-1]
    assert "not the training's randomness" in " ".join(NOTES)
    assert "too narrow" in " ".join(NOTES)


def test_one_seed_has_a_gain_and_its_interval_over_the_examples_alone(house):
    labels = np.zeros(50, np.uint8)
    for arm, folder, wrong in (("baseline", "dense", 40), ("dsd", "dense/sparse/redense", 10)):
        held = {"label": labels, "prediction": (np.arange(50) < wrong).astype(np.uint8)}
        named = {f"{folder}/test/{name}": array for name, array in held.items()}
        house.run(arm, 0, 2.0 * wrong, examples=named)
    ((row,),) = [grid.rows for grid in grids(groups(read_all(house.runs)))]
    assert row[2:7] == ("1", "+60.00", "+75.0 %", "-", "-")
    assert row[8:12] == ("-",) * 4
    low, _, high = row[7].partition(" to ")
    assert 40 < float(low) < 55  # 60 less two standard errors of 6.9
    assert 65 < float(high) < 80


def test_a_tiny_p_is_written_as_a_bound(house):
    for seed in range(8):
        house.run("baseline", seed, 60.0 + seed / 100)
        house.run("dsd", seed, 30.0 - seed / 100)
    ((row,),) = [grid.rows for grid in grids(groups(read_all(house.runs)))]
    assert row[8:11] == ("< 0.001",) * 3


def test_a_sweep_is_compared_with_the_arms_that_have_no_mask(house):
    three_seeds(house)
    for seed, figure in enumerate((27.0, 28.1, 29.2)):
        house.run("dsd", seed, figure, overrides=("phases.sparse.sparsity=0.7",))
    usual, sweep = grids(groups(read_all(house.runs)))
    assert [row[1] for row in sweep.rows] == ["baseline", "finetune"]
    assert sweep.rows[0][3] == "+2.90 ± 0.10"
    lent = "baseline and finetune: as at the usual sparsity, on which they do not depend."
    assert sweep.notes[2] == lent
    assert lent not in usual.notes


def test_miniatures_and_groups_without_a_comparison_are_left_out(house):
    three_seeds(house, scale="mini")
    house.run("dsd", 0, 30.0)
    house.run("baseline", 1, 30.0)
    found = groups(read_all(house.runs))
    assert grids(found) == []
    assert [*csv_rows(found)] == []


def test_the_csv_holds_the_same_numbers_unrounded(house):
    three_seeds(house)
    house.run("random", 0, 40.0)
    found = groups(read_all(house.runs))
    rows = {row["over"]: row for row in csv_rows(found)}
    baseline, _, _ = comparisons(found[0])
    row = rows["baseline"]
    assert (row["gain"], row["gain_sd"], row["gain_n"]) == baseline.gain
    assert (row["paired_t_low"], row["paired_t_high"]) == baseline.interval
    assert (row["bootstrap_seeds_low"], row["bootstrap_seeds_high"]) == (2.0, 3.0)
    assert (row["bootstrap_examples_low"], row["bootstrap_examples_high"]) == (None, None)
    for name in ("relative_pct", "paired_p", "welch_p", "student_p"):
        assert row[name] == getattr(baseline, name)
    assert row["effect_dz"] == 5.0
    assert [
        row[f"{whose}_{what}"] for what in ("seeds", "epochs") for whose in ("arm", "over")
    ] == [*(3, 3, 5.25, 3.0)]
    assert (row["recipe"], row["arm"], row["split"], row["verdict"]) == (
        *("images-resnet18", "dsd", "test", "better"),
    )
    random = rows["random"]
    assert (random["gain"], random["gain_sd"], random["verdict"]) == (12.0, None, "one seed")
    assert (random["paired_p"], random["paired_t_low"]) == (None, None)
    header, first, *_ = csv_text(csv_rows(found)).splitlines()
    assert header.startswith(
        "recipe,scale,changed,corpus,notes,metric,split,arm,over,verdict,gain,"
    )
    assert first.count(",") == header.count(",")
    assert float(first.split(",")[header.split(",").index("paired_p")]) == pytest.approx(
        baseline.paired_p, rel=1e-5
    )
