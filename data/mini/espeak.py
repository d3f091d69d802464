"""Speech by espeak-ng, the same bits in every run and process.

Its functions and constants are those of espeak-ng 1.52's speak_lib.h and espeak_ng.h.
"""

import ctypes
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import espeakng_loader
import numpy as np

SAMPLE_RATE = 16_000  # Hz, of what is returned
AUDIO_OUTPUT_SYNCHRONOUS = 2
DONT_EXIT = 0x8000  # when its data is not found
RATE, PITCH = 1, 3  # parameters
CHARS_UTF8 = 1

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Prompt(NamedTuple):
    """What is to be said, and how."""

    text: str
    voice: str  # "en-us+f3": an accent and one of its variants
    rate: int  # words a minute, 80..450
    pitch: int  # 0..99


def synthesise(prompts: Sequence[Prompt]) -> list[np.ndarray]:
    """Says all prompts in turn: mono int16 samples at 16 kHz, hardly any silence at the ends.

    What espeak-ng has said before changes the flutter, breath and length of what it says next; so
    each call has a fresh process, and the same prompts give the same bits.
    Raises OSError when espeak-ng does not start, ValueError when it has no such voice.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(_say_all, list(prompts)).result()


def _say_all(prompts: list[Prompt]) -> list[np.ndarray]:
    library = Path(espeakng_loader.get_library_path())
    espeak = ctypes.CDLL(str(library))
    os.chdir(library.parent / "espeak-ng-data")  # given by its path, a deep folder is not found
    heard: list[bytes] = []

    def hear(samples: int | None, count: int, events: int | None) -> int:
        if samples:
            heard.append(ctypes.string_at(samples, 2 * count))
        return 0

    rate = espeak.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, b".", DONT_EXIT)
    if rate <= 0:
        raise OSError(f"{library}: does not start")
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else the clock's
    callback = _Callback(hear)
    espeak.espeak_SetSynthCallback(callback)
    spoken = []
    for prompt in prompts:
        if espeak.espeak_SetVoiceByName(prompt.voice.encode()):
            raise ValueError(f"espeak-ng has no voice {prompt.voice}")
        espeak.espeak_SetParameter(RATE, prompt.rate, 0)
        espeak.espeak_SetParameter(PITCH, prompt.pitch, 0)
        heard.clear()
        text = prompt.text.encode() + b"\0"
        espeak.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, CHARS_UTF8, None, None)
        spoken.append(_resampled(np.frombuffer(b"".join(heard), np.int16), rate))
    return spoken


def _resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    """Returns the samples at 16 kHz: their spectrum below 8 kHz."""
    count = round(len(samples) * SAMPLE_RATE / rate)
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    wave = np.fft.irfft(spectrum, count) * count / len(samples)
    return wave.round().clip(-(2**15), 2**15 - 1).astype(np.int16)
