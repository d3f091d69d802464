"""Table 5 and its answers from made-up records."""

import pytest

from tests.analysis.conftest import contents, lines

NAME = "flickr8k-neuraltalk"
BLEU = [f"BLEU-{n}" for n in (1, 2, 3, 4)]


def three_seeds(house, captions, **conditions) -> None:
    house.three_seeds(captions, 46.0, first=50.0, sign=1, **conditions)


def cells(grid, row: str, *headers: str) -> list[str]:
    return [lines(grid)[row][header] for header in headers]


def test_the_papers_figures_and_ours_stand_in_columns_of_their_own(house, captions):
    three_seeds(house, captions)
    grid, _ = house.page("table5").grids
    papers = [f"paper: {metric}" for metric in BLEU]
    ours = [f"beam {beam}: {metric}" for beam in (1, 20) for metric in BLEU]
    assert grid.header == ("", *papers, "our seeds", *ours)
    assert [*lines(grid)] == ["baseline", "sparse", "dsd", "finetune", "llr", "random"]
    for row, published, mean in (
        ("baseline", ["57.2", "38.6", "25.4", "16.8"], "51.00 ± 1.00"),
        ("sparse", ["58.4", "39.7", "26.3", "17.5"], "46.00 ± 0.00"),
        ("dsd", ["59.2", "40.7", "27.4", "18.5"], "53.50 ± 1.50"),
        ("finetune", ["-"] * 4, "53.50 ± 0.50"),
    ):
        assert cells(grid, row, *papers, "our seeds", ours[0]) == [*published, "3", mean]
    assert cells(grid, "dsd", "beam 1: BLEU-4", "beam 20: BLEU-1") == [
        *("23.50 ± 1.50", "54.50 ± 1.50")
    ]
    assert cells(grid, "random", "our seeds", *ours) == ["not run", *["-"] * 8]
    assert "Features: VGG-16 fc7, as the paper's." in grid.notes
    assert "The paper does not state its beam." in " ".join(grid.notes)
    assert (
        "The paper's dsd minus its baseline: BLEU-1 +2.0, BLEU-2 +2.1, BLEU-3 +2.0, BLEU-4 +1.7."
        in grid.notes
    )


def test_every_other_arm_has_a_row_and_the_kept_mask_is_not_the_papers_sparse(house, captions):
    path = house.suite.recipes[NAME]
    arms = (
        "  sparse: {source: ours, phases: [dense, sparse, redense], keep_mask: true}\n"
        "  finetune_best: {source: ours, phases: [dense, llr]}\nnotes:"
    )
    path.write_text(path.read_text().replace("notes:", arms, 1))
    captions("dsd", 0, 50.0, 46.0, 53.0)
    captions("sparse", 0, 50.0, 46.0, 47.0)
    captions("finetune_best", 0, 50.0, 51.0)
    grid, _ = house.page("table5").grids
    for row, figure in (("sparse", "46.00"), ("sparse_second_half", "47.00"), ("dsd", "53.00")):
        assert cells(grid, row, "beam 1: BLEU-1") == [figure]
    assert cells(grid, "finetune_best", "beam 1: BLEU-1") == ["51.00"]


def test_a_sweep_is_compared_with_the_arms_that_have_no_mask(house, captions):
    three_seeds(house, captions)
    for seed, figure in enumerate((53.0, 54.0, 55.0)):
        change = ["phases.sparse.sparsity=0.5"]
        captions("dsd", seed, 50.0 + seed, 46.0, figure, overrides=change)
    usual, _, sweep, _ = house.page("table5").grids
    assert "changed: phases.sparse.sparsity=0.5" in sweep.title
    lent = "baseline and finetune: as at the usual sparsity, on which they do not depend."
    assert lent in sweep.notes
    assert lent not in usual.notes
    phases = next(note for note in sweep.notes if note.startswith("Phases: "))
    assert "sparsity 0.5" in phases
    assert "sparsity 0.3" not in phases
    rows = house.csv("table5", "changed", "row", "split", "metric")
    row = rows["phases.sparse.sparsity=0.5", "baseline", "test_beam1", "bleu1"]
    assert (row["dsd_minus_row"], row["dsd_minus_row_sd"], row["low"]) == ("3", "0", "")
    row = rows["phases.sparse.sparsity=0.5", "finetune", "test_beam1", "bleu1"]
    assert (row["dsd_minus_row"], row["dsd_minus_row_sd"]) == ("0.5", "0.5")  # 0, 0.5, 1


def test_the_answers_as_done_by_hand(house, captions):
    three_seeds(house, captions)
    baseline, wide, fine, _ = house.page("table5").grids[0].notes[:4]
    # t(0.975, 2) = 4.302653; sd 0.5: half width 1.242
    each = "; ".join(f"{metric} +2.50 ± 0.50 (+1.26 to +3.74): better" for metric in BLEU)
    assert baseline == f"Beam 1, DSD against the baseline, n = 3: {each}."
    assert wide == f"Beam 20, DSD against the baseline, n = 3: {each}."
    each = "; ".join(f"{m} +0.00 ± 1.00 (-2.48 to +2.48): no difference shown" for m in BLEU)
    assert fine == f"Beam 1, DSD against the matched fine-tuning, n = 3: {each}."


def test_dsd_may_fall_behind_and_orders_may_differ(house, captions, rewrite):
    for seed, (dsd, bleu4) in enumerate(((48.0, 20.5), (48.1, 20.55))):
        captions("baseline", seed, 50.0)
        path = captions("dsd", seed, 50.0, 50.0, dsd)
        phases = contents(path)["phases"]
        phases[-1]["test"]["test_beam1"]["bleu4"] = bleu4
        rewrite(path, phases=phases)
    sentences = house.page("table5").grids[0].notes[0].partition(": ")[2].split("; ")
    assert [one.rpartition(": ")[2] for one in sentences] == ["worse", "worse", "worse", "better."]


def test_one_seed_gives_no_verdict_and_no_shared_seed_no_difference(house, captions):
    captions("baseline", 0, 50.0)
    captions("dsd", 0, 50.0, 50.0, 53.0)
    captions("dsd", 1, 50.0, 50.0, 99.0)  # the baseline lacks seed 1: it must not count
    captions("finetune", 2, 50.0, 50.0, 53.0)
    each = "; ".join(f"{metric} +3.00" for metric in BLEU)
    assert house.page("table5").grids[0].notes[:3] == (
        f"Beam 1, DSD against the baseline, n = 1: {each}.",
        f"Beam 20, DSD against the baseline, n = 1: {each}.",
        "Beam 1, DSD against the matched fine-tuning: no seed has both.",
    )


def test_equal_differences_have_no_interval_and_no_verdict(house, captions):
    for seed in range(3):
        captions("baseline", seed, 50.0)
        captions("dsd", seed, 50.0, 50.0, 53.0)
    first = house.page("table5").grids[0].notes[0]
    assert "BLEU-1 +3.00 ± 0.00 (-): no difference shown; " in first
    row = house.csv("table5", "row", "split", "metric")["baseline", "test_beam1", "bleu1"]
    assert (row["dsd_minus_row"], row["low"], row["high"]) == ("3", "", "")


def test_other_conditions_are_named_and_miniatures_left_out(house, captions):
    three_seeds(house, captions, scale="mini")
    house.run("dsd", 0, 29.0)
    written = house.written()
    assert written["table5.md"].endswith("# Table 5 beside ours\n\nNo runs yet.\n")
    assert written["table5.csv"] == ""
    three_seeds(house, captions, scale="short", notes=["EfficientNet-Lite0 features"])
    grid, _ = house.page("table5").grids
    assert cells(grid, "dsd", "beam 1: BLEU-1") == ["53.50 ± 1.50"]
    assert "scale short)" in grid.title
    why = "scale short; EfficientNet-Lite0 features"
    assert f"Ours are not under the paper's conditions: {why}." in grid.notes
    path = house.suite.recipes[NAME]
    path.write_text(path.read_text().replace("features: vgg16", "features: another"))
    captions("dsd", 9, 50.0, 50.0, 53.0)
    assert "as the paper's" not in " ".join(house.page("table5").grids[0].notes)


def test_standard_bleu_length_and_perplexity_of_every_row_and_beam(house, captions):
    three_seeds(house, captions)
    _, others = house.page("table5").grids
    assert len(lines(others)) == 12
    standard = [f"standard {metric}" for metric in BLEU]
    more = ["length ratio", "mean length (words)", "perplexity"]
    assert others.header == ("", "our seeds", *standard, *more)
    assert cells(others, "dsd, beam 20", *standard, *more) == [
        *("27.25 ± 0.75", "22.25 ± 0.75", "17.25 ± 0.75", "12.25 ± 0.75"),
        *("0.90 ± 0.00", "8.50 ± 0.00", "13.38 ± 0.38"),
    ]
    assert cells(others, "sparse, beam 1", standard[0]) == ["23.00 ± 0.00"]
    assert cells(others, "llr, beam 1", "our seeds", standard[0]) == ["not run", "-"]


def test_the_csv_holds_the_same_numbers(house, captions):
    three_seeds(house, captions)
    rows = house.csv("table5", "row", "split", "metric")
    row = rows["baseline", "test_beam20", "bleu1"]
    assert [float(row[k]) for k in ("paper", "ours", "dsd_minus_row", "dsd_minus_row_sd")] == [
        *(57.2, 52.0, 2.5, 0.5)
    ]
    assert [float(row["low"]), float(row["high"])] == pytest.approx([1.25793, 3.74207])
    assert (row["seeds"], row["ours_n"], row["paper_confidence"]) == ("0 1 2", "3", "seen")
    assert rows["dsd", "test_beam1", "bleu4"]["dsd_minus_row"] == ""
    assert float(rows["sparse", "test", "perplexity"]["ours"]) == 11.5
    assert rows["random", "test_beam1", "bleu1"]["ours"] == ""
