"""Spectrograms as Deep Speech reads them: 161 bins of a 20 ms window, every 10 ms.

Log power, each bin of an utterance brought to mean 0 and variance 1. The paper names the window and
the bins (tables 6 and 8); the logarithm and the scale are ours.
"""

import fcntl
import hashlib
import zlib
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from data.audio import SAMPLE_RATE
from data.speech import SpeechSet, read_samples
from dsd.errors import UserError
from dsd.runs.files import whole_file

WINDOW = SAMPLE_RATE * 20 // 1000  # samples
STEP = SAMPLE_RATE * 10 // 1000  # samples
BINS = WINDOW // 2 + 1
FLOOR = 1e-6  # added to the power: 20 dB above the rounding noise of 16 bits
VERSION = "1"  # of the values: raise it when they change


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

    cache: the folder that keeps them, 32 kB per second of speech; None: each is computed when it is
    needed, to the same bits. The file is an array of all frames, (frames, 161) float16, and then
    one of each utterance's CRC-32, which is compared whenever it is read. Raises UserError naming
    an audio file that cannot be read or is not the manifest's, or a damaged cache.
    """

    def __init__(self, speech: SpeechSet, cache: Path | None) -> None:
        self._speech = speech
        self.frames = [frames(utterance.samples) for utterance in speech.utterances]
        self._starts = [0, *accumulate(self.frames)]
        self._cache = self._written(cache) if cache else None
        self._rows: np.ndarray | None = None
        self._crcs = np.empty(0, np.uint32)

    def __getitem__(self, place: int) -> np.ndarray:
        """Returns an utterance's spectrogram, (frames, 161) float16."""
        if self._cache is None:
            return self._compute(place)
        if self._rows is None:  # opened late, so that worker processes open it themselves
            self._rows, self._crcs = _open(self._cache)
        rows = np.array(self._rows[self._starts[place] : self._starts[place + 1]])
        if zlib.crc32(rows.tobytes()) != self._crcs[place]:
            raise UserError(
                f"{self._cache}: damaged at {self._speech.utterances[place].name}; remove the "
                "file, the same command computes it again"
            )
        return rows

    def _compute(self, place: int) -> np.ndarray:
        return spectrogram(read_samples(self._speech.root, self._speech.utterances[place]))

    def _written(self, folder: Path) -> Path:
        """Returns the file of the set, which is written unless it is there and complete."""
        made_of = f"{VERSION} {self._speech.fingerprint()}"
        digest = hashlib.sha256(made_of.encode()).hexdigest()[:16]
        path = folder / f"{self._speech.name.replace('/', '-')}-{digest}.npy"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / ".lock").open("a") as file:
                fcntl.lockf(file, fcntl.LOCK_EX)  # waits for another process that writes the same
                if not self._is_whole(path):
                    self._write(path)
        except OSError as error:
            raise UserError(
                f"{error.filename or folder}: the spectrograms cannot be kept there "
                f"({error.strerror}); set SPECTROGRAMS to another folder, or to none"
            ) from None
        return path

    def _is_whole(self, path: Path) -> bool:
        """Returns whether all is there; whether it is sound is seen when it is read."""
        try:
            rows, crcs = _open(path)
        except (FileNotFoundError, ValueError, EOFError):
            return False
        shapes = rows.shape == (self._starts[-1], BINS) and crcs.shape == (len(self._speech),)
        return shapes and rows.dtype == "<f2" and crcs.dtype == "<u4"

    def _write(self, path: Path) -> None:
        """Writes the spectrograms of all utterances, whole or not at all."""
        places = track(range(len(self._speech)), self._speech.name, console=Console(stderr=True))
        crcs = np.zeros(len(self._speech), "<u4")
        with whole_file(path) as file:
            header = {"descr": "<f2", "fortran_order": False, "shape": (self._starts[-1], BINS)}
            np.lib.format.write_array_header_1_0(file, header)
            for place in places:
                rows = self._compute(place).astype("<f2").tobytes()
                crcs[place] = zlib.crc32(rows)
                file.write(rows)
            np.save(file, crcs)


def _open(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the frames of a cache, mapped, and the utterances' CRC-32."""
    rows = np.load(path, mmap_mode="r", allow_pickle=False)
    with path.open("rb") as file:
        file.seek(rows.offset + rows.nbytes)
        return rows, np.load(file, allow_pickle=False)


@cache
def _hann() -> Tensor:
    return torch.hann_window(WINDOW)
