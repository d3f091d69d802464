"""Transcribes any recording with a trained network: `dsd transcribe`."""

from pathlib import Path

import torch

from data.audio import read_audio
from data.spectrogram import spectrogram
from data.speech import ALPHABET
from dsd.errors import UserError
from dsd.runs import checkpoint
from dsd.suite.finite import not_finite
from dsd.suite.recipe import validate
from recipes.speech import Settings, network, transcripts


class Transcriber:
    """A network of a finished or running phase, e.g. runs/an4-deepspeech/seed0/dense/sparse1.

    Raises UserError when the folder holds no network of speech.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        state = checkpoint.load_named(run)
        assets = state.get("assets", {})
        if assets.get("alphabet") != ALPHABET or "task" not in assets:
            raise UserError(f"{run}: is not of speech; name a run of dsd run an4-deepspeech ...")
        self._net = network(validate(Settings, assets["task"], f"{run}: task")).eval()
        self._net.load_state_dict(state["model"])

    @torch.inference_mode()
    def __call__(self, recording: Path) -> str:
        """Returns the words of a recording. Raises UserError naming one that cannot be read."""
        features = torch.from_numpy(spectrogram(read_audio(recording))).float()
        activations, lengths = self._net(features[None], [len(features)])
        if not activations.isfinite().all():
            raise not_finite(str(self._run))
        (text,) = transcripts(activations, lengths)
        return text
