"""What it costs to prepare speech for a network: seconds of speech over seconds of work, padding.

    AN4=/path python -m benchmarks.speech [--rounds 5] [--threads 1] [--out FILE]

Spectrograms of AN4's training set, prepared (without AN4: of the miniature), on the CPU: from
samples in memory, and from its FLAC files. The ratio counts CPU time; the control is the same
again. Padding: all frames of an epoch's batches over those that hold speech, an epoch a round.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.pairs import options, spread, timed, write
from data.an4 import load
from data.mini import an4 as mini
from data.spectrogram import spectrogram
from data.speech import SpeechSet, read_samples
from data.utterances import Utterances

CPU = torch.device("cpu")
REAL_TIME = 500.0  # seconds of speech a second, at least
PADDED = round(1 / 0.9, 3)  # at most: less than 10 % of frames are padding
BATCH = 16  # utterances, as in recipes/an4/deepspeech.yaml


def features_case(speech: SpeechSet, rounds: int, files: bool) -> dict[str, Any]:
    """Times the spectrograms of all utterances, with or without reading their files."""
    read = partial(read_samples, speech.root)
    samples = [] if files else list(map(read, speech.utterances))

    def work() -> None:
        for one in map(read, speech.utterances) if files else samples:
            spectrogram(one)

    corpus = f"{speech.name}, the miniature" if speech.notes else speech.name
    seconds = sum(utterance.seconds for utterance in speech.utterances)
    return {
        "case": f"seconds of speech over seconds of work: {corpus}, "
        + ("from FLAC files" if files else "from samples in memory"),
        "clock": "cpu",
        "seconds_of_speech": round(seconds, 1),
        "ratios": _real_time(work, seconds, rounds),
        "least": REAL_TIME,
    }


def padding_case(speech: SpeechSet, rounds: int) -> dict[str, Any]:
    """Counts the frames of the epochs after the first; the control is the order by duration."""
    loader = Utterances(speech, None, batch_size=BATCH, seed=0)

    def over(epoch: int | None) -> float:
        return 1 / (1 - loader.padding(epoch) / 100)

    ratios = {
        "measured": spread(np.array([over(epoch) for epoch in range(1, rounds + 1)])),
        "control": spread(np.full(rounds, over(None))),
    }
    return {
        "case": f"all frames over those of speech: {speech.name}, batches of {BATCH}",
        "clock": "cpu",
        "ratios": {"cpu": ratios, "wall": ratios},
        "target": PADDED,
    }


def _real_time(work: Callable[[], None], seconds: float, rounds: int) -> dict[str, Any]:
    work()  # untimed: the files come into memory
    times = [[timed(work, CPU) for _ in range(rounds)] for _ in ("measured", "control")]
    return {
        clock: {
            name: spread(np.array([seconds / one[clock] for one in runs]))
            for name, runs in zip(("measured", "control"), times, strict=True)
        }
        for clock in ("cpu", "wall")
    }


def cases(root: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """Yields the three cases."""
    speech = load(root, "train")
    yield features_case(speech, rounds, files=False)
    yield features_case(speech, rounds, files=True)
    yield padding_case(speech, rounds)


def main() -> None:
    chosen = options(__doc__ or "", "speech", rounds=5)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.environ.get("AN4") or f"{folder}/an4")
        if not os.environ.get("AN4"):
            mini.write(root)
        write("speech", cases(root, chosen.rounds), CPU, chosen.out)


if __name__ == "__main__":
    main()
