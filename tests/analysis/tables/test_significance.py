"""The table of comparisons from made-up records."""

import numpy as np
import pytest

from analysis.significance import comparisons, sentence
from analysis.tables.significance import NOTES

T, BOOTSTRAP = "95 % paired t", "95 % bootstrap over seeds"
EXAMPLES = "95 % over test examples"
PS = ("p paired", "p Welch", "p unpaired")


def by_arm(grid) -> dict[str, dict[str, str]]:
    return {
        row["against"]: row for row in (dict(zip(grid.header, r, strict=True)) for r in grid.rows)
    }


def test_a_row_a_comparison_and_its_sentence_first(house):
    house.three_seeds()
    page = house.page("significance")
    (grid,) = page.grids
    assert grid.title == "ResNet-18 (images-resnet18, scale full): dsd's gain in top-1 error (%)"
    rows = by_arm(grid)
    assert rows["baseline"] == {
        "test set": "test",
        "against": "baseline",
        "n": "3",
        "gain ± sd": "+2.50 ± 0.50",
        "relative": "+8.1 %",
        T: "+1.26 to +3.74",
        BOOTSTRAP: "+2.00 to +3.00",
        EXAMPLES: "-",
        **dict(zip(PS, ("0.013", "0.032", "0.018"), strict=True)),
        "effect size": "+5.00",
        "epochs": "5.25, 3",
    }
    assert rows["finetune"][T] == "-2.48 to +2.48"
    assert grid.notes == tuple(map(sentence, comparisons(house.group)))
    assert page.legend == NOTES


def test_one_seed_has_a_gain_and_its_interval_over_the_examples_alone(house):
    labels = np.zeros(50, np.uint8)
    for arm, folder, wrong in (("baseline", "dense", 40), ("dsd", "dense/sparse/redense", 10)):
        held = {"label": labels, "prediction": (np.arange(50) < wrong).astype(np.uint8)}
        named = {f"{folder}/test/{name}": array for name, array in held.items()}
        house.run(arm, 0, 2.0 * wrong, examples=named)
    (row,) = by_arm(house.page("significance").grids[0]).values()
    assert (row["n"], row["gain ± sd"], row["relative"]) == ("1", "+60.00", "+75.0 %")
    assert {row[name] for name in (T, BOOTSTRAP, *PS, "effect size")} == {"-"}
    low, _, high = row[EXAMPLES].partition(" to ")
    assert 40 < float(low) < 55  # 60 less two standard errors of 6.9
    assert 65 < float(high) < 80


def test_a_tiny_p_is_written_as_a_bound(house):
    for seed in range(8):
        house.run("baseline", seed, 60.0 + seed / 100)
        house.run("dsd", seed, 30.0 - seed / 100)
    (row,) = by_arm(house.page("significance").grids[0]).values()
    assert {row[p] for p in PS} == {"< 0.001"}


def test_a_sweep_is_compared_with_the_arms_that_have_no_mask(house):
    house.three_seeds()
    for seed, figure in enumerate((27.0, 28.1, 29.2)):
        house.run("dsd", seed, figure, overrides=("phases.sparse.sparsity=0.7",))
    usual, sweep = house.page("significance").grids
    assert [*by_arm(sweep)] == ["baseline", "finetune"]
    assert by_arm(sweep)["baseline"]["gain ± sd"] == "+2.90 ± 0.10"
    lent = "baseline and finetune: as at the usual sparsity, on which they do not depend."
    assert sweep.notes[2] == lent
    assert lent not in usual.notes


def test_miniatures_and_groups_without_a_comparison_are_left_out(house):
    house.three_seeds(scale="mini")
    house.run("dsd", 0, 30.0)
    house.run("baseline", 1, 30.0)
    assert house.page("significance").grids == []
    assert house.written()["significance.csv"] == ""


def test_the_csv_holds_the_same_numbers(house):
    house.three_seeds()
    house.run("random", 0, 40.0)
    rows = house.csv("significance", "over")
    baseline, _, _ = comparisons(house.group)
    row = rows["baseline"]
    for names, values in (
        (("gain", "gain_sd", "gain_n"), baseline.gain),
        (("paired_t_low", "paired_t_high"), baseline.interval),
        (("bootstrap_seeds_low", "bootstrap_seeds_high"), (2.0, 3.0)),
        (("relative_pct", "effect_dz"), (baseline.relative_pct, 5.0)),
        (("arm_seeds", "over_seeds", "arm_epochs", "over_epochs"), (3, 3, 5.25, 3)),
        *(((p,), (getattr(baseline, p),)) for p in ("paired_p", "welch_p", "student_p")),
    ):
        assert [float(row[name]) for name in names] == pytest.approx(list(values), rel=1e-5)
    assert (row["bootstrap_examples_low"], row["bootstrap_examples_high"]) == ("", "")
    assert [row[key] for key in ("recipe", "arm", "split", "metric", "verdict")] == [
        *("images-resnet18", "dsd", "test", "top1_error_pct", "better")
    ]
    random = rows["random"]
    assert [random[key] for key in ("gain", "gain_sd", "verdict", "paired_p")] == [
        *("12", "", "one seed", "")
    ]
