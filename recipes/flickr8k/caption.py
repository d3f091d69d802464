"""What a trained captioner says of any picture: `dsd caption`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.captions import Vocabulary
from dsd import checkpoint
from dsd.errors import UserError
from models.neuraltalk import PARAMETERS, NeuralTalk
from recipes.flickr8k.features import Encoder


class Captioner:
    """The network of a phase's folder, with its vocabulary and the network that sees for it.

    run: the folder of a phase, e.g. runs/flickr8k-neuraltalk/seed0/dense/sparse/redense.
    weights: of the network that makes features, as for `dsd features` (default: the usual ones).
    Raises UserError when the folder holds no captioner.
    """

    def __init__(self, run: Path, weights: str | None = None) -> None:
        state = _checkpoint(run)
        assets = state["assets"]
        words = tuple(assets["vocabulary"])
        self._vocabulary = Vocabulary(words, counts=(0,) * len(words))
        self._net = NeuralTalk(state["model"]).eval()
        self._encoder = Encoder(assets["features"], weights)

    def __call__(self, images: Sequence[Path], beam: int) -> list[tuple[str, float]]:
        """Returns a caption and its log probability (nats) for each picture.

        Raises UserError naming a file that is missing or no picture.
        """
        found = self._net.caption(self._encoder(images), beam=beam)
        return [(self._vocabulary.decode(words), score) for words, score in found]


def _checkpoint(run: Path) -> dict[str, Any]:
    state = checkpoint.load(run)
    if state is None:
        phases = sorted(path.parent for path in run.glob(f"**/{checkpoint.POINTER}"))
        hint = f"; name a phase's folder in it, such as {phases[-1]}" if phases else ""
        raise UserError(f"{run}: holds no checkpoint{hint or '; train one with dsd run'}")
    if not {"vocabulary", "features"} <= state.get("assets", {}).keys() or any(
        name not in state["model"] for name in PARAMETERS
    ):
        raise UserError(f"{run}: is no captioner's; name a run of flickr8k-neuraltalk")
    return state
