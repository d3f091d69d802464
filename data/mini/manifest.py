"""A miniature of one's own speech: NeMo's manifests, recordings of several rates and channels."""

import io
import json
from pathlib import Path

import numpy as np
import soundfile
import torch
from torchaudio.functional import resample

from data.audio import SAMPLE_RATE
from data.manifest import sources
from data.mini import speech

SPEAKERS = {"train": 60, "dev": 4, "test": 8}
RATES = (8000, 16_000, 22_050, 44_100, 48_000)  # Hz


def write(root: Path) -> None:
    """Writes the corpus into `root` and prepares it, unless it is there.

    Raises UserError if something else is.
    """
    speech.write_corpus(root, "manifest", _record, sources)


def _record(discs: Path) -> None:
    for split, recordings in speech.record(8, SPEAKERS).items():
        lines = []
        for number, recording in enumerate(recordings):
            file = f"recordings/{split} {number}.wav"
            rate = RATES[number % len(RATES)]
            speech.write_file(discs / file, _wav(recording.samples, rate, 1 + number % 2))
            keys = {
                "audio_filepath": file,
                "duration": round(len(recording.samples) / SAMPLE_RATE, 2),
                "text": recording.text.capitalize() + ".",
            }
            lines.append(json.dumps(keys) + "\n")
        speech.write_file(discs / f"{split}.jsonl", "".join(lines).encode())


def _wav(samples: np.ndarray, rate: int, channels: int) -> bytes:
    """Returns a WAV file at another rate; its channels are alike."""
    wave = resample(torch.from_numpy(samples).double(), SAMPLE_RATE, rate)
    whole = wave.round().clamp(-(2**15), 2**15 - 1).to(torch.int16).numpy()
    file = io.BytesIO()
    soundfile.write(file, np.stack([whole] * channels, 1), rate, format="WAV")
    return file.getvalue()
