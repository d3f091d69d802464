"""Speech by espeak-ng, the same bits in every run and process.

Its functions and constants are those of espeak-ng 1.52's speak_lib.h and espeak_ng.h.
"""

import ctypes
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import espeakng_loader
import numpy as np

NATIVE_RATE = 22_050  # Hz: 441 samples where 16 kHz has 320
AUDIO_OUTPUT_SYNCHRONOUS = 2
DONT_EXIT = 0x8000  # when its data is not found
RATE, PITCH = 1, 3  # parameters
CHARS_UTF8 = 1

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Prompt(NamedTuple):
    """A text, and the voice that is to speak it."""

    text: str
    voice: str  # "en-us+f3": an accent and one of its variants
    rate: int  # words a minute, 80..450
    pitch: int  # 0..99


def synthesise(prompts: Sequence[Prompt]) -> list[np.ndarray]:
    """Speaks all prompts in turn: mono int16 samples at 16 kHz, hardly any silence at the ends.

    What espeak-ng has spoken before changes the flutter, breath and length of what it speaks next;
    so each call has a fresh process, and the same prompts give the same bits. Raises OSError when
    espeak-ng does not start or does not know a voice.
    """
    script, request = (sys.executable, "-P", __file__), json.dumps(prompts).encode()
    done = subprocess.run(script, input=request, capture_output=True)
    if done.returncode:
        raise OSError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    with np.load(io.BytesIO(done.stdout)) as spoken:
        return list(spoken.values())


def _say_all(prompts: Sequence[Prompt]) -> list[np.ndarray]:
    library = Path(espeakng_loader.get_library_path())
    espeak = ctypes.CDLL(str(library))
    os.chdir(library.parent / "espeak-ng-data")  # given by its path, a deep folder is not found
    heard: list[bytes] = []

    def hear(samples: int | None, count: int, events: int | None) -> int:
        if samples:
            heard.append(ctypes.string_at(samples, 2 * count))
        return 0

    rate = espeak.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, b".", DONT_EXIT)
    if rate != NATIVE_RATE:
        raise OSError(f"{library}: does not start")
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else the clock's
    callback = _Callback(hear)
    espeak.espeak_SetSynthCallback(callback)
    spoken = []
    for prompt in prompts:
        if espeak.espeak_SetVoiceByName(prompt.voice.encode()):
            raise OSError(f"no voice {prompt.voice}")
        espeak.espeak_SetParameter(RATE, prompt.rate, 0)
        espeak.espeak_SetParameter(PITCH, prompt.pitch, 0)
        heard.clear()
        text = prompt.text.encode() + b"\0"
        espeak.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, CHARS_UTF8, None, None)
        spoken.append(_resampled(np.frombuffer(b"".join(heard), np.int16)))
    return spoken


def _resampled(samples: np.ndarray) -> np.ndarray:
    """Returns the samples at 16 kHz, their spectrum below 8 kHz; filled up to 20 ms."""
    parts = -(-len(samples) // 441)
    spectrum = np.fft.rfft(samples, 441 * parts)[: 160 * parts + 1]
    wave = np.fft.irfft(spectrum, 320 * parts) * 320 / 441
    return wave.round().clip(-(2**15), 2**15 - 1).astype(np.int16)


if __name__ == "__main__":  # the fresh process
    np.savez(sys.stdout.buffer, *_say_all([Prompt(*prompt) for prompt in json.load(sys.stdin)]))
