"""The verdicts' tables: a short one for README and the report, and one with every figure."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from analysis import results
from analysis.tables import files, verdicts
from analysis.verdicts import Verdict
from analysis.verdicts import verdicts as all_verdicts
from dsd.suite.folder import Suite
from tests.analysis.conftest import contents

ROOT = Path(__file__).parents[3]
MADE = {
    **{"date": "2020-01-02", "revision": "1", "precision": "fp32"},
    **{"device": "cpu: one, 1 threads", "threads": 1, "train_seconds": 3600.0},
}
RECIPE = "cifar10-resnet20"


@pytest.fixture
def ran(house):
    """Three seeds of the task on CIFAR-10, and one of the random mask."""
    (folder := house.suite.root / "recipes" / "cifar10").mkdir()
    text = house.suite.recipes["images-resnet20"].read_text()
    (folder / "resnet20.yaml").write_text(text)
    house.three_seeds(recipe=RECIPE, made=MADE)
    house.run("random", 0, 30.0, 31.0, 30.5, recipe=RECIPE, made=MADE)
    return house


def rows(grid) -> dict[str, dict[str, str]]:
    """Returns a grid's rows by their claim: what is under each header."""
    found = [dict(zip(grid.header, row, strict=True)) for row in grid.rows]
    return {row["claim"]: row for row in found if row["task"] == "CIFAR-10, ResNet-20"}


def found_in(ran) -> list[Verdict]:
    return [one for one in all_verdicts(ran.results.groups) if one.effects]


def test_the_short_table_says_what_was_tested_how_sure_and_what_would_change_it(ran):
    found = rows(verdicts.brief(ran.results).grid())
    assert [*found] == [
        "better than the dense baseline",
        "better than the matched fine-tuning",
        "which weights are pruned matters",
        "generalises better: lower test loss",
    ]
    row = found["better than the matched fine-tuning"]
    assert row["verdict"] == "open: zero or the paper's"
    assert row["effect (95 % interval)"] == "+0.00 points (-2.48 to +2.48)"
    assert row["n"] == "3"
    seeds = next(one for one in found_in(ran) if one.claim.text == row["claim"]).needed()
    hours = f"{seeds:,} seeds (+{5 * (seeds - 3):,.1f} core-hours) for the paper's gain; "
    assert row["what would change it"].startswith(hours)
    assert seeds > 1229, "as many as without Holm's correction"
    one = found["which weights are pruned matters"]
    assert one["verdict"] == "no verdict from n = 1"
    assert one["effect (95 % interval)"] == "+2.50 points"
    assert one["what would change it"] == "unknown: needs two more seeds"


def test_readmes_table_has_a_row_a_claim_and_a_column_a_task(ran):
    grid = verdicts.by_claim(ran.results).grid()
    assert grid.header == ("claim", "CIFAR-10, ResNet-20")
    assert dict(grid.rows) == {
        "better than the dense baseline": "confirmed; +2.50 points (+1.26 to +3.74), n 3",
        "better than the matched fine-tuning": "open: zero or the paper's; +0.00 points "
        "(-2.48 to +2.48), n 3",
        "which weights are pruned matters": "no verdict from n = 1; +2.50 points, n 1",
        "generalises better: lower test loss": "no verdict from n = 3; +0.000 nats, n 3",
    }


def test_in_short_counts_what_is_decided_and_the_tasks_that_dsd_leads(ran):
    assert verdicts.in_short(ran.results) == [
        "Of 4 comparisons (n 1 to 3; interim, the protocol plans 6), after Holm's correction, "
        "confirmed: 1 (CIFAR-10, ResNet-20: better than the dense baseline).",
        "Contradicted: none.",
        "The rest: open 3.",
        "By the means alone DSD is better than the dense baseline on 1 of 1 tasks, better than the "
        "matched fine-tuning on 0 of 1.",
    ]


def test_in_short_tells_what_the_correction_takes_from_what_is_open(ran, monkeypatch):
    def stand_in(*effects: float, holm_p: float = 0.5) -> Verdict:
        return replace(found_in(ran)[1], effects=effects, holm_p=holm_p)

    kinds = [
        stand_in(0.31, 0.3, 0.29),
        stand_in(-0.31, -0.3, -0.29),
        stand_in(-0.32, -0.3, -0.29),
        stand_in(0.01, -0.01, 0.005),
        stand_in(1.0, -1.0, 0.5),
        stand_in(0.3, 0.3, 0.3),
        stand_in(0.31, 0.3, 0.29, holm_p=0.01),
    ]
    monkeypatch.setattr(verdicts, "verdicts", lambda groups: kinds)
    said = verdicts.in_short(ran.results)
    assert "confirmed: 1 (CIFAR-10" in said[0]
    assert said[2] == (
        "The rest: for the claim before the correction alone 1, against it before the correction "
        "alone 2, the paper's gain excluded 1, open 2."
    )


def test_runs_under_other_settings_that_enter_no_verdict_are_named(ran, rewrite):
    assert not any("enter no verdict" in note for note in verdicts.acted(ran.results))
    bf16 = ran.run("dsd", 7, 30.0, 31.0, 20.0, recipe=RECIPE, made=MADE)
    rewrite(bf16, settings={**contents(bf16)["settings"], "precision": "bf16"})
    assert (
        "+2.50"
        in rows(verdicts.brief(ran.results).grid())["better than the dense baseline"][
            "effect (95 % interval)"
        ]
    )
    (note,) = (note for note in verdicts.acted(ran.results) if "enter no verdict" in note)
    assert note.startswith("CIFAR-10, ResNet-20: 1 runs under other settings")
    assert "dsd.seed7.json" in note


def test_the_whole_table_and_its_csv_have_every_figure_run_or_not(ran):
    page = ran.page("verdicts")
    short, whole = page.grids
    assert len(short.rows) == 4 < len(whole.rows)
    assert short.title == verdicts.TITLE
    csv = ran.csv("verdicts", "task", "claim")
    assert len(csv) == len(whole.rows)
    row = csv["CIFAR-10, ResNet-20", "better than the matched fine-tuning"]
    assert (row["n_gain"], row["n_third"]) == ("1229", "11040")
    assert int(row["n_gain_holm"]) > int(row["n_gain"])
    assert float(row["more_hours"]) == 5 * (int(row["n_gain_holm"]) - 3)
    missing = csv["AN4, DeepSpeech", "dropping the mask matters"]
    assert (missing["verdict"], missing["n_gain"], missing["more_hours"]) == ("not run", "", "")


def test_readme_has_the_short_table_and_where_the_whole_one_is(ran):
    readme = ran.suite.root / "README.md"
    readme.write_text("<!-- verdicts:begin -->\n<!-- verdicts:end -->\n")
    ran.write()
    text = readme.read_text()
    assert "\n\n| claim | CIFAR-10, ResNet-20 |" in text
    assert all(f"- {line}\n" in text for line in verdicts.in_short(ran.results))
    for path in re.findall(r"\]\(([^)]+)\)", text):
        assert (ran.suite.root / path).exists(), path


def test_readme_stays_under_150_lines():
    found = results.read(Suite(ROOT))
    text = files.files(found, [])[ROOT / "README.md"]
    assert text.count("\n") < 150
