"""Captions any picture with a trained network: `dsd caption`."""

import math
from collections.abc import Sequence
from pathlib import Path

from data.captions import Vocabulary
from dsd.errors import UserError
from dsd.runs import checkpoint
from dsd.suite.finite import not_finite
from models.neuraltalk import NeuralTalk
from models.neuraltalk_checkpoint import read_original
from recipes.image_features import Encoder


class Captioner:
    """A captioning network, its vocabulary, and the network that computes image features.

    run: the folder of a phase, e.g. runs/flickr8k-neuraltalk/seed0/dense/sparse/redense, or a
    checkpoint of the original program (.p). weights: of the network that computes features, as for
    `dsd features` (default: the usual ones). Raises UserError when there is no captioner.
    """

    def __init__(self, run: Path, weights: str | None = None) -> None:
        self._run = run
        self._net, words, network = _original(run) if run.suffix == ".p" else _trained(run)
        self._net.eval()
        self._vocabulary = Vocabulary(words, counts=(0,) * len(words))
        self._encoder = Encoder(network, weights, upright=True)

    def __call__(self, images: Sequence[Path], beam: int) -> list[tuple[str, float]]:
        """Returns a caption and its log probability (nats) for each picture.

        Photographs are turned upright, as their cameras say. Raises UserError naming a file that is
        missing or no picture, and for scores that are not finite.
        """
        features = self._encoder(images)
        if features.shape[1] != len(self._net.We):
            raise UserError(
                f"the captioner reads {len(self._net.We)} features of an image, not the "
                f"{features.shape[1]} that are computed here; it is of another network"
            )
        found = self._net.caption(features, beam=beam)
        if not all(math.isfinite(score) for _, score in found):
            raise not_finite(str(self._run))
        return [(self._vocabulary.decode(words), score) for words, score in found]


def _original(path: Path) -> tuple[NeuralTalk, tuple[str, ...], str]:
    net, words = read_original(path)
    return net, words, "vgg16"


def _trained(run: Path) -> tuple[NeuralTalk, tuple[str, ...], str]:
    state = checkpoint.load_named(run)
    assets = state.get("assets", {})
    if not {"vocabulary", "features"} <= assets.keys():
        raise UserError(f"{run}: has no captioner; name a run of flickr8k-neuraltalk")
    return NeuralTalk(state["model"]), tuple(assets["vocabulary"]), assets["features"]
