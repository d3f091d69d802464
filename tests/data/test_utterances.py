"""Batches of utterances: what is in them, their order, and that it depends on the seed alone."""

import numpy as np
import pytest
import torch

from data.spectrogram import frames
from data.speech import encode
from data.utterances import Utterances
from dsd.errors import UserError
from dsd.suite.task import Shard

LENGTHS = [320 + 160 * int(n) for n in np.random.default_rng(0).integers(20, 120, 90)]
TEXTS = ["a", "go on", "it's"]


@pytest.fixture(scope="module")
def speech(tmp_path_factory, speech_set):
    texts = [TEXTS[i % 3] for i in range(len(LENGTHS))]
    return speech_set(tmp_path_factory.mktemp("speech") / "corpus", LENGTHS, texts)


def loader(speech, **options):
    options = {"cache": None, "batch_size": 8, "seed": 1, **options}
    return Utterances(speech, **options)


def same(left, right):
    left, right = list(left), list(right)
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert torch.equal(a[name], b[name]) if torch.is_tensor(a[name]) else a[name] == b[name]


def test_a_batch(speech):
    batches = loader(speech)
    assert batches.steps == 12
    for batch in batches.batches(None):
        index = batch["index"].tolist()
        assert batch["frames"] == [frames(LENGTHS[i]) for i in index]
        assert batch["features"].shape == (len(index), max(batch["frames"]), 161)
        assert batch["label_lengths"] == [len(TEXTS[i % 3]) for i in index]
        assert batch["labels"] == [s for i in index for s in encode(TEXTS[i % 3])]
        for row, length in zip(batch["features"], batch["frames"], strict=True):
            assert row[:length].abs().sum(1).all()
            assert not row[length:].any()


@pytest.mark.parametrize("epoch", [None, 0, 1, 5])
def test_an_epoch_has_every_utterance_once(speech, epoch):
    found = [i for batch in loader(speech).batches(epoch) for i in batch["index"].tolist()]
    assert sorted(found) == list(range(len(LENGTHS)))


def test_the_first_epoch_goes_from_short_to_long(speech):
    lengths = [n for batch in loader(speech).batches(0) for n in batch["frames"]]
    assert lengths == sorted(lengths)
    later = [n for batch in loader(speech).batches(1) for n in batch["frames"]]
    assert later != sorted(later)


def test_batches_change_but_their_utterances_stay_alike(speech):
    def members(epoch):
        return {frozenset(b["index"].tolist()) for b in loader(speech).batches(epoch)}

    assert members(1) != members(2)
    assert max(loader(speech).padding(epoch) for epoch in (0, 1, 2)) < 10


def test_padding_in_percent(tmp_path, speech_set):
    speech = speech_set(tmp_path / "corpus", [320, 320 + 160 * 9])  # 1 and 10 frames
    assert loader(speech, batch_size=2).padding(None) == pytest.approx(100 * 9 / 20)
    assert loader(speech, batch_size=1).padding(None) == 0


def test_order_depends_on_seed_and_epoch(speech):
    same(loader(speech).batches(3), loader(speech).batches(3))
    order = [b["index"].tolist() for b in loader(speech).batches(3)]
    assert order != [b["index"].tolist() for b in loader(speech).batches(4)]
    assert order != [b["index"].tolist() for b in loader(speech, seed=2).batches(3)]


def test_any_first_step_any_workers_any_cache(speech, tmp_path):
    whole = list(loader(speech).batches(2))
    same(loader(speech).batches(2, 3), whole[3:])
    same(loader(speech, workers=2).batches(2), whole)
    same(loader(speech, cache=tmp_path, workers=1).batches(2), whole)


def test_processes_share_a_batch(speech):
    whole = [batch["index"].tolist() for batch in loader(speech).batches(2)]
    parts = [
        [b["index"].tolist() for b in loader(speech).batches(2, 0, Shard(r, 3))] for r in range(3)
    ]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert batch == [i for share in shares for i in share]
    # 90 utterances in batches of 8 leave 2, which is less than three processes.
    last = next(iter(loader(speech).batches(None, 11, Shard(2, 3))))
    assert last["features"].shape == (0, 0, 161)
    assert last["labels"] == []
    assert last["frames"] == last["label_lengths"] == []


def test_a_damaged_file_is_named_from_a_worker_too(speech_set, tmp_path):
    damaged = speech_set(tmp_path / "corpus", [1000, 2000])
    (tmp_path / "corpus" / "audio" / "train" / "u1.flac").write_bytes(b"no flac")
    for workers in (0, 1):
        with pytest.raises(UserError, match=r"u1\.flac"):
            list(loader(damaged, workers=workers).batches(None))
