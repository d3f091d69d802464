"""Table 5 and its answers from made-up records."""

import csv
import io
from pathlib import Path

import pytest

from analysis import paper
from analysis.records import groups, read_all
from analysis.tables import conditions, table5
from analysis.tables import files as tables
from dsd.errors import UserError

NAME = "flickr8k-neuraltalk"

PAPER = Path(__file__).parents[3] / "results" / "paper"


def table(house) -> tuple[list[str], dict[str, list[str]], str]:
    """Returns header and rows of the first table that was written, and the whole page."""
    text = tables.files(house.suite)[house.suite.root / "results" / "tables" / "table5.md"]
    lines = [line for line in text.split("\n\n")[2].splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return rows[0], {row[0]: row[1:] for row in rows[2:]}, text


def three_seeds(captions, **conditions) -> None:
    """dsd over baseline: 2, 2.5, 3. dsd over finetune: -1, 0, 1."""
    for seed, baseline in enumerate((50.0, 51.0, 52.0)):
        gain = 2 + seed / 2
        captions("baseline", seed, baseline, **conditions)
        captions("dsd", seed, baseline, baseline - 5, baseline + gain, **conditions)
        captions("finetune", seed, baseline, 60.0, baseline + gain + 1 - seed, **conditions)


def test_the_papers_figures_and_ours_stand_in_columns_of_their_own(house, captions):
    three_seeds(captions)
    header, rows, text = table(house)
    assert header[1:6] == [*(f"paper: BLEU-{n}" for n in (1, 2, 3, 4)), "our seeds"]
    beams = [f"beam {beam}: BLEU-{n}" for beam in (1, 20) for n in (1, 2, 3, 4)]
    assert header[6:] == beams
    assert list(rows) == ["baseline", "sparse", "dsd", "finetune", "llr", "random"]
    assert rows["baseline"][:6] == ["57.2", "38.6", "25.4", "16.8", "3", "51.00 ± 1.00"]
    assert rows["sparse"][:6] == ["58.4", "39.7", "26.3", "17.5", "3", "46.00 ± 1.00"]
    assert rows["dsd"][:6] == ["59.2", "40.7", "27.4", "18.5", "3", "53.50 ± 1.50"]
    assert rows["dsd"][8:10] == ["23.50 ± 1.50", "54.50 ± 1.50"]  # beam 1's last, beam 20's first
    assert rows["finetune"][:5] == ["-"] * 4 + ["3"]
    assert rows["random"] == ["-"] * 4 + ["not run"] + ["-"] * 8
    assert "- Features: VGG-16 fc7, as the paper's.\n" in text
    assert "The paper does not state its beam." in text
    assert "dsd minus its baseline: BLEU-1 +2.0, BLEU-2 +2.1, BLEU-3 +2.0, BLEU-4 +1.7." in text


def test_a_sweep_is_compared_with_the_arms_that_have_no_mask(house, captions):
    three_seeds(captions)
    change = ["phases.sparse.sparsity=0.5"]
    for seed, figure in enumerate((50.0, 51.0, 52.0)):
        captions("dsd", seed, figure, figure - 4, figure + 3, overrides=change)
    usual, sweep = table5.captioning(groups(read_all(house.runs)))
    assert sorted(usual.arms) == ["baseline", "dsd", "finetune"]
    assert table5.difference(sweep, "baseline", "test_beam1", "bleu1") == (3.0, 0.0, 3)
    assert table5.difference(sweep, "finetune", "test_beam1", "bleu1") == (0.5, 0.5, 3)  # 0, 0.5, 1
    first, _ = table5.grids(house.suite, sweep)
    assert "changed: phases.sparse.sparsity=0.5" in first.title
    lent = "baseline and finetune: as at the usual sparsity, on which they do not depend."
    assert lent in first.notes
    phases = next(note for note in first.notes if note.startswith("Phases: "))
    assert "sparsity 0.5" in phases
    assert "sparsity 0.8" not in phases
    other, _ = table5.grids(house.suite, usual)
    assert lent not in other.notes


def test_the_answers_as_done_by_hand(house, captions):
    three_seeds(captions)
    (group,) = groups(read_all(house.runs))
    baseline, wide, *fine = table5.answers(group)
    # t(0.975, 2) = 4.302653; sd 0.5: half width 1.242
    each = ", ".join(f"BLEU-{n} +2.50 (+1.26 to +3.74)" for n in (1, 2, 3, 4))
    assert baseline == (
        "Beam 1: dsd beats the baseline in BLEU-1, BLEU-2, BLEU-3 and BLEU-4. "
        f"dsd minus baseline, mean over 3 seeds (95 % interval): {each}."
    )
    assert wide.startswith("Beam 20: dsd beats the baseline in BLEU-1, ")
    assert fine[0].startswith(
        "Beam 1: no difference between dsd and the matched fine-tuning shown in BLEU-1, BLEU-2, "
        "BLEU-3 and BLEU-4. dsd minus finetune, mean over 3 seeds (95 % interval): "
        "BLEU-1 +0.00 (-2.48 to +2.48), "
    )


def test_dsd_may_fall_behind_and_orders_may_differ(house, captions):
    for seed, (dsd, bleu4) in enumerate((("48.0", "20.5"), ("48.1", "20.55"))):
        captions("baseline", seed, 50.0)
        path = captions("dsd", seed, 50.0, 50.0, float(dsd))
        mine = f'"bleu4": {float(dsd) - 30}'
        assert mine in path.read_text()
        path.write_text(path.read_text().replace(mine, f'"bleu4": {bleu4}'))
    (group,) = groups(read_all(house.runs))
    assert table5.answers(group)[0].startswith(
        "Beam 1: dsd falls behind the baseline in BLEU-1, BLEU-2 and BLEU-3; "
        "dsd beats the baseline in BLEU-4. "
    )


def test_one_seed_gives_no_verdict_and_no_shared_seed_no_difference(house, captions):
    captions("baseline", 0, 50.0)
    captions("dsd", 0, 50.0, 50.0, 53.0)
    captions("dsd", 1, 50.0, 50.0, 99.0)  # the baseline lacks seed 1: it must not count
    captions("finetune", 2, 50.0, 50.0, 53.0)
    (group,) = groups(read_all(house.runs))
    assert table5.answers(group) == [
        f"{beam}: {text}"
        for text in (
            "one seed has both dsd and the baseline, so there is no interval and no verdict. dsd "
            "minus baseline: BLEU-1 +3.00, BLEU-2 +3.00, BLEU-3 +3.00, BLEU-4 +3.00.",
            "no seed has both dsd and the matched fine-tuning: nothing to compare.",
        )
        for beam in ("Beam 1", "Beam 20")
    ]


def test_equal_differences_have_no_interval_and_no_verdict(house, captions):
    for seed in range(3):
        captions("baseline", seed, 50.0)
        captions("dsd", seed, 50.0, 50.0, 53.0)
    (group,) = groups(read_all(house.runs))
    assert table5.answers(group)[0] == (
        "Beam 1: no difference between dsd and the baseline shown in BLEU-1, BLEU-2, BLEU-3 and "
        "BLEU-4. dsd minus baseline, mean over 3 seeds (95 % interval): BLEU-1 +3.00, BLEU-2 "
        "+3.00, BLEU-3 +3.00, BLEU-4 +3.00."
    )
    row = next(table5.csv_rows(house.suite, [group]))
    assert (row["dsd_minus_row"], row["low"], row["high"]) == (3.0, None, None)


def test_other_conditions_are_named_and_miniatures_left_out(house, captions):
    three_seeds(captions, scale="mini")
    house.run("dsd", 0, 29.0)
    folder = house.suite.root / "results" / "tables"
    written = tables.files(house.suite)
    assert written[folder / "table5.md"].endswith("# Table 5 beside ours\n\nNo runs yet.\n")
    assert written[folder / "table5.csv"] == ""
    three_seeds(captions, scale="short", notes=["EfficientNet-Lite0 features"])
    header, rows, text = table(house)
    assert rows["dsd"][5] == "53.50 ± 1.50"
    assert "scale short)" in text
    assert "scale mini" not in text
    assert (
        "- Ours are not under the paper's conditions: scale short; EfficientNet-Lite0 features."
        in text
    )
    assert len(header) == 14
    house.suite.recipes[NAME].write_text(
        house.suite.recipes[NAME].read_text().replace("features: vgg16", "features: another")
    )
    captions("dsd", 9, 50.0, 50.0, 53.0)
    assert "as the paper's" not in table(house)[2].split("(flickr8k-neuraltalk, scale short)")[0]


def test_standard_bleu_length_and_perplexity_of_every_row_and_beam(house, captions):
    three_seeds(captions)
    (group,) = groups(read_all(house.runs))
    _, others = table5.grids(house.suite, group)
    rows = {row[0]: row[1:] for row in others.rows}
    assert len(rows) == 12
    assert rows["dsd, beam 20"] == (
        *("3", "27.25 ± 0.75", "22.25 ± 0.75", "17.25 ± 0.75", "12.25 ± 0.75"),
        *("0.90 ± 0.00", "8.50 ± 0.00", "13.38 ± 0.38"),
    )
    assert rows["sparse, beam 1"][1] == "23.00 ± 0.50"
    assert rows["llr, beam 1"] == ("not run", *"-" * 7)


def test_the_csv_holds_the_same_numbers(house, captions):
    three_seeds(captions)
    text = tables.files(house.suite)[house.suite.root / "results" / "tables" / "table5.csv"]
    rows = {
        (row["row"], row["split"], row["metric"]): row for row in csv.DictReader(io.StringIO(text))
    }
    row = rows["baseline", "test_beam20", "bleu1"]
    assert [float(row[k]) for k in ("paper", "ours", "dsd_minus_row", "dsd_minus_row_sd")] == [
        *(57.2, 52.0, 2.5, 0.5)
    ]
    assert [float(row["low"]), float(row["high"])] == pytest.approx([1.25793, 3.74207])
    assert (row["seeds"], row["ours_n"], row["paper_confidence"]) == ("0 1 2", "3", "seen")
    assert rows["dsd", "test_beam1", "bleu4"]["dsd_minus_row"] == ""
    assert float(rows["sparse", "test", "perplexity"]["ours"]) == 11.5
    assert rows["random", "test_beam1", "bleu1"]["ours"] == ""


def test_a_new_record_makes_the_table_stale(house, captions):
    tables.write(house.suite)
    captions("dsd", 0, 50.0, 50.0, 53.0)
    with pytest.raises(UserError, match=r"table5\.md, .*: stale"):
        tables.check(house.suite)


def test_beams_have_names_in_the_other_tables(house, captions):
    three_seeds(captions)
    (group,) = groups(read_all(house.runs))
    first = [row[0] for row in conditions.arms_grid(group, []).rows]
    assert first[:4] == ["baseline, beam 1", "baseline, beam 20", "dsd, beam 1", "dsd, beam 20"]
    folder = house.suite.root / "results" / "tables"
    text = tables.files(house.suite)[folder / "paper_versus_ours.md"]
    assert "| NeuralTalk, beam 20 | BLEU-4 | 16.80 | 18.50 | +1.70 (+10.1 %) | 22.00" in text


def test_a_caption_recipe_that_nobody_ran_shows_the_papers_bleu_4():
    metric, figures = paper.figures(PAPER, table5.TABLE, None)
    assert (metric, figures["dsd"].value) == ("bleu4", 18.5)
