"""Table 1 and the model zoo: the paper's rows, whose runs stand beside them, odd improvements."""

import csv
import io
from pathlib import Path

import pytest

from analysis import paper
from analysis.grid import Grid, csv_text
from analysis.records import groups, read_all
from analysis.tables import files as tables
from analysis.tables import paper_table, table1
from analysis.tables.table1 import misprints
from dsd.errors import UserError
from dsd.suite.folder import Suite

ROOT = Path(__file__).parents[3]
NOT_RUN = ("not run",) * 4


def beside(house):
    return [g for g in groups(read_all(house.runs)) if not g.reasons_apart(house.suite)]


def of_network(grid: Grid, network: str) -> list[tuple[str, ...]]:
    return [row for row in grid.rows if row[0] == network]


def printed(*figures: str) -> dict[str, str]:
    return dict(zip(table1.FIGURES, figures, strict=True))


def test_without_records_the_papers_figures_stand_alone(house):
    grid = table1.grid(house.suite, [])
    assert grid.header[5:9] == (
        *("paper: baseline", "paper: DSD", "paper: improvement", "paper: improvement (%)"),
    )
    assert grid.rows[0] == (
        *("GoogLeNet", "vision", "ImageNet", "CNN", "top-1 error (%)"),
        *("31.1", "30.0", "1.1", "3.6"),
        *NOT_RUN,
    )
    assert [row[0] for row in grid.rows[1:]] == [
        *("VGG-16", "ResNet-18", "ResNet-50", "NeuralTalk", "DeepSpeech", "DeepSpeech-2"),
    ]
    assert {row[9:] for row in grid.rows} == {NOT_RUN}


def test_ours_stand_beside_the_network_of_their_recipe_alone(house):
    for seed, baseline, dsd in ((0, 30.0, 29.0), (1, 31.0, 29.5)):
        house.run("baseline", seed, baseline)
        house.run("dsd", seed, dsd)
    house.run("dsd", 2, 10.0, recipe="images-resnet20")
    grid = table1.grid(house.suite, beside(house))
    assert of_network(grid, "ResNet-18") == [
        (
            *("ResNet-18", "vision", "ImageNet", "CNN", "top-1 error (%)"),
            *("30.4", "29.2", "1.2", "4.1"),
            # 1 and 1.5 of 30.5
            *("30.50 ± 0.71 (n 2)", "29.25 ± 0.35 (n 2)", "1.25 ± 0.35 (n 2)", "4.1"),
        )
    ]
    assert {row[9:] for row in grid.rows if row[0] != "ResNet-18"} == {NOT_RUN}
    assert "ResNet-18: a note of the recipe" in grid.notes


def test_other_conditions_stay_out(house):
    house.run("dsd", 0, 11.0, scale="mini")
    house.run("dsd", 0, 12.0, overrides=("phases.sparse.lr=0.02",))
    house.run("dsd", 0, 13.0, recipe="images-own")
    folder = house.suite.root / "results" / "tables"
    written = tables.files(house.suite)
    for name in ("table1", "model_zoo", "table4"):
        for ending in ("md", "csv", "tex"):
            text = written[folder / f"{name}.{ending}"]
            assert "11.00" not in text
            assert "12.00" not in text
            assert "13.00" not in text


def test_captions_have_a_row_a_beam(house, captions):
    captions("baseline", 0, 50.0)
    captions("dsd", 0, 50.0, 45.0, 53.0)
    one, twenty = of_network(table1.grid(house.suite, beside(house)), "NeuralTalk")
    assert (one[2], twenty[2]) == ("Flickr-8K, beam 1", "Flickr-8K, beam 20")
    assert one[5:] == (  # BLEU-4 is BLEU-1 less 30; it rises
        *("16.8", "18.5", "1.7", "10.1"),
        *("20.00 (n 1)", "23.00 (n 1)", "3.00 (n 1)", "15.0"),
    )
    assert twenty[9] == "21.00 (n 1)"


def test_speech_is_of_eval93_alone(house):
    recipe = house.suite.recipes["images-own"]
    recipe.write_text(f"table: table7_deepspeech\n{recipe.read_text()}")
    for arm, figure in (("baseline", 33.0), ("dsd", 30.0)):
        tests = ("eval92", "eval93")  # the second is one more
        house.run(arm, 0, figure, recipe="images-own", metric="wer_pct", tests=tests)
    (row,) = of_network(table1.grid(house.suite, beside(house)), "DeepSpeech")
    assert row[2] == "WSJ'93"
    assert row[9:] == ("34.00 (n 1)", "31.00 (n 1)", "3.00 (n 1)", "8.8")
    (other,) = of_network(table1.grid(house.suite, beside(house)), "DeepSpeech-2")
    assert other[9:] == NOT_RUN


def test_an_unverified_row_carries_the_mark(house):
    path = house.suite.root / "results" / "paper" / "table1_overview.csv"
    path.write_text(path.read_text().replace("1.2,4.1,seen", "1.2,4.1,unverified"))
    (row,) = of_network(table1.grid(house.suite, []), "ResNet-18")
    assert row[5:9] == ("30.4†", "29.2†", "1.2†", "4.1†")


def test_the_csv_holds_the_same_numbers(house):
    house.run("baseline", 0, 30.0)
    house.run("dsd", 0, 29.0)
    text = csv_text(table1.csv_rows(house.suite, beside(house)))
    rows = {row["network"]: row for row in csv.DictReader(io.StringIO(text))}
    row = rows["ResNet-18"]
    assert [row[key] for key in ("paper_baseline", "paper_dsd", "paper_improve_rel_pct")] == [
        *("30.4", "29.2", "4.1")
    ]
    assert [row[key] for key in ("ours_baseline", "ours_dsd_n", "ours_improve_abs", "recipe")] == [
        *("30", "1", "1", "images-resnet18")
    ]
    assert float(row["ours_improve_rel_pct"]) == pytest.approx(100 / 30, rel=1e-5)
    assert (rows["VGG-16"]["ours_dsd"], rows["VGG-16"]["recipe"]) == ("", "")


def test_every_network_of_the_paper_leads_to_a_recipe_and_back():
    suite, folder = Suite(ROOT), ROOT / "results" / "paper"
    recipes = [suite.recipe(name) for name in suite.recipes]
    places = {(recipe.table, recipe.column): recipe for recipe in recipes if recipe.table}
    for table in (table1.TABLE, table1.ZOO):
        for row in paper.read(folder, table):
            recipe = places[table1.place(Path("file"), row["network"])]
            letters = recipe.name.partition("-")[2].replace("-", "")
            assert letters == row["network"].lower().replace("-", "")
    assert set(places) - set(table1.PLACES.values()) == {("appendix_cifar10_resnet20", None)}


def test_a_network_that_no_recipe_trains_names_the_file(house):
    for table in (table1.TABLE, table1.ZOO):
        path = house.suite.root / "results" / "paper" / f"{table}.csv"
        text = path.read_text()
        path.write_text(text.replace("ResNet-18", "ResNet-34").replace("ResNet18", "ResNet34"))
        with pytest.raises(UserError, match=rf"{table}\.csv: no recipe trains 'ResNet-?34'"):
            tables.files(house.suite)
        path.write_text(text)


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
    notes = [n for n in table1.grid(house.suite, []).notes if "prints an improvement" in n]
    assert [note.partition(",")[0] for note in notes] == [
        *("GoogLeNet", "ResNet-18", "DeepSpeech", "DeepSpeech-2")
    ]
    assert all("which their rounding explains" in note for note in notes)


def test_the_zoo_has_a_row_a_network_and_metric_with_ours_where_they_belong(house):
    for arm, top1 in (("baseline", 30.0), ("dsd", 29.0), ("finetune", 29.5)):
        house.run(arm, 0, top1, scored=scored(house, arm, top1))
    grid = paper_table.grid("zoo", table1.zoo(house.suite, beside(house)))
    assert [row[0] for row in grid.rows[::2]] == [
        *("AlexNet", "VGG16", "GoogleNet", "SqueezeNet", "ResNet18", "ResNet50")
    ]
    top1, top5 = of_network(grid, "ResNet18")
    assert top1[1:9] == (
        *("top-1 error (%)", "30.43", "29.17", "+1.26 (+4.1 %)"),
        *("30.00 (n 1)", "29.00 (n 1)", "29.50 (n 1)", "not run"),
    )
    assert top5[1:5] == ("top-5 error (%)", "10.76", "10.13", "+0.63 (+5.9 %)")
    assert top5[5:8] == ("10.00 (n 1)", "9.00 (n 1)", "9.50 (n 1)")
    assert top5[10:] == ("+1.00 (+10.0 %, n 1)", "+0.50 (+5.3 %, n 1)")
    assert {row[5:] for row in grid.rows if row[0] != "ResNet18"} == {
        (*["not run"] * 5, "-", "-"),
    }
    assert "SqueezeNet, the paper's baseline and dsd: seen (baseline 42.39/19.32" in "".join(
        grid.notes
    )


def scored(house, arm: str, top1: float) -> list[dict[str, dict[str, float]]]:
    """Returns every phase's test figures; top-5 is top-1 less 20."""
    nodes = house.suite.recipe("images-resnet18").plan(arm)
    return [{"test": {"top1_error_pct": top1, "top5_error_pct": top1 - 20}} for _ in nodes]
