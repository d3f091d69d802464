"""Which runs may share a mean, and which stand apart from the paper's figures, with the reason."""

import pytest

from tests.analysis.conftest import contents


def test_examples_left_out_make_the_corpus_partial(house, rewrite):
    path = house.run("dsd", 0, 29.0)
    phases = contents(path)["phases"]
    phases[0]["skipped"] = phases[1]["skipped"] = ["a.jpg"]
    rewrite(path, phases=phases)
    assert house.group.reasons_apart(house.suite) == ["1 unusable examples left out"]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("epochs: 1.25", "epochs: 5", "phases"),
        ("width: 8", "width: 16", "task"),
        ("momentum: 0.9", "momentum: 0.8", "optimizer"),
        ("exclude: [conv1]", "exclude: []", "exclude"),
    ],
)
def test_a_run_of_the_recipe_as_it_was_stands_apart(house, old, new, named):
    house.run("dsd", 0, 29.0)
    assert house.results.beside
    path = house.suite.recipes["images-resnet18"]
    path.write_text(path.read_text().replace(old, new))
    assert house.results.beside == []
    why = [f"the recipe's {named} changed since the run"]
    assert house.group.reasons_apart(house.suite) == why


@pytest.mark.parametrize("gone", ["the recipe", "the arm"])
def test_a_run_whose_recipe_or_arm_is_gone_stands_apart(house, gone):
    house.run("baseline", 0, 29.0)
    house.run("llr", 0, 29.0)
    path = house.suite.recipes["images-resnet18"]
    if gone == "the recipe":
        path.unlink()
    else:
        path.write_text(path.read_text().replace("  llr: {source", "  other: {source"))
    assert house.group.reasons_apart(house.suite) == [
        "the recipe, as it is today, cannot make this run"
    ]


def test_two_corpora_and_two_precisions_never_share_a_mean(house, rewrite):
    house.run("dsd", 0, 20.0)
    house.run("dsd", 1, 30.0, fingerprint="2")
    bf16 = house.run("dsd", 2, 40.0)
    rewrite(bf16, settings={**contents(bf16)["settings"], "precision": "bf16"})
    found = [group.values("dsd", "test") for group in house.results.groups]
    assert sorted(found, key=str) == [{0: 20.0}, {1: 30.0}, {2: 40.0}]


def test_runs_that_differ_in_a_setting_do_not_share_a_mean(house, rewrite):
    house.run("dsd", 0, 30.0)
    other = house.run("dsd", 1, 31.0)
    rewrite(other, settings={**contents(other)["settings"], "momentum": "keep"})
    assert len(house.results.groups) == 2


def test_seeds_of_the_same_data_share_a_mean_however_it_was_described(house):
    house.run("dsd", 0, 20.0, scale="short", notes=["CIFAR-10 as JPEG"])
    house.run("dsd", 1, 30.0, scale="short", notes=["CIFAR-10 re-encoded as JPEG"])
    assert house.group.notes[0] == "CIFAR-10 as JPEG"
    assert "CIFAR-10 re-encoded as JPEG" in house.group.notes


def test_figures_of_a_path_are_of_all_arms_that_take_it(house, speech):
    speech("dsd", 1, 34.0, 33.0, 32.0, 31.0, 30.0)
    speech("random", 0, 44.0, 43.0, 42.0, 41.0, 40.0)
    group = house.group
    assert group.reached("dense", "eval92") == {0: 44.0, 1: 34.0}
    assert group.reached("dense/sparse1", "eval93") == {1: 38.0}
    assert group.values("dsd", "eval92", path="dense") == {1: 34.0}
    assert group.values("dsd", "eval92", "cer_pct") == {1: 10.0}
    assert group.mean("finetune", "eval92") is None
    assert group.end("random").endswith("sparse2-random/redense2")


def test_the_frame_of_a_group_has_the_same_figures(house):
    house.three_seeds()
    frame = house.group.frame
    dsd = frame[(frame.arm == "dsd") & (frame.path == "dense/sparse/redense")]
    found = dsd[dsd.metric == "top1_error_pct"].set_index("seed").value.to_dict()
    assert found == house.group.values("dsd", "test")
    assert {*dsd.unit} == {"%", "nats"}
