"""The overview beside the paper's figures and the model zoo: the sums, and who may stand there."""

import pytest

from analysis.groups import Gain
from analysis.words import mean_sd, signed
from tests.analysis.conftest import lines

PAPER = ("paper: baseline", "paper: DSD", "paper: gain")
ARMS = ("baseline", "dsd", "finetune", "llr", "random")
OURS = tuple(f"ours: {arm}" for arm in ARMS)
GAINS = tuple(f"our dsd's gain over {over}" for over in ("baseline", "finetune"))
NOT_RUN = [*["not run"] * 5, "-", "-"]


def row(house, first: str = "ResNet-18") -> dict[str, str]:
    return lines(house.page("paper_versus_ours").grids[0])[first]


def cells(row: dict[str, str], *headers: str) -> list[str]:
    return [row[header] for header in headers]


def three_arms(house, **conditions) -> None:
    """Baseline 31 ± 1 of three seeds, dsd of two of them, finetune of all."""
    for seed, baseline, finetune in ((0, 30.0, 29.5), (1, 31.0, 30.5), (2, 32.0, 31.0)):
        house.run("baseline", seed, baseline, **conditions)
        house.run("finetune", seed, baseline, 33.0, finetune, **conditions)
    house.run("dsd", 0, 30.0, 33.0, 29.0, **conditions)
    house.run("dsd", 1, 31.0, 35.0, 29.5, **conditions)


def test_means_and_paired_gains_as_done_by_hand(house):
    three_arms(house)
    found = row(house)
    assert cells(found, "metric", *PAPER) == ["top-1 error (%)", "30.43", "29.17", "+1.26 (+4.1 %)"]
    assert cells(found, *OURS) == [
        "31.00 ± 1.00 (n 3)",  # 30 31 32
        "29.25 ± 0.35 (n 2)",  # 29 29.5
        "30.33 ± 0.76 (n 3)",  # 29.5 30.5 31
        *("not run", "not run"),
    ]
    assert cells(found, *GAINS) == [
        "+1.25 ± 0.35 (+4.1 %, n 2)",  # 1 and 1.5; of 30.5
        "+0.75 ± 0.35 (+2.5 %, n 2)",  # 0.5 and 1; of 30
    ]


def test_the_csv_holds_the_same_numbers(house):
    three_arms(house)
    rows = house.csv("paper_versus_ours", "recipe", "split", "arm")
    dsd = rows["images-resnet18", "test", "dsd"]
    keys = ("paper", "paper_confidence", "seeds", "ours", "ours_n")
    assert cells(dsd, *keys) == ["29.17", "seen", "0 1", "29.25", "2"]
    gains = ("gain_over_finetune", "gain_over_finetune_sd", "gain_over_finetune_pct")
    assert [*map(float, cells(dsd, *gains))] == pytest.approx([0.75, 0.353553, 2.5])
    random = rows["images-resnet18", "test", "random"]
    assert cells(random, "ours", "ours_n", "paper") == ["", "0", ""]


def test_one_seed_has_no_sd_and_no_shared_seed_has_no_gain(house):
    house.run("baseline", 0, 30.0)
    house.run("dsd", 1, 29.0)
    house.run("finetune", 1, 29.5)
    found = row(house)
    assert cells(found, *OURS[:2]) == ["30.00 (n 1)", "29.00 (n 1)"]
    assert cells(found, *GAINS) == ["-", "+0.50 (+1.7 %, n 1)"]


def test_where_higher_is_better_a_gain_is_a_rise(house):
    for arm, score in (("baseline", 16.0), ("dsd", 18.0)):
        house.run(arm, 0, score, recipe="images-own", metric="bleu4", lower_is_better=False)
    assert house.group.gain("dsd", "baseline", "test") == Gain((2.0,), 16.0)


def test_figures_in_words():
    assert mean_sd(None) == "not run"
    assert signed(Gain((-0.75, -0.25), 25.0)) == "-0.50 ± 0.35 (-2.0 %, n 2)"


def test_a_row_that_nobody_ran_says_so(house):
    found = row(house, "ResNet-20")
    assert cells(found, *PAPER) == ["8.26 (n 1)", "7.89 ± 0.03† (n 16)", "+0.37 (+4.5 %)"]
    assert cells(found, *OURS, *GAINS) == NOT_RUN


APART = {
    "scale short": {"scale": "short"},
    "changed settings": {"overrides": ("phases.sparse.lr=0.02",)},
    "partial: 10 of 20 train images": {"notes": ["partial: 10 of 20 train images"]},
    "CIFAR-10 re-encoded as JPEG": {"notes": ["CIFAR-10 re-encoded as JPEG"]},
    "miniature: rendered images": {"scale": "mini", "notes": ["miniature: rendered images"]},
    "the paper has no such row": {"recipe": "images-own"},
}


@pytest.mark.parametrize("reason", APART)
def test_other_conditions_never_stand_beside_the_papers_figures(house, reason):
    three_arms(house, **APART[reason])
    assert cells(row(house), *OURS, *GAINS) == NOT_RUN
    *_, grid = house.page("other_conditions").grids
    assert reason in grid.notes[0]
    assert {"a note of the recipe", "a shorter schedule"} & {*grid.notes}
    columns = ("top-1 error (%)", "gain over baseline", "gain over finetune")
    assert cells(lines(grid)["dsd"], *columns) == [
        *("29.25 ± 0.35 (n 2)", "+1.25 ± 0.35 (+4.1 %, n 2)", "+0.75 ± 0.35 (+2.5 %, n 2)")
    ]


def test_an_unverified_figure_and_its_gain_carry_the_mark(house):
    path = house.suite.root / "results" / "paper" / "table4_resnet.csv"
    path.write_text(path.read_text().replace(",45,1e-3,seen", ",45,1e-3,unverified"))
    assert cells(row(house), *PAPER) == ["30.43", "29.17†", "+1.26† (+4.1 %)"]


def test_a_new_arm_has_a_column(house):
    house.run("dsdsd", 0, 28.0)
    found = row(house)
    assert [header for header in found if header.startswith("ours")] == [*OURS, "ours: dsdsd"]
    assert found["ours: dsdsd"] == "28.00 (n 1)"
    assert row(house, "ResNet-20")["ours: dsdsd"] == "-"


def test_several_test_sets_have_a_line_each_run_or_not(house, speech):
    for split, figures in (
        ("eval92", ["28.03", "27.45", "+0.58 (+2.1 %)"]),
        ("eval93", ["33.55", "31.59", "+1.96 (+5.8 %)"]),
    ):
        found = row(house, f"DeepSpeech on WSJ, {split}")
        assert cells(found, *PAPER, *OURS, *GAINS) == [*figures, *NOT_RUN]
    house.three_seeds(speech, 50.0, 40.0, 45.0)
    found = row(house, "DeepSpeech on WSJ, eval93")
    assert cells(found, *OURS[:2]) == ["36.00 ± 1.00 (n 3)", "33.50 ± 0.50 (n 3)"]
    assert cells(row(house, "DeepSpeech 2 on WSJ, eval92"), *OURS, *GAINS) == NOT_RUN


def test_captions_have_a_line_a_beam(house, captions):
    house.three_seeds(captions, first=50.0, sign=1)
    found = row(house, "NeuralTalk, beam 20")
    assert cells(found, "metric", *PAPER) == ["BLEU-4", "16.8", "18.5", "+1.70 (+10.1 %)"]
    assert found["ours: dsd"] == "24.50 ± 1.50 (n 3)"


def test_the_zoo_has_a_row_a_network_and_metric_with_ours_where_they_belong(house, image):
    for arm, top1 in (("baseline", (30.0,)), ("dsd", (30.0, 33.0, 29.0))):
        image(arm, 0, *top1)
    grid = house.page("model_zoo").grids[0]
    rows = [dict(zip(grid.header, r, strict=True)) for r in grid.rows]
    assert [one[""] for one in rows[::2]] == [
        *("AlexNet", "VGG16", "GoogleNet", "SqueezeNet", "ResNet18", "ResNet50")
    ]
    top1, top5 = (one for one in rows if one[""] == "ResNet18")
    assert cells(top1, "metric", *PAPER[:2], *OURS[:2]) == [
        *("top-1 error (%)", "30.43", "29.17", "30.00 (n 1)", "29.00 (n 1)")
    ]
    assert cells(top5, *PAPER, OURS[1], GAINS[0]) == [
        *("10.76", "10.13", "+0.63 (+5.9 %)", "14.50 (n 1)", "+0.50 (+3.3 %, n 1)")
    ]
    assert all(cells(r, *OURS, *GAINS) == NOT_RUN for r in rows if r[""] != "ResNet18")
    said = "SqueezeNet, the paper's baseline and dsd: seen (baseline 42.39/19.32"
    assert said in "".join(grid.notes)
    assert (
        house.csv("model_zoo", "network", "metric", "arm")[
            "ResNet18", "top5_error_pct", "baseline"
        ]["ours"]
        == "15"
    )
