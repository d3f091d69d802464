"""The bootstrap over test examples: against scipy's, against the recipes' own metrics, by hand."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from analysis import examples
from analysis.records import groups, read_all
from dsd.errors import UserError
from dsd.runs.record import read_examples
from recipes.metrics import bleu, wer

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
    (group,) = groups(read_all(house.runs))
    return examples.interval(group, "dsd", over, split)


def test_as_scipys_bootstrap_of_the_differences(house, images):
    differences = []
    for seed in range(2):
        baseline, dsd = wrong(seed, 0.5), wrong(seed + 10, 0.2)
        images("baseline", seed, baseline)
        images("dsd", seed, dsd)
        differences.append(100 * (baseline.astype(float) - dsd))
    images("dsd", 2, wrong(3, 1.0))  # the baseline lacks this seed: it must not count
    wanted = stats.bootstrap(
        (np.mean(differences, axis=0),),
        np.mean,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = interval(house)
    assert found == pytest.approx((wanted.low, wanted.high), abs=1.3)  # a step is 1.25
    assert wanted.high - wanted.low > 20
    examples._interval.cache_clear()
    assert interval(house) == found


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
    assert interval(house) == (0.0, 0.0)
    images("dsd", 0, np.arange(40) >= 20)  # as many errors on other images
    low, high = interval(house)
    assert low < -20 < 20 < high


def test_a_missing_sidecar_names_the_file(house, images):
    images("baseline", 0, wrong(0, 0.5))
    images("dsd", 0, wrong(0, 0.4)).with_suffix(".npz").unlink()
    with pytest.raises(UserError, match=r"dsd\.seed0\.npz: missing"):
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
def test_captions_gain_where_bleu_rises(house, captions, metric):
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
        record = json.loads(path.read_text())
        for name in ("test_beam1", "test_beam20"):
            record["final"][name] |= scores[arm]
        path.write_text(json.dumps({**record, "metric": metric}))
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


@settings(max_examples=50, deadline=None)
@given(arrays(np.int64, st.tuples(st.integers(1, 20), st.just(10)), elements=st.integers(0, 12)))
def test_bleu_as_the_recipe_counts_it(counts):
    counts[:, :4] = np.minimum(counts[:, :4], counts[:, 4:8])
    wanted = bleu.scores(counts)
    for n in (1, 2, 3, 4):
        sums = counts[:, [*range(n), *range(4, 4 + n)]].sum(axis=0)
        assert examples.figure(sums) == pytest.approx(wanted[f"bleu{n}"], rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 9))
)
def test_a_resample_draws_as_many_examples_whole(counts):
    n = len(counts)
    held = np.concatenate([counts, counts[:, :1], np.ones((n, 1), np.int64)], axis=1)
    sums = examples.resampled(held)
    assert sums.shape == (examples.DRAWS, held.shape[1])
    assert (sums[:, -1] == n).all()
    assert (sums[:, -2] == sums[:, 0]).all()  # what belongs to an example goes with it
    assert (sums >= n * held.min(axis=0)).all()
    assert (sums <= n * held.max(axis=0)).all()
    assert np.array_equal(examples.resampled(held), sums)


def test_a_resample_has_the_spread_of_theory(monkeypatch):
    counts = np.random.default_rng(5).integers(0, 9, (200, 2))
    sums = examples.resampled(counts)
    # 10 000 draws: the mean is known to a hundredth of the spread, the spread to 0.7 %
    spread = np.sqrt(200) * counts.std(axis=0)
    assert (np.abs(sums.mean(axis=0) - counts.sum(axis=0)) < 0.05 * spread).all()
    assert sums.std(axis=0) == pytest.approx(spread, rel=0.04)
    monkeypatch.setattr(examples, "CELLS", 200 * 7)  # batches that do not divide the draws
    assert examples.resampled(counts).shape == sums.shape


def test_the_files_are_those_of_the_record(house, images):
    path = images("dsd", 0, wrong(0, 0.5))
    assert set(read_examples(path)) == {
        f"dense/sparse/redense/test/{name}" for name in ("label", "prediction", "rank")
    }
