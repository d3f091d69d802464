"""Batches of utterances of similar duration, the same bits for the same seed, from any step on.

The first epoch goes from short to long (SortaGrad: Amodei et al. 2016, section 3.3); in every later
one the batches come in random order. Neither workers nor processes change what is in a batch.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from data.batches import Reader, generator, in_batches, parts
from data.spectrogram import BINS, Spectrograms
from data.speech import SpeechSet, encode
from dsd.errors import UserError
from dsd.suite.task import ALONE, Shard

Batch = dict[str, Any]
JITTER = 0.03  # standard deviation by which durations are blurred, so that batches change


class Utterances:
    """Batches of a set: see `batches`. `steps` is how many an epoch has; the last may be short.

    cache: the folder that keeps the spectrograms, see data/spectrogram.py.
    """

    def __init__(
        self, speech: SpeechSet, cache: Path | None, *, batch_size: int, seed: int, workers: int = 0
    ) -> None:
        self._dataset = _Batches(speech, Spectrograms(speech, cache))
        self._read = Reader(self._dataset, workers)
        self._batch_size, self._seed = batch_size, seed
        self._durations = np.array([utterance.samples for utterance in speech.utterances])
        self.steps = -(-len(speech) // batch_size)

    def batches(
        self, epoch: int | None, first_step: int = 0, shard: Shard = ALONE
    ) -> Iterator[Batch]:
        """Yields this process's part of each batch from `first_step` on.

        Without an epoch the batches go from short to long. A part of a short batch can be empty.

        features (B, T, 161) float32, zero after an utterance's end; frames: B ints; labels: the
        transcripts' symbols in a row, ints; label_lengths: B ints; index (B,): place in the set.
        """
        return self._read(parts(self._order(epoch), first_step, shard))

    def sizes(self, epoch: int | None) -> list[int]:
        """Returns how many utterances each batch of an epoch has, all processes together."""
        return [len(batch) for batch in self._order(epoch)]

    def padding(self, epoch: int | None) -> float:
        """Returns the share of an epoch's frames that is padding, in percent."""
        frames = np.array(self._dataset.spectrograms.frames)
        batches = [frames[batch] for batch in self._order(epoch)]
        padded = sum(len(batch) * batch.max() for batch in batches)
        return float(100 * (1 - frames.sum() / padded))

    def _order(self, epoch: int | None) -> list[np.ndarray]:
        durations, order = self._durations, None
        if epoch:
            draws = generator(self._seed, epoch)
            blur = torch.randn(len(durations), generator=draws).numpy()
            durations = durations * np.exp(JITTER * blur)
            order = torch.randperm(self.steps, generator=draws).tolist()
        batches = in_batches(np.argsort(durations, kind="stable"), self._batch_size)
        return [batches[i] for i in order] if order else batches


class _Batches(Dataset[Batch | UserError]):
    """Maps the indices of a batch to the batch, in a worker or here."""

    def __init__(self, speech: SpeechSet, spectrograms: Spectrograms) -> None:
        self.spectrograms = spectrograms
        self._labels = [encode(utterance.text) for utterance in speech.utterances]

    def __getitem__(self, indices: np.ndarray) -> Batch | UserError:
        places = indices.tolist()
        frames = [self.spectrograms.frames[place] for place in places]
        features = torch.zeros(len(places), max(frames, default=0), BINS)
        try:
            for row, place in enumerate(places):
                features[row, : frames[row]] = torch.from_numpy(self.spectrograms[place])
        except UserError as error:
            return error
        labels = [self._labels[place] for place in places]
        return {
            "index": torch.from_numpy(indices),
            "features": features,
            "frames": frames,
            "labels": [symbol for each in labels for symbol in each],
            "label_lengths": [len(each) for each in labels],
        }
