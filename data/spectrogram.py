"""Spectrograms as Deep Speech reads them: 161 bins of a 20 ms window, every 10 ms.

Log power, each bin of an utterance brought to mean 0 and variance 1. The paper names the window and
the bins (tables 6 and 8); the logarithm and the scale are ours.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from data.audio import SAMPLE_RATE, read_audio
from data.speech import SpeechSet
from dsd.errors import UserError

WINDOW = SAMPLE_RATE * 20 // 1000  # samples
STEP = SAMPLE_RATE * 10 // 1000  # samples
BINS = WINDOW // 2 + 1
FLOOR = 1e-6  # added to the power: about the rounding noise of 16 bits
VERSION = "1"  # of the numbers: raise it when they change


def frames(samples: int) -> int:
    """Returns how many frames an utterance of so many samples has, at least one."""
    return 1 + max(0, samples - WINDOW) // STEP


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """Returns (frames, 161) float16 of mono int16 samples at 16 kHz; silence is added to a window.

    Rounded to float16, so that it is the same whether it comes from a cache or not.
    """
    wave = torch.from_numpy(samples.astype(np.float32) / 2**15)
    wave = torch.nn.functional.pad(wave, (0, max(0, WINDOW - len(wave))))
    spectrum = torch.stft(wave, WINDOW, STEP, window=_hann(), center=False, return_complex=True)
    bins = (torch.view_as_real(spectrum).square().sum(-1) + FLOOR).log_()
    bins = (bins - bins.mean(1, keepdim=True)) / (bins.std(1, correction=0, keepdim=True) + 1e-3)
    return bins.t().to(torch.float16).numpy()


class Spectrograms:
    """The spectrograms of a set, by place: computed when they are asked for, or once.

    cached: they are kept in `<corpus>/features/`, 32 kB a second of speech. Raises UserError naming
    an audio file that cannot be read.
    """

    def __init__(self, speech: SpeechSet, *, cached: bool) -> None:
        self._speech = speech
        self.frames = [frames(utterance.samples) for utterance in speech.utterances]
        self._cache = _cache_file(speech) if cached else None
        self._starts = [0, *accumulate(self.frames)]
        if self._cache and not self._cache.exists():
            _write(self._cache, self._starts[-1], self._computed())
        self._rows: np.ndarray | None = None

    def __getitem__(self, place: int) -> np.ndarray:
        """Returns an utterance's spectrogram, (frames, 161) float16."""
        if self._cache is None:
            return self._compute(place)
        if self._rows is None:  # opened late, so that worker processes open it themselves
            self._rows = np.load(self._cache, mmap_mode="r")
        return np.array(self._rows[self._starts[place] : self._starts[place + 1]])

    def _compute(self, place: int) -> np.ndarray:
        utterance = self._speech.utterances[place]
        path = self._speech.root / utterance.file
        samples = read_audio(path)
        if len(samples) != utterance.samples:
            raise UserError(
                f"{path}: has {len(samples)} samples, the manifest says {utterance.samples}; "
                "prepare the corpus again"
            )
        return spectrogram(samples)

    def _computed(self) -> Iterator[np.ndarray]:
        text, console = f"features of {self._speech.name}", Console(stderr=True)
        for place in track(range(len(self._speech)), text, console=console):
            yield self._compute(place)


@cache
def _hann() -> Tensor:
    return torch.hann_window(WINDOW)


def _cache_file(speech: SpeechSet) -> Path:
    made_of = f"{VERSION} {speech.fingerprint()}"
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    return speech.root / "features" / f"{speech.name.rpartition('/')[2]}-{digest}.npy"


def _write(path: Path, rows: int, parts: Iterator[np.ndarray]) -> None:
    """Writes all rows in turn, whole or not at all; another process may write the same."""
    path.parent.mkdir(exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    try:
        file = np.lib.format.open_memmap(name, "w+", np.float16, (rows, BINS))
        at = 0
        for part in parts:
            file[at : at + len(part)] = part
            at += len(part)
        file.flush()
        del file
        os.chmod(name, 0o644)  # mkstemp's is private
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
