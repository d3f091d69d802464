"""What the miniature speech corpora share: numbers and commands, by many voices of espeak-ng."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.audio import SAMPLE_RATE
from data.images import MINIATURE
from data.mini.espeak import Prompt, synthesise
from data.mini.images import VERSION, is_written, new_folder
from data.prepare import Source, prepare
from dsd.errors import UserError

ACCENTS = ("en-us", "en")
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5")
PITCHES = range(25, 76, 5)
UTTERANCES = 6  # of each speaker

COMMANDS = ("yes", "no", "stop", "start", "go", "help", "don't stop", "don't go")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COLOURS = ("red", "green", "blue", "white")
SENTENCES = (
    "{command}",
    "{a} {b}",
    "{a} {b} {c}",
    "{colour} {a}",
    "{colour} light {switch}",
    "turn the {colour} light {switch}",
)


class Recording(NamedTuple):
    """An utterance: who (numbered through all splits), what, and mono int16 samples at 16 kHz."""

    speaker: int
    text: str
    samples: np.ndarray


def write_corpus(
    root: Path,
    corpus: str,
    record_in: Callable[[Path], None],
    sources: Callable[[Sequence[Path]], Mapping[str, Sequence[Source]]],
) -> None:
    """Writes an original corpus into `root`/discs and prepares it from there, unless it is there.

    `record_in` writes it into a folder, `sources` reads it. Raises UserError if something else is.
    """
    if is_written(root):
        return
    with new_folder(root) as folder:
        discs = folder / "discs"
        discs.mkdir()
        (discs / MINIATURE).write_text(VERSION)
        record_in(discs)
        prepare(corpus, sources([discs]), folder)


def record(seed: int, speakers: Mapping[str, int]) -> dict[str, list[Recording]]:
    """Records UTTERANCES of each speaker; `speakers`: how many each split has.

    No two speakers have the same voice at the same pitch. Raises UserError when espeak-ng does not
    start.
    """
    voices = list(product(ACCENTS, VARIANTS, PITCHES))
    cast = np.random.default_rng(seed).permutation(len(voices))[: sum(speakers.values())].tolist()
    rngs = [np.random.default_rng([seed, i]) for i in range(len(cast))]
    prompts = [p for i, rng in zip(cast, rngs, strict=True) for p in _script(rng, *voices[i])]
    try:
        spoken = iter(zip(prompts, synthesise(prompts), strict=True))
    except OSError as error:
        raise UserError(f"espeak-ng: {error}; install espeakng-loader again") from None
    people = iter(enumerate(rngs))
    return {
        split: [
            Recording(number, prompt.text, _in_a_room(samples, rng))
            for number, rng in islice(people, count)
            for prompt, samples in islice(spoken, UTTERANCES)
        ]
        for split, count in speakers.items()
    }


def invent(rng: np.random.Generator) -> str:
    """Returns a sentence, e.g. "turn the red light off"."""

    def one_of(words: Sequence[str]) -> str:
        return words[int(rng.integers(len(words)))]

    return one_of(SENTENCES).format(
        command=one_of(COMMANDS),
        a=one_of(NUMBERS),
        b=one_of(NUMBERS),
        c=one_of(NUMBERS),
        colour=one_of(COLOURS),
        switch=one_of(("on", "off")),
    )


def write_file(path: Path, data: bytes) -> None:
    """Writes a file, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def sphere(samples: np.ndarray) -> bytes:
    """Returns a NIST SPHERE file of 16-bit PCM, the low byte first."""
    fields = (
        f"sample_count -i {len(samples)}",
        f"sample_rate -i {SAMPLE_RATE}",
        "channel_count -i 1",
        "sample_n_bytes -i 2",
        "sample_byte_format -s2 01",
        "sample_coding -s3 pcm",
        "end_head",
    )
    head = "\n".join(("NIST_1A", "   1024", *fields, "")).encode()
    return head.ljust(1024) + samples.astype("<i2").tobytes()


def _script(rng: np.random.Generator, accent: str, variant: str, pitch: int) -> list[Prompt]:
    """Returns the prompts of one speaker, all at about the same pace."""
    pace = int(rng.integers(130, 175))
    return [
        Prompt(invent(rng), f"{accent}+{variant}", pace + int(rng.integers(-8, 9)), pitch)
        for _ in range(UTTERANCES)
    ]


def _in_a_room(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds a moment before and after, loudness and noise."""
    before, after = rng.integers(800, 2400, 2)  # samples
    wave = np.pad(samples * rng.uniform(0.3, 0.9), (before, after))
    wave += rng.normal(0, rng.uniform(20, 120), len(wave))
    return wave.round().clip(-(2**15), 2**15 - 1).astype(np.int16)
