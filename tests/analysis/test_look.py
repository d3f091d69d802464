"""`dsd show`, `compare` and `weights` as a user types them, on the committed records."""

import re

import pytest

from dsd.runs.record import read
from tests.conftest import ROOT

RUNS = ROOT / "results" / "runs"
DSD, FINETUNE = (RUNS / f"an4-deepspeech.width256.{arm}.seed0.json" for arm in ("dsd", "finetune"))


def test_show_names_phases_arms_layers_cost_and_commands(dsd):
    done = dsd("show", "an4-deepspeech", "--scale", "width256")
    assert done.returncode == 0, done.stderr
    for word in ("re-dense1", "finetune", "random", "fc3.weight", "hours of training", "nesterov"):
        assert word in done.stdout
    assert "dsd run an4-deepspeech --scale mini --arm all" in done.stdout
    kept = read(DSD).phases[1].layers["fc3.weight"]
    assert re.search(rf"fc3.weight\s+│ {kept['weights']:,}\s+│ {kept['kept']:,}\s", done.stdout)


@pytest.mark.parametrize("recipe", ["imagenet-vgg16", "wsj-deepspeech2", "flickr8k-neuraltalk"])
def test_show_without_a_record_says_how_to_get_one(dsd, recipe, own_suite):
    done = dsd("show", recipe)
    assert done.returncode == 0, done.stderr
    assert f"dsd run {recipe} --scale mini" in done.stdout


def test_compare_says_what_differs_and_by_how_much(dsd):
    done = dsd("compare", str(DSD), str(FINETUNE))
    assert done.returncode == 0, done.stderr
    settings = done.stdout.partition("Test figures")[0]
    assert re.search(r"phases.2.mask\s+│ magnitude\s+│ none", settings)
    assert "seed " in settings
    assert "phases.2.lr" not in settings  # alike in both
    figures = [read(path).final["test"]["wer_pct"] for path in (DSD, FINETUNE)]
    row = next(line for line in done.stdout.splitlines() if "5. re-dense2: test WER" in line)
    assert f"{figures[0]:.2f}" in row
    assert f"{figures[1] - figures[0]:+.2f}" in row


def test_compare_of_two_recipes_shows_what_only_one_has(dsd):
    other = next(RUNS.glob("cifar10-resnet20.*.dsd.seed0.json"))
    done = dsd("compare", str(DSD), str(other))
    assert done.returncode == 0, done.stderr
    assert "top-1 error" in done.stdout
    assert "WER" in done.stdout


def test_weights_shows_all_stages_of_a_layer(dsd):
    done = dsd("weights", str(DSD), "--layer", "fc3")
    assert done.returncode == 0, done.stderr
    for stage in ("dense", "pruned", "sparse-trained", "zeros restored", "re-dense"):
        assert f"\n{stage}: " in done.stdout
    assert "pruned: 50.0% exactly zero" in done.stdout
    assert "█" in done.stdout
    wrong = dsd("weights", str(DSD), "--layer", "fc9")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1


def test_list_prints_whole_names_one_a_line(dsd):
    done = dsd("list", COLUMNS="40")
    names = [line.split()[0] for line in done.stdout.splitlines() if line and line[0].islower()]
    assert "imagenet-squeezenet" in names
    assert "librispeech-deepspeech2" in names


def test_completion_can_be_had(dsd):
    done = dsd("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0, done.stderr
    assert "complete" in done.stdout
    words = {
        "_DSD_COMPLETE": "complete_bash",
        "COMP_WORDS": "dsd run imagenet-r",
        "COMP_CWORD": "2",
    }
    assert dsd(**words).stdout.split() == ["imagenet-resnet18", "imagenet-resnet50"]
