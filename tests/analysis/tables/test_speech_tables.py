"""Tables 7 and 9 from made-up records: whose column a figure may enter, phases, verdicts."""

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from analysis import paper
from analysis.grid import phase_name
from analysis.records import groups, read_all
from analysis.steps import steps
from analysis.tables import conditions, speech_tables
from analysis.tables import files as tables
from analysis.tables.speech_tables import PATHS, TABLES
from dsd.errors import UserError
from dsd.suite.folder import Suite

ROOT = Path(__file__).parents[3]
PAPER = ROOT / "results" / "paper"
WSJ, AN4 = "wsj-deepspeech", "an4-deepspeech"
RECIPE = """\
title: {title}
{row}
optimizer: {{name: sgd, momentum: 0.9}}
task: {{network: {network}}}
phases:
  dense: {{epochs: 50, lr: 8.0e-4}}
  dense_on: {{epochs: 100, lr: 8.0e-4}}
  sparse1: {{epochs: 50, lr: 5.0e-4, sparsity: 0.5}}
  redense1: {{epochs: 50, lr: 3.0e-4}}
  sparse2: {{epochs: 50, lr: 1.0e-4, sparsity: 0.25}}
  redense2: {{epochs: 50, lr: 3.0e-5}}
  llr: {{epochs: 200, lr: 3.0e-5}}
arms:
  baseline: {{source: ours, phases: [dense, dense_on]}}
  dsd: {{source: ours, phases: &path [dense, sparse1, redense1, sparse2, redense2]}}
  llr: {{source: ours, phases: [dense, llr]}}
  finetune: {{source: ours, phases: *path, mask: none}}
  random: {{source: ours, phases: *path, mask: random}}
scales:
  short: {{}}
  mini: {{}}
"""


@pytest.fixture
def speech(house):
    """The house with speech recipes; returns what writes a record of one.

    The figures are the WER after the last phases. The CER is a third of it; eval93 has 5 more.
    """
    for corpus, network, title, row in (
        ("wsj", "deepspeech", "DeepSpeech on WSJ", "table: table7_deepspeech"),
        ("wsj", "deepspeech2", "DeepSpeech 2 on WSJ", "table: table9_deepspeech2"),
        ("an4", "deepspeech", "DeepSpeech on AN4", ""),
        ("librispeech", "deepspeech2", "DeepSpeech 2 on LibriSpeech", ""),
    ):
        path = house.suite.root / "recipes" / corpus / f"{network}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(RECIPE.format(title=title, network=network, row=row))

    def run(arm: str, seed: int, *wers: float, recipe: str = WSJ, tests=None, **conditions) -> Path:
        tests = tests or (("eval92", "eval93") if recipe.startswith("wsj") else ("test",))
        nodes = house.suite.recipe(recipe).plan(arm)
        wers = (60.0,) * (len(nodes) - len(wers)) + wers
        scored = [
            {
                split: {"loss": 9.0, "wer_pct": wer + 5 * j, "cer_pct": wer / 3}
                for j, split in enumerate(tests)
            }
            for wer in wers
        ]
        return house.run(
            arm, seed, recipe=recipe, metric="wer_pct", scored=scored, tests=tests, **conditions
        )

    return run


def three_seeds(speech, **conditions) -> None:
    """dsd less baseline: -2, -2.5, -3. dsd less finetune: 1, 0, -1."""
    for seed, baseline in enumerate((30.0, 31.0, 32.0)):
        dsd = baseline - 2 - seed / 2
        speech("baseline", seed, baseline + 4, baseline, **conditions)
        speech("dsd", seed, baseline + 4, 50.0, 40.0, 45.0, dsd, **conditions)
        speech("finetune", seed, baseline + 4, 39.0, 38.0, 37.0, dsd - 1 + seed, **conditions)


def page(house, number: int = 7) -> list[tuple[list[str], dict[str, list[str]], str]]:
    """Returns header, rows and notes of each table of the page."""
    text = tables.files(house.suite)[house.suite.root / "results" / "tables" / f"table{number}.md"]
    found = []
    for block in text.split("\n**")[1:]:
        lines = [line for line in block.splitlines() if line.startswith("| ")]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        found.append((rows[0], {row[0]: row[1:] for row in rows[2:]}, block))
    return found


def numbers(house, number: int = 7) -> list[dict[str, str]]:
    folder = house.suite.root / "results" / "tables"
    return list(
        csv.DictReader(io.StringIO(tables.files(house.suite)[folder / f"table{number}.csv"]))
    )


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.network)
def test_the_papers_sums_are_right_and_the_recipe_follows_its_schedule(table):
    """Every row's epochs, rate and sparsity, by the path of phases that the row stands for."""
    rows = {row["row"]: row for row in paper.read(PAPER, table.name)}
    for prefix in ("wsj92", "wsj93"):
        name = f"{prefix}_wer_pct"
        gain = float(rows["baseline"][name]) - float(rows["dense_2"][name])
        assert gain == pytest.approx(float(rows["improve_abs"][name]), abs=0.001)
    recipe = Suite(ROOT).recipe(f"wsj-{table.network}")
    assert recipe.table == table.name
    assert recipe.task["network"] == table.network
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
    ("split", "values"), [("eval92", [28.03, 27.45]), ("eval93", [33.55, 31.59])]
)
def test_a_test_set_has_its_own_columns(split, values):
    for metric in (None, "wer_pct"):
        found, figures = paper.figures(PAPER, "table7_deepspeech", None, metric, split)
        assert found == "wer_pct"
        assert [figures[arm].value for arm in ("baseline", "dsd")] == values
    assert paper.test_sets(PAPER, "table7_deepspeech") == ["eval92", "eval93"]
    assert paper.test_sets(PAPER, "table5_neuraltalk") == [""]
    with pytest.raises(UserError, match=r"table7_deepspeech\.csv: no column holds wer_pct"):
        paper.figures(PAPER, "table7_deepspeech", None, "wer_pct", "test")


def test_without_records_the_papers_tables_stand_alone(house, speech):
    for number, dense, best, gain in (
        (7, ["29.82", "34.57"], ["27.45", "31.59"], ["0.58", "1.96"]),
        (9, ["11.83", "17.42"], ["9.02", "13.44"], ["0.53", "1.08"]),
    ):
        ((header, rows, text),) = page(house, number)
        tests = ["WSJ'92 WER (%)", "WSJ'93 WER (%)"]
        assert header[4:] == [f"{whose}: {test}" for whose in ("paper", "ours") for test in tests]
        assert list(rows)[:6] == [
            "dense 0",
            "sparse 1",
            "dense 1",
            "sparse 2",
            "dense 2",
            "baseline",
        ]
        assert rows["dense 0"][3:] == [*dense, "not run", "not run"]
        assert rows["dense 2"][3:5] == best
        assert rows["improvement"] == ["-", "-", "-", *gain, "not run", "not run"]
        assert ("2100 hours that are not public" in text) == (number == 9)
    assert rows["sparse 2"][:3] == ["25", "20", "3e-5"]
    assert "Epochs in all: dsd 100, baseline 60." in text
    read = numbers(house)
    assert [row["paper"] for row in read[:2]] == ["29.82", "34.57"]
    assert {row["ours"] for row in read} == {""}


def test_full_runs_on_wsj_stand_beside_the_papers_figures(house, speech):
    three_seeds(speech)
    (_, rows, _), (header, phases, _) = page(house)
    assert rows["dense 0"][5:] == ["35.00 ± 1.00 (n 3)", "40.00 ± 1.00 (n 3)"]
    assert rows["sparse 1"][5] == "50.00 ± 0.00 (n 3)"
    assert rows["dense 1"][5] == "40.00 ± 0.00 (n 3)"
    assert rows["sparse 2"][5] == "45.00 ± 0.00 (n 3)"
    assert rows["dense 2"][3:] == ["27.45", "31.59", "28.50 ± 0.50 (n 3)", "33.50 ± 0.50 (n 3)"]
    assert rows["baseline"][5] == "31.00 ± 1.00 (n 3)"
    assert rows["improvement"][5:] == ["2.50 ± 0.50 (n 3)", "2.50 ± 0.50 (n 3)"]
    assert rows["improvement (%)"][3:] == ["2.07", "5.84", "8.06", "6.94"]  # 2.5 of 31, of 36
    assert header[5:] == [f"{s}: {m} (%)" for s in ("eval92", "eval93") for m in ("WER", "CER")]
    assert phases["dsd, re-dense2"][4:] == [
        *("28.50 ± 0.50", "9.50 ± 0.17", "33.50 ± 0.50", "9.50 ± 0.17")
    ]


APART = {
    "the paper has no such row": {"recipe": AN4},
    "scale short": {"scale": "short"},
    "changed settings": {"overrides": ("phases.sparse1.lr=0.1",)},
    "partial training set: 9 of 37416": {"notes": ["partial training set: 9 of 37416"]},
}


@pytest.mark.parametrize("reason", APART)
def test_other_runs_never_stand_in_a_column_of_wsj(house, speech, reason):
    three_seeds(speech, **APART[reason])
    (_, rows, _), (_, phases, text) = page(house)
    assert {cell for row in rows.values() for cell in row[5:]} == {"not run"}
    assert phases["dsd, re-dense2"][4] == "28.50 ± 0.50"
    assert f"- Not beside the paper's figures: {reason}." in text
    read = numbers(house)
    assert not [row for row in read if row["paper"] and row["ours"]]
    assert [row["paper"] for row in read if row["paper"]][-1] == "33.55"


def test_an_an4_recipe_that_claims_the_papers_row_is_refused(house, speech):
    path = house.suite.recipes[AN4]
    path.write_text(f"table: table7_deepspeech\n{path.read_text()}")
    speech("dsd", 0, 30.0, recipe=AN4)
    with pytest.raises(UserError, match=r"table7_deepspeech\.csv: no column holds wer_pct"):
        tables.files(house.suite)


def test_every_phase_of_every_arm_once(house, speech):
    an4 = {"recipe": AN4, "corpus": {"name": "an4", "utterances": {"test": 130}}}
    three_seeds(speech, **an4)
    speech("baseline", 3, 37.0, 33.0, **an4)
    speech("llr", 0, 34.0, 29.0, **an4)
    _, (header, rows, text) = page(house)
    assert header[1:] == [
        *("sparsity (%)", "epochs", "rate", "our seeds", "test: WER (%)", "test: CER (%)")
    ]
    after = ["sparse1", "re-dense1", "sparse2", "re-dense2"]
    assert list(rows) == [
        *("dense", *(f"{arm}, {phase}" for arm in ("dsd", "finetune") for phase in after)),
        *("baseline, dense_on", "llr"),
    ]
    assert rows["dense"] == ["0", "50", "0.0008", "4", "35.50 ± 1.29", "11.83 ± 0.43"]
    assert rows["dsd, sparse2"] == ["25", "50", "0.0001", "3", "45.00 ± 0.00", "15.00 ± 0.00"]
    assert rows["finetune, sparse1"][0] == "0"
    assert rows["finetune, re-dense2"][4] == "28.50 ± 1.50"  # 27 28.5 30
    assert rows["llr"] == ["0", "200", "3e-5", "1", "29.00", "9.67"]
    assert "Epochs in all: baseline 150, dsd 250, finetune 250, llr 250." in text
    assert "- Test utterances: test 130." in text
    assert "no language model" in text


def test_the_answers_as_done_by_hand(house, speech):
    three_seeds(speech, recipe=AN4)
    text = page(house)[1][2]
    # t(0.975, 2) = 4.302653; sd 0.5: half width 1.242, a third of it for the CER
    assert (
        "- test: dsd beats the baseline in WER and CER. dsd minus baseline, mean over 3 seeds "
        "(95 % interval): WER -2.50 (-3.74 to -1.26), CER -0.83 (-1.25 to -0.42).\n"
        "- test: no difference between dsd and the matched fine-tuning shown in WER and CER. dsd "
        "minus finetune, mean over 3 seeds (95 % interval): WER +0.00 (-2.48 to +2.48), CER +0.00 "
    ) in text


def test_more_errors_than_the_baseline_are_no_win(house, speech):
    for seed in (0, 1):
        speech("baseline", seed, 30.0, 30.0, recipe=AN4)
        speech("dsd", seed, 31.0 + seed / 20, recipe=AN4)
    text = page(house)[1][2]
    assert "- test: dsd falls behind the baseline in WER and CER. " in text
    assert "- test: no seed has both dsd and the matched fine-tuning: nothing to compare.\n" in text


def test_one_seed_gives_no_verdict(house, speech):
    speech("baseline", 0, 30.0, 30.0, recipe=AN4)
    speech("dsd", 0, 27.0, recipe=AN4)
    assert (
        "- test: one seed has both dsd and the baseline, so there is no interval and no verdict. "
        "dsd minus baseline: WER -3.00, CER -1.00.\n"
    ) in page(house)[1][2]


def test_a_sweep_is_compared_with_the_arms_that_have_no_mask(house, speech):
    three_seeds(speech, recipe=AN4)
    speech("random", 0, 34.0, 59.0, 58.0, 57.0, 56.0, recipe=AN4)
    for seed in range(3):
        change = ["phases.sparse1.sparsity=0.7"]
        speech("dsd", seed, 27.0 + 1.1 * seed, recipe=AN4, overrides=change)
    _, (_, usual, _), (_, rows, text) = page(house)
    assert usual["dsd, re-dense2"][4] == "28.50 ± 0.50"
    assert rows["dsd, sparse1"][0] == "70"
    assert rows["dsd, re-dense2"][4] == "28.10 ± 1.10"
    assert rows["baseline, dense_on"][4] == "31.00 ± 1.00"
    assert "random, sparse1" in usual
    assert "random, sparse1" not in rows  # its mask is of the usual sparsity
    assert "baseline and finetune: as at the usual sparsity, on which they do not depend." in text
    assert "dsd beats the baseline in WER and CER. dsd minus baseline, mean over 3 seeds" in text


def test_deepspeech_2_and_its_corpora_have_table_9(house, speech):
    speech("dsd", 0, 12.0, recipe="librispeech-deepspeech2", tests=("test_clean", "test_other"))
    note = "the paper trained DeepSpeech 2 on 2100 hours that are not public"
    speech("dsd", 0, 14.0, recipe="wsj-deepspeech2", notes=[note])
    (_, rows, _), (header, libri, _), (_, _, text) = page(house, 9)
    assert {cell for row in rows.values() for cell in row[5:]} == {"not run"}
    assert header[5:7] == ["test_clean: WER (%)", "test_clean: CER (%)"]
    assert libri["dsd, re-dense2"][4:] == ["12.00", "4.00", "17.00", "4.00"]
    assert f"Not beside the paper's figures: {note}." in text
    assert len(page(house, 7)) == 1


def test_miniatures_and_other_networks_are_left_out(house, speech):
    house.run("dsd", 0, 29.0)
    three_seeds(speech, scale="mini", notes=["miniature: synthetic speech"])
    assert len(page(house, 7)) == 1


def test_arms_that_begin_alike_share_their_steps(house, speech):
    speech("dsd", 0, 34.0, 33.0, 32.0, 31.0, 30.0)
    speech("random", 1, 44.0, 43.0, 42.0, 41.0, 40.0)
    (group,) = groups(read_all(house.runs))
    found = steps(group)
    assert found["dense"].values("eval92", "wer_pct") == {0: 34.0, 1: 44.0}
    assert found["dense/sparse1"].values("eval93", "wer_pct") == {0: 38.0}
    assert found["dense/sparse1-random"].name == "random, sparse1"
    assert len(found) == 9


def test_the_csv_holds_the_same_numbers(house, speech):
    three_seeds(speech)
    read = numbers(house)
    rows = {(row["path"], row["split"], row["metric"]): row for row in read}
    assert len(rows) == len(read)
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


def test_the_other_tables_have_a_line_a_test_set_run_or_not(house, speech):
    folder = house.suite.root / "results" / "tables"

    def line(first: str) -> list[str]:
        text = tables.files(house.suite)[folder / "paper_versus_ours.md"]
        (row,) = [row for row in text.splitlines() if row.startswith(f"| {first} |")]
        return [cell.strip() for cell in row.strip("|").split("|")]

    not_run = ["not run"] * 5 + ["-", "-"]
    for split, figures in (
        ("eval92", ["WER (%)", "28.03", "27.45", "+0.58 (+2.1 %)"]),
        ("eval93", ["WER (%)", "33.55", "31.59", "+1.96 (+5.8 %)"]),
    ):
        assert line(f"DeepSpeech on WSJ, {split}")[1:] == [*figures, *not_run]
    three_seeds(speech)
    assert line("DeepSpeech on WSJ, eval93")[2:7] == [
        *("33.55", "31.59", "+1.96 (+5.8 %)", "36.00 ± 1.00 (n 3)", "33.50 ± 0.50 (n 3)")
    ]
    assert line("DeepSpeech 2 on WSJ, eval92")[5:] == not_run
    (group,) = groups(read_all(house.runs))
    assert conditions.arms_grid(group, []).rows[0][0] == "baseline, eval92"


def test_the_terminal_shows_the_phases_of_speech(house, speech):
    three_seeds(speech, recipe=AN4)
    console = Console(width=200, record=True, file=io.StringIO())
    tables.show(house.suite, house.runs, None, console)
    text = console.export_text()
    assert "finetune, re-dense2" in text
    assert "test: dsd beats the baseline in WER and CER." in text


def test_phases_are_named_as_in_the_paper():
    names = ("dense", "redense", "redense1", "sparse2", "dense_on")
    assert [*map(phase_name, names)] == ["dense", "re-dense", "re-dense1", "sparse2", "dense_on"]


def test_a_missing_table_names_the_file(house):
    (house.suite.root / "results" / "paper" / "table9_deepspeech2.csv").unlink()
    with pytest.raises(UserError, match=r"table9_deepspeech2\.csv: missing"):
        speech_tables.papers_grids(house.suite, TABLES[1], [])
