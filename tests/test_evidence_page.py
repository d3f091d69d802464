"""docs/evidence.md says of the trials what their records say."""

import csv
from pathlib import Path
from statistics import stdev

import pytest

from analysis.power import detectable, seeds_needed
from dsd.runs import checkpoint, phase_file
from dsd.runs.record import Record, read
from dsd.suite.folder import Suite
from models import build

ROOT = Path(__file__).parents[1]
METRICS = {
    "Flickr-8K": ("flickr8k-neuraltalk", "perplexity"),
    "Imagenette": ("imagenette-squeezenet", "top1_error_pct"),
    "AN4": ("an4-deepspeech", "wer_pct"),
}


def rows() -> list[list[str]]:
    page = (ROOT / "docs" / "evidence.md").read_text()
    table = page.split("<!-- trials:begin -->")[1].split("<!-- trials:end -->")[0]
    found, task = [], ""
    for line in table.strip().splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        task = cells[0].partition(",")[0] or task
        found.append([task, *cells[1:]])
    return found


def reborn_pct(record: Record) -> list[float]:
    """The pruned weights' mean magnitude over the kept weights', weighted by their number."""
    shares = []
    for phase in record.phases:
        of_layers = phase.reborn.values()
        if of_layers:
            weighted = sum(one["pruned"] * one["relative_magnitude"] for one in of_layers)
            shares.append(100 * weighted / sum(one["pruned"] for one in of_layers))
    return shares


def test_the_kept_baseline_is_the_records_and_the_recipes():
    folder = ROOT / "results" / "baselines" / "cifar10-resnet20" / "seed0" / "dense"
    record = read(ROOT / "results" / "runs" / "cifar10-resnet20.baseline.seed0.json")
    kept = phase_file.read(folder / "phase.json")
    assert kept.record == record.phases[0]
    recipe = Suite(ROOT).recipe("cifar10-resnet20")
    assert [*kept.settings.path] == recipe.plan("baseline")
    assert (kept.settings.task, kept.settings.optimizer) == (recipe.task, recipe.optimizer)
    assert kept.settings.seed == recipe.dense_seed
    state = checkpoint.load(folder)
    assert state
    net = build("resnet20")
    net.load_state_dict(state["model"])
    assert state["progress"]["steps"] == kept.record.steps
    page = (ROOT / "docs" / "evidence.md").read_text()
    assert f"{record.phases[0].test['test']['top1_error_pct']:.2f} % top-1 error" in page


def test_every_comparison_that_was_run_has_six_seeds():
    """docs/evidence.md says so."""
    with (ROOT / "results" / "tables" / "verdicts.csv").open(newline="") as file:
        counts = {(row["task"], row["claim"]): int(row["n"]) for row in csv.DictReader(file)}
    few = {where: n for where, n in counts.items() if 0 < n < 6}
    assert not few
    assert len({task for (task, _), n in counts.items() if n}) == 4


def test_the_reset_is_as_its_records_say():
    found = []
    for settings in ("+momentum=reset", ""):
        for arm in ("dsd", "finetune"):
            name = f"flickr8k-neuraltalk.lite0{settings}.{arm}.seed3.json"
            test = read(ROOT / "results" / "runs" / name).phases[-1].test
            beams = test["test_beam1"]["bleu4"], test["test_beam20"]["bleu4"]
            found.append(f"{sum(beams) / 2:.2f}")
    page = " ".join((ROOT / "docs" / "evidence.md").read_text().split())
    assert "BLEU-4 of both beams is {} for dsd and {} for the matched".format(*found[:2]) in page
    assert "with the state carried over, {} and {}.".format(*found[2:]) in page


@pytest.mark.parametrize("row", rows(), ids=lambda row: " ".join(row[:3]))
def test_a_trial_is_as_its_record_says(row):
    task, arm, rate, reborn, dense, end, _ = row
    recipe, metric = METRICS[task]
    records = [read(path) for path in (ROOT / "results" / "trials").glob(f"{recipe}*.{arm}.*.json")]
    found = [one for one in records if one.phases[-1].lr == float(rate)]
    if end.endswith("no record"):
        assert not found
        return
    (record,) = found
    assert record.seed == 0
    carried = [
        next(epoch for epoch in phase.log if epoch["epoch"] == phase.carried_over_epoch)
        for phase in (record.phases[0], record.phases[-1])
    ]
    assert [f"{epoch['heldout'][metric]:.2f}" for epoch in carried] == [dense, end]
    assert ", ".join(f"{share:.1f}" for share in reborn_pct(record)) == reborn


def test_every_trial_is_on_the_page():
    assert len([row for row in rows() if not row[5].endswith("no record")]) == len(
        list((ROOT / "results" / "trials").glob("*.json"))
    )


def test_the_acting_scales_have_the_chosen_rates():
    suite, chosen = Suite(ROOT), [row for row in rows() if row[6] == "chosen"]
    assert chosen
    for task, arm, rate, *_ in chosen:
        recipe = suite.recipe(METRICS[task][0], "acting")
        phase = recipe.arms[arm].phases[-1]
        assert recipe.phases[phase].lr == float(rate)


PLANNED_FROM = {"Flickr-8K": 3}  # seeds from here on are the plan's own


def differences(task: str) -> list[float]:
    """dsd minus finetune by seed, in the records of the old schedules, those before the plan."""
    stem, measure = {
        "Flickr-8K": (
            "flickr8k-neuraltalk.lite0",
            lambda final: (final["test_beam1"]["bleu4"] + final["test_beam20"]["bleu4"]) / 2,
        ),
        "Imagenette": (
            "imagenette-squeezenet.caffe",
            lambda final: final["test"]["top1_error_pct"],
        ),
        "AN4": ("an4-deepspeech.width256", lambda final: final["test"]["wer_pct"]),
    }[task]
    arms = {
        arm: {
            one.seed: measure(one.final)
            for one in map(read, (ROOT / "results" / "runs").glob(f"{stem}.{arm}.seed*.json"))
        }
        for arm in ("dsd", "finetune")
    }
    old = [seed for seed in arms["dsd"] if seed < PLANNED_FROM.get(task, len(arms["dsd"]))]
    return [arms["dsd"][seed] - arms["finetune"][seed] for seed in old]


@pytest.mark.parametrize("task", METRICS)
def test_the_plans_power_is_that_of_the_old_records(task):
    page = (ROOT / "docs" / "evidence.md").read_text()
    table = page.split("| dsd minus finetune |")[1].split("\n\n")[0].splitlines()
    (row,) = [line for line in table if line.startswith(f"| {task}, ")]
    _, spread, six, twelve, whole, third = [cell.strip() for cell in row.strip("|").split("|")]
    found = differences(task)
    sd = stdev(found)
    assert spread == f"{sd:.2f} ({len(found)})"
    assert [six, twelve] == [f"{detectable(sd, n):.2f}" for n in (6, 12)]
    effect = {"Flickr-8K": 1.70, "Imagenette": 0.80, "AN4": 1.323}[task]
    assert [int(whole), int(third)] == [seeds_needed(sd, effect), seeds_needed(sd, effect / 3)]
