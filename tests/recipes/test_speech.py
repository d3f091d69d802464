"""Speech recognition: batches, losses, skipped and held-out utterances, metrics, recipes."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from data.speech import encode
from dsd.errors import UserError
from dsd.pruning.targets import prunable
from dsd.suite.folder import Suite
from dsd.suite.recipe import validate
from dsd.suite.task import ALONE, Shard
from dsd.training.optimizers import make_optimizer
from recipes.metrics import wer
from recipes.speech import (
    Corpus,
    Settings,
    SpeechTask,
    hold_out,
    network,
    spectrogram_folder,
)

ROOT = Path(__file__).parents[2]
SUITE = Suite(ROOT)
SAMPLES = [4000 + 400 * i for i in range(12)]
TEXTS = ["go on", "it's", "aa", "stop"] * 3
LONG = 3  # the place of an utterance that has fewer frames than symbols


@pytest.fixture(scope="module")
def speech(tmp_path_factory, speech_set):
    """Twelve utterances of noise by four speakers; one has too few frames for its text."""
    texts = [*TEXTS[:LONG], "far too long for it " * 2 + "now", *TEXTS[LONG + 1 :]]
    return speech_set(tmp_path_factory.mktemp("speech") / "corpus", SAMPLES, texts)


def make(speech, *, public=True, seed=0, **settings):
    settings = {"network": "deepspeech", "hidden": 8, "batch_size": 4, **settings}
    corpus = Corpus(speech, heldout=None, tests={"test": speech}, public=public)
    return SpeechTask(Settings(**settings), corpus, seed, workers=0)


def predicted(task, net):
    columns = {}
    with torch.inference_mode():
        for batch in task.eval_batches("test", ALONE):
            for name, values in task.predict(net, batch).items():
                values = values.tolist() if torch.is_tensor(values) else values
                columns.setdefault(name, []).extend(values)
    order = np.argsort(columns.pop("index"))
    return {name: np.asarray(values)[order] for name, values in columns.items()}


def test_too_few_frames(speech):
    task = make(speech)
    assert task.skipped == [f"u{LONG}"]
    assert task.corpus["utterances"] == {"train": 11, "test": 12}
    net = task.model().eval()
    for batch in task.batches(1, 0, ALONE):
        assert torch.isfinite(task.loss(net, batch).mean)
    results = predicted(task, net)
    assert results["nats"][LONG] == -1
    assert (np.delete(results["nats"], LONG) > 0).all()
    metrics = task.metrics("test", results)
    assert metrics["loss"] == pytest.approx(np.delete(results["nats"], LONG).mean())
    pooled = wer.rates(results["counts"])
    assert (metrics["wer_pct"], metrics["cer_pct"]) == (pooled["wer_pct"], pooled["cer_pct"])


def test_no_utterance_fits(tmp_path, speech_set):
    short = speech_set(tmp_path / "corpus", [400], ["far too long"])
    with pytest.raises(UserError, match="no utterance of an4/train has frames enough"):
        make(short)


def test_the_loss_is_nats_per_utterance(speech):
    task = make(speech)
    net = task.model()
    batch = next(task.batches(1, 0, ALONE))
    activations, lengths = net(batch["features"], batch["frames"])
    each = [
        F.ctc_loss(
            activations[:length, row].log_softmax(1),
            torch.tensor(encode(task_text(speech, task, int(batch["index"][row])))),
            [length],
            [batch["label_lengths"][row]],
            reduction="sum",
        )
        for row, length in enumerate(lengths)
    ]
    loss = task.loss(net, batch)
    assert loss.examples == 4
    assert loss.mean.shape == ()
    torch.testing.assert_close(loss.mean, torch.stack(each).mean())


def task_text(speech, task, place):
    kept = [u for u in speech.utterances if u.name not in task.skipped]
    return kept[place].text


def test_what_was_heard_is_scored_against_what_was_said(speech):
    task = make(speech)
    results = predicted(task, task.model().eval())
    said = [utterance.text for utterance in speech.utterances]
    assert results["reference"].tolist() == said
    pairs = zip(results["hypothesis"].tolist(), said, strict=True)
    assert results["counts"].tolist() == [wer.counts(*pair) for pair in pairs]


def test_what_is_said_stays_out_of_the_record_of_a_corpus_that_is_not_public(speech):
    task = make(speech, public=False)
    assert set(predicted(task, task.model().eval())) == {"counts", "nats"}


def test_a_network_that_spells_the_reference_has_no_errors(speech):
    task = make(speech)

    class Oracle(torch.nn.Module):
        def forward(self, features, lengths):
            rows = [self.spelled(int(place)) for place in self.places]
            activations = torch.zeros(max(map(len, rows)), len(rows), 29)
            for row, symbols in enumerate(rows):
                activations[range(len(symbols)), row, symbols] = 9.0
            return activations, [len(symbols) for symbols in rows]

        def spelled(self, place):
            return [s for symbol in encode(speech.utterances[place].text) for s in (symbol, 0)]

    net, counts = Oracle(), []
    for batch in task.eval_batches("test", ALONE):
        net.places = batch["index"]
        counts += task.predict(net, batch)["counts"]
    assert wer.rates(counts) == {"wer_pct": 0, "cer_pct": 0}


def test_held_out_speakers(speech):
    rest, apart = hold_out(speech, 2)
    of = [{u.speaker for u in part.utterances} for part in (rest, apart)]
    assert of[0].isdisjoint(of[1])
    assert [len(each) for each in of] == [2, 2]
    assert len(rest) + len(apart) == len(speech)
    assert apart.name == "an4/heldout"
    task = make(speech, heldout_speakers=2)
    assert task.heldout == "heldout"
    assert task.corpus["utterances"]["heldout"] == len(apart)
    assert make(speech).heldout is None
    with pytest.raises(UserError, match="4 of the 4 speakers"):
        hold_out(speech, 4)


def test_more_processes_than_utterances_of_a_batch(speech):
    with pytest.raises(UserError, match="batch_size"):
        next(make(speech).batches(0, 0, Shard(0, 5)))


def test_processes_see_the_whole_batch(speech):
    # 11 utterances in batches of 4 leave 3, so that one process of four has none.
    task = make(speech)
    net = task.model()
    whole = next(task.batches(1, 0, ALONE))
    parts = [next(task.batches(1, 0, Shard(rank, 4))) for rank in range(4)]
    losses = [task.loss(net, part) for part in parts]
    mean = sum(loss.mean * loss.examples for loss in losses) / 4
    torch.testing.assert_close(mean, task.loss(net, whole).mean)
    nothing = next(task.batches(0, 2, Shard(3, 4)))
    loss = task.loss(net, nothing)
    assert loss.examples == 0
    loss.mean.backward()
    assert not any(parameter.grad.any() for parameter in net.parameters())


def test_settings_that_do_not_fit_each_other():
    with pytest.raises(UserError, match="dropout: deepspeech2 has none"):
        validate(Settings, {"network": "deepspeech2", "dropout": 0.1, "batch_size": 4}, "x")
    with pytest.raises(UserError, match="network"):
        validate(Settings, {"network": "resnet18", "batch_size": 4}, "x")


def test_compiled_networks_are_refused(speech):
    task = make(speech)
    net = task.model()
    net.add_module("_orig_mod", torch.nn.Identity())  # as torch.compile's wrapper has
    with pytest.raises(UserError, match="--compile"):
        task.loss(net, next(task.batches(1, 0, ALONE)))


def test_where_spectrograms_are_kept(monkeypatch, tmp_path):
    monkeypatch.delenv("SPECTROGRAMS", raising=False)
    assert spectrogram_folder(tmp_path) == tmp_path / "features"
    monkeypatch.setenv("SPECTROGRAMS", "none")
    assert spectrogram_folder(tmp_path) is None
    monkeypatch.setenv("SPECTROGRAMS", "/elsewhere")
    assert spectrogram_folder(tmp_path) == Path("/elsewhere")


def test_deepspeech2_says_what_the_paper_trained_it_on(speech):
    assert not make(speech).corpus["notes"][1:]
    assert "2100 hours" in make(speech, network="deepspeech2").corpus["notes"][-1]


@pytest.mark.parametrize(
    ("recipe", "table", "baseline"),
    [("wsj-deepspeech", "table7_deepspeech", 150), ("wsj-deepspeech2", "table9_deepspeech2", 60)],
)
def test_phases_are_the_papers(recipe, table, baseline):
    with (ROOT / "results" / "paper" / f"{table}.csv").open() as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    chosen = SUITE.recipe(recipe)
    names = dict(
        zip(
            ("dense_0", "sparse_1", "dense_1", "sparse_2", "dense_2"),
            chosen.arms["dsd"].phases,
            strict=True,
        )
    )
    for row, name in names.items():
        phase = chosen.phases[name]
        assert (phase.epochs, phase.lr) == (float(rows[row]["epochs"]), float(rows[row]["lr"]))
        assert 100 * phase.sparsity == float(rows[row]["sparsity_pct"])
    long = [chosen.phases[name] for name in chosen.arms["baseline"].phases]
    assert sum(phase.epochs for phase in long) == float(rows["baseline"]["epochs"]) == baseline
    assert {phase.lr for phase in long} == {float(rows["baseline"]["lr"])}
    after = sum(chosen.phases[name].epochs for name in chosen.arms["dsd"].phases[1:])
    assert chosen.phases["llr"].epochs == after


@pytest.mark.parametrize("name", [n for n in SUITE.recipes if "deepspeech" in n])
def test_only_fully_connected_and_recurrent_layers_are_pruned(name):
    recipe = SUITE.recipe(name)
    settings = Settings.model_validate({**recipe.task, "hidden": 8})
    net = network(settings)
    optimizer = make_optimizer(recipe.optimizer, net.parameters(), 0.1)
    pruned = set(prunable(net, optimizer, recipe.exclude, recipe.include))
    assert not any(p.startswith(("conv", "output", "norm")) for p in pruned)
    matrices = {n for n, p in net.named_parameters() if p.dim() > 1}
    assert {n for n in matrices - pruned if not n.startswith(("conv", "output"))} == set()
    assert any(n.startswith("recurrent") for n in pruned)
