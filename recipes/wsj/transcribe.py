"""What a trained network hears in any recording: `dsd transcribe`."""

from collections.abc import Sequence
from pathlib import Path

import torch

from data.audio import read_audio
from data.spectrogram import spectrogram
from dsd import checkpoint
from dsd.errors import UserError
from recipes.speech import Settings, network, transcripts


class Transcriber:
    """A network of a finished or running phase, e.g. runs/an4-deepspeech/seed0/dense/sparse1.

    Raises UserError when the folder holds no network of speech.
    """

    def __init__(self, run: Path) -> None:
        state = checkpoint.load_named(run)
        assets = state.get("assets", {})
        if not {"alphabet", "task"} <= assets.keys():
            raise UserError(f"{run}: is not of speech; name a run of dsd run an4-deepspeech ...")
        self._net = network(Settings(**assets["task"])).eval()
        self._net.load_state_dict(state["model"])

    @torch.inference_mode()
    def __call__(self, recordings: Sequence[Path]) -> list[str]:
        """Returns the words of each recording. Raises UserError naming one that cannot be read."""
        heard = []
        for path in recordings:
            features = torch.from_numpy(spectrogram(read_audio(path))).float()
            heard += transcripts(*self._net(features[None], [len(features)]))
        return heard
