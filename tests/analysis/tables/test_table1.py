"""Table 1: the paper's rows, whose runs stand beside them, odd improvements."""

import pytest

from analysis.tables.table1 import FIGURES, misprints
from tests.analysis.conftest import lines

OURS = ("ours: baseline", "ours: DSD", "ours: improvement", "ours: improvement (%)")
NOT_RUN = {"not run", "-"}


def by_network(house) -> dict[str, dict[str, str]]:
    return lines(house.page("table1").grids[0])


def cells(row: dict[str, str], *headers: str) -> list[str]:
    return [row[header] for header in headers]


def printed(*figures: str) -> dict[str, str]:
    return dict(zip(FIGURES, figures, strict=True))


def test_without_records_the_papers_figures_stand_alone(house):
    rows = by_network(house)
    assert [*rows] == [
        *("GoogLeNet", "VGG-16", "ResNet-18", "ResNet-50", "NeuralTalk"),
        *("DeepSpeech", "DeepSpeech-2"),
    ]
    assert [*rows["GoogLeNet"].items()][:9] == [
        ("network", "GoogLeNet"),
        ("domain", "vision"),
        ("dataset", "ImageNet"),
        ("type", "CNN"),
        ("metric", "top-1 error (%)"),
        ("paper: baseline", "31.1"),
        ("paper: DSD", "30.0"),
        ("paper: improvement", "1.1"),
        ("paper: improvement (%)", "3.6"),
    ]
    assert {cell for row in rows.values() for cell in cells(row, *OURS)} == NOT_RUN


def test_ours_stand_beside_the_network_of_their_recipe_alone(house):
    for seed, baseline, dsd in ((0, 30.0, 29.0), (1, 31.0, 29.5)):
        house.run("baseline", seed, baseline)
        house.run("dsd", seed, dsd)
    house.run("dsd", 2, 10.0, recipe="images-resnet20")
    rows = by_network(house)
    # 1 and 1.5 of 30.5
    assert cells(rows.pop("ResNet-18"), *OURS) == [
        *("30.50 ± 0.71 (n 2)", "29.25 ± 0.35 (n 2)", "1.25 ± 0.35 (n 2)", "4.1")
    ]
    assert {cell for row in rows.values() for cell in cells(row, *OURS)} == NOT_RUN
    assert "ResNet-18: a note of the recipe" in house.page("table1").grids[0].notes


def test_other_conditions_stay_out(house):
    house.run("dsd", 0, 11.0, scale="mini")
    house.run("dsd", 0, 12.0, overrides=("phases.sparse.lr=0.02",))
    house.run("dsd", 0, 13.0, recipe="images-own")
    written = house.written()
    for name in ("table1", "model_zoo", "table4"):
        for ending in ("md", "csv"):
            text = written[f"{name}.{ending}"]
            assert not [figure for figure in ("11.00", "12.00", "13.00") if figure in text]


def test_captions_have_a_row_a_beam(house, captions):
    captions("baseline", 0, 50.0)
    captions("dsd", 0, 50.0, 45.0, 53.0)
    grid = house.page("table1").grids[0]
    rows = [dict(zip(grid.header, row, strict=True)) for row in grid.rows]
    one, twenty = (row for row in rows if row["network"] == "NeuralTalk")
    assert (one["dataset"], twenty["dataset"]) == ("Flickr-8K, beam 1", "Flickr-8K, beam 20")
    assert one["paper: baseline"] == "16.8"
    # BLEU-4 is BLEU-1 less 30; it rises
    assert cells(one, *OURS) == ["20.00 (n 1)", "23.00 (n 1)", "3.00 (n 1)", "15.0"]
    assert twenty["ours: baseline"] == "21.00 (n 1)"


def test_speech_is_of_eval93_alone(house, speech):
    for arm, figure in (("baseline", 29.0), ("dsd", 26.0)):
        speech(arm, 0, figure)  # eval93 has 5 more
    rows = by_network(house)
    assert rows["DeepSpeech"]["dataset"] == "WSJ'93"
    assert cells(rows["DeepSpeech"], *OURS) == ["34.00 (n 1)", "31.00 (n 1)", "3.00 (n 1)", "8.8"]
    assert set(cells(rows["DeepSpeech-2"], *OURS)) == NOT_RUN


def test_an_unverified_row_carries_the_mark(house):
    path = house.suite.root / "results" / "paper" / "table1_overview.csv"
    path.write_text(path.read_text().replace("1.2,4.1,seen", "1.2,4.1,unverified"))
    row = by_network(house)["ResNet-18"]
    assert cells(row, *(f"paper: {name}" for name in FIGURES.values())) == [
        *("30.4†", "29.2†", "1.2†", "4.1†")
    ]


def test_the_csv_holds_the_same_numbers(house):
    house.run("baseline", 0, 30.0)
    house.run("dsd", 0, 29.0)
    rows = house.csv("table1", "network")
    keys = ("paper_baseline", "paper_dsd", "paper_improve_rel_pct", "paper_confidence")
    assert cells(rows["ResNet-18"], *keys) == ["30.4", "29.2", "4.1", "seen"]
    keys = ("ours_baseline", "ours_dsd_n", "ours_improve_abs", "recipe", "split", "dataset")
    assert cells(rows["ResNet-18"], *keys) == [
        "30",
        "1",
        "1",
        "images-resnet18",
        "test",
        "ImageNet",
    ]
    assert float(rows["ResNet-18"]["ours_improve_rel_pct"]) == pytest.approx(100 / 30, rel=1e-5)
    assert cells(rows["VGG-16"], "ours_dsd", "recipe") == ["", ""]


def test_improvements_that_the_printed_figures_give_need_no_word():
    assert misprints("x", printed("31.14", "30.02", "1.12", "3.6"), "top1_error_pct") == []
    assert misprints("x", printed("16.8", "18.5", "1.7", "10.1"), "bleu4") == []
    assert misprints("x", printed("20.0", "19.5", "0.5", "2.5"), "wer_pct") == []


def test_improvements_of_the_figures_before_rounding_are_told_from_misprints():
    # 1.2 of 30.4 is 3.95 %; 1.3 of 30.35, which rounds to 30.4 (and the dsd figure to 29.2), 4.1 %.
    (note,) = misprints("ResNet-18", printed("30.4", "29.2", "1.2", "4.1"), "top1_error_pct")
    assert note == (
        "ResNet-18, top-1 error (%): the paper prints an improvement of 4.1 %; its printed figures "
        "give 3.9 %, which their rounding explains."
    )
    absolute, relative = misprints("x", printed("30.43", "29.17", "1.13", "5.00"), "wer_pct")
    assert absolute.endswith(
        "improvement of 1.13; its printed figures give 1.26, so they do not agree."
    )
    assert relative.endswith("5.00 %; its printed figures give 4.14 %, so they do not agree.")
    # A rise in BLEU is an improvement, a fall none.
    assert len(misprints("x", printed("18.5", "16.8", "1.7", "9.2"), "bleu4")) == 2


def test_the_papers_overview_rounds_four_improvements_before_it_prints(house):
    notes = [n for n in house.page("table1").grids[0].notes if "prints an improvement" in n]
    assert [note.partition(",")[0] for note in notes] == [
        *("GoogLeNet", "ResNet-18", "DeepSpeech", "DeepSpeech-2")
    ]
    assert all("which their rounding explains" in note for note in notes)
