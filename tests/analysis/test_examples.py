"""The bootstrap over test examples, of what records hold: against the recipes' metrics, by hand."""

import numpy as np
import pytest

from analysis import examples
from analysis.cache import kept
from analysis.statistics import over_examples
from dsd.errors import UserError
from dsd.runs.record import read, read_examples
from recipes.metrics import bleu, wer
from tests.analysis.conftest import contents

PATHS = {
    "baseline": "dense",
    "dsd": "dense/sparse/redense",
    "finetune": "dense/sparse-unmasked/redense",
}
LABELS = np.arange(40, dtype=np.uint8) % 10


@pytest.fixture
def images(house):
    """Returns what writes a record whose images are wrong where it is told."""

    def run(arm: str, seed: int, wrong: np.ndarray, labels: np.ndarray = LABELS, **changes):
        here = f"{PATHS[arm]}/test"
        held = {
            f"{here}/label": labels,
            f"{here}/prediction": (labels + wrong) % 10,
            f"{here}/rank": np.zeros_like(labels),  # as of a label that ties with the prediction
        }
        error = changes.pop("error", 100 * float(wrong.mean()))
        return house.run(arm, seed, error, examples=held, **changes)

    return run


def wrong(seed: int, share: float) -> np.ndarray:
    return np.random.default_rng(seed).random(len(LABELS)) < share


def interval(house, over: str = "baseline", split: str = "test") -> tuple[float, float] | None:
    return examples.interval(house.group, "dsd", over, split)


def test_as_the_statistic_of_the_counts_of_the_seeds_that_both_have(house, images):
    sides = [], []
    for seed in range(2):
        for arm, share, side in (("dsd", 0.2, sides[0]), ("baseline", 0.5, sides[1])):
            missed = wrong(seed, share)
            images(arm, seed, missed)
            side.append(np.stack([missed, np.ones(40)], axis=1))
    images("dsd", 2, wrong(3, 1.0))  # the baseline lacks this seed: it must not count
    assert interval(house) == over_examples(sides[1], sides[0])  # fewer errors are a gain
    assert examples.interval(house.group, "dsd", "dsd", "test") is None


def test_seeds_of_one_dense_phase_are_all_held_against_it(house, images):
    path = house.suite.recipes["images-resnet18"]
    path.write_text(path.read_text() + "dense_seed: 0\n")
    images("baseline", 0, wrong(0, 0.5))
    for seed in range(2):
        images("dsd", seed, wrong(seed, 0.2))
    ours, theirs = (
        [np.stack([wrong(seed, share), np.ones(40)], axis=1) for seed in seeds]
        for seeds, share in (((0, 1), 0.2), ((0, 0), 0.5))
    )
    assert interval(house) == over_examples(theirs, ours)


def test_the_arms_are_tested_on_the_same_draws(house, images):
    images("baseline", 0, wrong(0, 0.5))
    images("dsd", 0, wrong(0, 0.5))
    images("finetune", 0, np.ones(40, bool))
    assert interval(house) == (0.0, 0.0)
    low, high = interval(house, "finetune")  # what dsd has right
    assert 30 < low < 100 * (1 - wrong(0, 0.5).mean()) < high < 90


def test_nothing_to_resample(house, images):
    images("baseline", 0, wrong(0, 0.5))
    house.run("dsd", 0, 20.0)
    images("finetune", 1, wrong(0, 0.5))
    assert interval(house) is None
    assert interval(house, "finetune") is None  # no seed in common
    assert interval(house, "random") is None  # not run


def test_results_that_do_not_give_the_records_figure_are_refused(house, images):
    images("baseline", 0, wrong(0, 0.5))
    images("dsd", 0, np.arange(40) < 8, error=19.9)
    with pytest.raises(UserError) as caught:
        interval(house)
    assert str(caught.value).endswith(
        "images-resnet18.dsd.seed0.json: its per-example results give top-1 error (%) 20.0000 on "
        "test, the record says 19.9000; make the record again"
    )


@pytest.mark.parametrize("labels", [LABELS[:30], (LABELS + 1) % 10], ids=["size", "labels"])
def test_another_test_set_is_refused(house, images, labels):
    images("baseline", 0, wrong(0, 0.5))
    images("dsd", 0, wrong(1, 0.5)[: len(labels)], labels)
    with pytest.raises(
        UserError, match=r"baseline\.seed0\.json: its test is not the one of .*\.dsd\.seed0\.json; "
    ):
        interval(house)


def test_a_new_record_under_an_old_name_is_read_anew(house, images):
    images("baseline", 0, np.arange(40) < 20)
    images("dsd", 0, np.arange(40) < 20)
    with kept(house.suite.root):
        assert interval(house) == (0.0, 0.0)
    images("dsd", 0, np.arange(40) >= 20)  # as many errors on other images
    with kept(house.suite.root):
        low, high = interval(house)
    assert low < -20 < 20 < high


def test_a_missing_sidecar_names_the_file(house, images):
    images("baseline", 0, wrong(0, 0.5))
    path = images("dsd", 0, wrong(0, 0.4))
    (path.parent / f"{read(path).links[-1].file}.npz").unlink()
    with pytest.raises(UserError, match=r"redense/\w+\.npz: missing"):
        interval(house)


def test_test_sets_of_two_sizes_are_refused_without_labels_too(house):
    for arm, size in (("baseline", 4), ("dsd", 5)):
        held = {f"{PATHS[arm]}/test/rank": np.zeros(size, np.uint8)}
        house.run(arm, 0, 0.0, metric="top5_error_pct", examples=held)
    with pytest.raises(UserError, match="its test is not the one of"):
        interval(house)


def test_top_5_by_the_rank(house):
    for arm, ranks in (("baseline", [5, 9, 200, 4]), ("dsd", [4, 0, 5, 0])):
        error = 100 * np.mean(np.array(ranks) > 4)
        held = {f"{PATHS[arm]}/test/rank": np.array(ranks, np.uint8)}
        house.run(arm, 0, error, metric="top5_error_pct", examples=held)
    low, high = interval(house)  # the first two of four images gain
    assert (low, high) == (0.0, 100.0)


@pytest.mark.parametrize(("metric", "gain"), [("wer_pct", 25.0), ("cer_pct", 20.0)])
def test_errors_of_speech_are_pooled(house, metric, gain):
    """Every utterance has the same counts, so each resample is the corpus; but one has no words."""
    for arm, row in (("baseline", [2, 4, 5, 20]), ("dsd", [1, 4, 1, 20])):
        counts = np.array([row] * 3 + [[0] * 4], np.uint8)
        held = {
            f"{PATHS[arm]}/test/counts": counts,
            f"{PATHS[arm]}/test/reference": np.array(["a b c d"] * 3 + [""]),
        }
        house.run(arm, 0, wer.rates(counts)[metric], metric=metric, examples=held)
    low, high = interval(house)
    assert 0 <= low <= high == pytest.approx(gain)
    assert low in (0.0, pytest.approx(gain))


@pytest.mark.parametrize("metric", ["bleu2", "bleu4"])
def test_captions_gain_where_bleu_rises(house, captions, rewrite, metric):
    reference = ["a", "dog", "runs", "fast", "today"]
    written = {"baseline": ["a", "dog", "ran", "here"], "dsd": ["a", "dog", "runs", "fast", "now"]}
    scores = {}
    for arm, words in written.items():
        counts = np.array([bleu.counts(words, [reference])] * 10, np.uint8)
        scores[arm] = bleu.scores(counts)
        here = PATHS[arm]
        held = {f"{here}/test_beam{beam}/bleu_counts": counts for beam in (1, 20)}
        held[f"{here}/test/words"] = np.full(50, 5)
        path = captions(arm, 0, *[50.0] * len(here.split("/")), examples=held)
        phases = contents(path)["phases"]
        for name in ("test_beam1", "test_beam20"):
            phases[-1]["test"][name] |= scores[arm]
        rewrite(path, phases=phases, metric=metric)
    gain = scores["dsd"][metric] - scores["baseline"][metric]
    assert gain > 20
    assert interval(house, split="test_beam20") == pytest.approx((gain, gain))


def test_captions_of_other_references_are_refused(house, captions):
    for arm, words in (("baseline", 4), ("dsd", 5)):
        here = PATHS[arm]
        held = {
            f"{here}/test_beam1/bleu_counts": np.zeros((10, 10), np.uint8),
            f"{here}/test/words": np.full(50, words),
        }
        captions(arm, 0, *[30.0] * len(here.split("/")), examples=held)  # BLEU-4: 0
    with pytest.raises(UserError, match="its test_beam1 is not the one of"):
        interval(house, split="test_beam1")


def test_the_files_are_those_of_the_record(house, images):
    path = images("dsd", 0, wrong(0, 0.5))
    assert set(read_examples(path)) == {
        f"dense/sparse/redense/test/{name}" for name in ("label", "prediction", "rank")
    }
