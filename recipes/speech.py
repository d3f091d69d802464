"""Speech recognition by CTC: what WSJ, AN4 and LibriSpeech share.

Decoded as in the paper, by the likeliest symbol of each frame, without a language model; scored by
the word error rate pooled over the test set.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from data.spectrogram import frames
from data.speech import ALPHABET, SYMBOLS, SpeechSet, encode, greedy
from data.utterances import Utterances
from dsd.errors import UserError
from dsd.suite.task import Batch, Loss, Plain, Shard
from models import build
from models.ctc import CTCLoss, costs, fits
from models.deepspeech import BINS
from models.weights import load_weights
from recipes.metrics import wer

Positive = Annotated[int, Field(gt=0)]
FRAMES = 100  # of the example: a second


class Settings(BaseModel):
    """The `task:` section of a speech recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: Literal["deepspeech", "deepspeech2"]
    hidden: Positive | None = None  # units of a layer, where the paper's are not wanted
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of deepspeech alone
    batch_size: Positive  # utterances
    heldout_speakers: Annotated[int, Field(ge=0)] = 0  # of training, for curves and tuning

    @model_validator(mode="after")
    def _dropout_is_of_deepspeech(self) -> "Settings":
        if self.dropout and self.network != "deepspeech":
            raise ValueError(f"dropout: {self.network} has none; leave it out")
        return self


@dataclass(frozen=True)
class Corpus:
    """The sets of a corpus, and whether its transcripts may stand in a public record."""

    train: SpeechSet | None  # None: to score weights on the tests alone
    heldout: tuple[str, SpeechSet] | None  # its name and the set
    tests: dict[str, SpeechSet]
    public: bool


class SpeechTask:
    """CTC training, WER in percent by greedy decoding."""

    metric = "wer_pct"
    lower_is_better = True
    choose_by = "wer_pct"
    unit = "utterances"

    def __init__(self, settings: Settings, corpus: Corpus, seed: int, workers: int) -> None:
        self._settings, self._public = settings, corpus.public
        narrow: Any = network(settings.model_copy(update={"hidden": 1}))  # costs next to nothing
        self._output_frames = narrow.output_frames
        train, heldout = corpus.train, corpus.heldout
        if train and settings.heldout_speakers:
            train, apart = hold_out(train, settings.heldout_speakers)
            heldout = ("heldout", apart)
        self.heldout = heldout[0] if heldout else None
        self.tests = tuple(corpus.tests)
        self.skipped: list[str] = []
        self._sets: dict[str, SpeechSet] = {}
        if train:
            self._sets["train"], self.skipped = self._fitting(train)
        self._sets |= {**dict([heldout] if heldout else []), **corpus.tests}
        self._batches = {
            split: Utterances(
                speech,
                spectrogram_folder(speech.root),
                batch_size=settings.batch_size,
                seed=seed,
                workers=workers,
            )
            for split, speech in self._sets.items()
        }
        self._loss = CTCLoss(size_average=True)
        self.steps_per_epoch = self._batches["train"].steps if train else 0
        self.assets = {"alphabet": ALPHABET, "task": settings.model_dump(mode="json")}
        self.corpus: dict[str, Any] = {
            "name": next(iter(self._sets.values())).name.partition("/")[0],
            "fingerprint": {split: s.fingerprint() for split, s in self._sets.items()},
            "utterances": {split: len(s) for split, s in self._sets.items()},
            "hours": {split: round(_hours(s), 3) for split, s in self._sets.items()},
            "notes": self._notes(),
        }

    def model(self, weights: str | None = None) -> nn.Module:
        """Returns the network as training begins, or with these weights."""
        net = network(self._settings)
        if weights:
            load_weights(net, weights, network=self._settings.network)
        return net

    def batches(self, epoch: int, first_step: int, shard: Shard) -> Iterator[Batch]:
        """Yields one epoch's batches from `first_step` on; the very first goes from short to long.

        Raises UserError when a process would have no utterance of a batch.
        """
        shard.check(self._settings.batch_size, self.unit)
        return self._batches["train"].batches(epoch, first_step, shard)

    def batch_sizes(self, epoch: int) -> list[int]:
        """Returns how many utterances each training batch has, all processes together."""
        return self._batches["train"].sizes(epoch)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Returns nats per utterance. Raises UserError for a network that torch.compile wraps."""
        if hasattr(model, "_orig_mod"):
            raise UserError("--compile: torch cannot compile how speech is packed; leave it out")
        activations, lengths = model(batch["features"], batch["frames"])
        labels = torch.tensor(batch["labels"], dtype=torch.int64)  # never on a GPU: it is read here
        cost = self._loss(activations, labels, lengths, batch["label_lengths"])
        return Loss(cost.squeeze(0), len(batch["index"]), {})

    def eval_batches(self, split: str, shard: Shard) -> Iterator[Batch]:
        """Yields a split's utterances, from short to long."""
        for batch in self._batches[split].batches(None, 0, shard):
            yield {**batch, "split": split}

    def predict(self, model: nn.Module, batch: Batch) -> dict[str, Tensor | Sequence[Any]]:
        """Returns for each utterance the counts of `wer.counts`, and nats.

        Where the corpus is public also hypothesis and reference. An utterance that no
        output could spell, as it has too few frames, has nats of -1.
        """
        activations, lengths = model(batch["features"], batch["frames"])
        hypotheses = transcripts(activations, lengths)
        utterances = self._sets[batch["split"]].utterances
        references = [utterances[i].text for i in batch["index"].tolist()]
        labels = torch.tensor(batch["labels"], dtype=torch.int64)
        pairs = zip(hypotheses, references, strict=True)
        results: dict[str, Tensor | Sequence[Any]] = {
            "index": batch["index"],
            "counts": [wer.counts(hypothesis, reference) for hypothesis, reference in pairs],
            "nats": costs(activations, labels, lengths, batch["label_lengths"]),
        }
        if self._public:
            results |= {"hypothesis": hypotheses, "reference": references}
        return results

    def metrics(self, split: str, results: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Returns WER and CER in percent, and nats per utterance that has frames enough."""
        nats = results["nats"][results["nats"] >= 0]
        loss = {"loss": float(np.mean(nats, dtype=np.float64))} if len(nats) else {}
        return {**loss, **wer.rates(results["counts"])}

    def _fitting(self, speech: SpeechSet) -> tuple[SpeechSet, list[str]]:
        """Returns the set without the utterances whose transcript has more symbols than frames."""
        kept, skipped = [], []
        for utterance in speech.utterances:
            outputs = self._output_frames(frames(utterance.samples))
            if outputs > 1 and fits(outputs, encode(utterance.text)):  # BatchNorm needs two
                kept.append(utterance)
            else:
                skipped.append(utterance.name)
        if not kept:
            raise UserError(
                f"{speech.root}: no utterance of {speech.name} has frames enough for its "
                "transcript; prepare the corpus again, or use another network"
            )
        return replace(speech, utterances=tuple(kept)), skipped

    def _notes(self) -> list[str]:
        notes = [note for speech in self._sets.values() for note in speech.notes]
        if self._settings.network == "deepspeech2":
            notes.append("the paper trained DeepSpeech 2 on 2100 hours that are not public")
        return list(dict.fromkeys(notes))


def network(settings: Settings) -> nn.Module:
    """Returns the network of a recipe's `task:` section, freshly initialised."""
    return build(settings.network, **_options(settings))


def _options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"num_classes": SYMBOLS}
    if settings.hidden:
        options["hidden"] = settings.hidden
    if settings.dropout:
        options["dropout"] = settings.dropout
    return options


def plain(settings: Settings, assets: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Plain:
    """Returns a checkpoint's network, and a second of noise as its example."""
    options = "".join(f", {name}={value!r}" for name, value in _options(settings).items())
    features = torch.randn(1, FRAMES, BINS, generator=torch.Generator().manual_seed(0))
    return Plain(
        network(settings),
        (features, [FRAMES]),
        f"from models import build\n\nnet = build({settings.network!r}{options})",
        f"`net(features, frames)`: spectrograms (B, frames, {BINS}) of `data/spectrogram.py` and "
        "the frames of each give activations (frames', B, symbols) and how many each has; "
        "`recipes.speech.transcripts` makes words of them. Symbol i + 1 is the alphabet's i-th in "
        "`config.json`, 0 is CTC's blank.",
        {
            "library_name": "pytorch",
            "pipeline_tag": "automatic-speech-recognition",
            "metrics": ["wer", "cer"],
        },
    )


def spectrogram_folder(root: Path) -> Path | None:
    """Returns where spectrograms are kept: beside the manifests, or where SPECTROGRAMS points.

    None, for SPECTROGRAMS=none: they are computed for every batch.
    """
    given = os.environ.get("SPECTROGRAMS", "")
    if given == "none":
        return None
    return Path(given) if given else root / "features"


def transcripts(activations: Tensor, lengths: Sequence[int]) -> list[str]:
    """Returns the greedy transcript of each utterance; activations: (frames, batch, symbols)."""
    best = activations.argmax(2).t().tolist()
    return [greedy(row[:length]) for row, length in zip(best, lengths, strict=True)]


def hold_out(train: SpeechSet, speakers: int) -> tuple[SpeechSet, SpeechSet]:
    """Returns the set without some of its speakers, and these: evenly picked from all, sorted.

    Raises UserError when none would be left.
    """
    names = sorted({utterance.speaker for utterance in train.utterances})
    if speakers >= len(names):
        raise UserError(
            f"task.heldout_speakers: {speakers} of the {len(names)} speakers of {train.name}; "
            "leave some for training"
        )
    apart = {names[i * len(names) // speakers] for i in range(speakers)}
    rest = tuple(u for u in train.utterances if u.speaker not in apart)
    held = tuple(u for u in train.utterances if u.speaker in apart)
    name = f"{train.name.partition('/')[0]}/heldout"
    return replace(train, utterances=rest), replace(train, name=name, utterances=held)


def _hours(speech: SpeechSet) -> float:
    return sum(utterance.seconds for utterance in speech.utterances) / 3600
