"""Speech as networks read it: FLAC files and, for each split, a manifest of its utterances.

A manifest is <split>.jsonl, with one utterance per line. Its keys are NeMo's (audio_filepath,
duration in seconds, text) and ours: utterance, speaker, samples, and sha256 of the samples. Beside
the manifests, SUMS has the SHA-256 of each, as sha256sum writes them.
"""

import codecs
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from rich.console import Console
from rich.progress import track

from data.audio import SAMPLE_RATE, read_audio
from data.images import is_miniature
from dsd.errors import UserError

ALPHABET = " 'abcdefghijklmnopqrstuvwxyz"  # symbol i + 1; 0 is CTC's blank
SYMBOLS = len(ALPHABET) + 1
TEXT = r"[a-z']+( [a-z']+)*"
NEMOS = ("audio_filepath", "duration", "text")  # keys that other programs write, too
SUMS = "manifests.sha256"
MINIATURE_NOTE = ("miniature: synthetic speech",)


@dataclass(frozen=True)
class Utterance:
    """One utterance, as a line of a manifest describes it."""

    name: str
    file: str  # relative to the manifest's folder
    samples: int
    speaker: str
    text: str
    sha256: str  # of the samples, int16, low byte first

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE


@dataclass(frozen=True)
class SpeechSet:
    """The utterances of one split, in the manifest's order."""

    name: str  # "an4/train"
    root: Path
    utterances: tuple[Utterance, ...]
    notes: tuple[str, ...] = ()  # what belongs beside every result

    def __len__(self) -> int:
        return len(self.utterances)

    def fingerprint(self) -> str:
        """Returns a SHA-256 in hex of names, texts and samples, in order."""
        lines = (f"{u.name}\t{u.text}\t{u.sha256}\n" for u in self.utterances)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _below(path: str) -> str:
    """Returns a path that stays below its folder. Raises ValueError for any other."""
    if Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        raise ValueError("leads out of the folder of the manifest")
    return path


class Line(BaseModel):
    """A line of a manifest; raises ValidationError for what is none."""

    audio_filepath: Annotated[str, AfterValidator(_below)]
    text: Annotated[str, Field(pattern=f"^{TEXT}$")]
    utterance: str
    speaker: str
    samples: Annotated[int, Field(gt=0, lt=2**40)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    def read(self) -> Utterance:
        return Utterance(
            self.utterance, self.audio_filepath, self.samples, self.speaker, self.text, self.sha256
        )


def encode(text: str) -> list[int]:
    """Returns the symbols of a text. Raises UserError for a character outside the alphabet."""
    for character in text:
        if character not in ALPHABET:
            raise UserError(f"{text!r}: {character!r} is no symbol; use letters, ' and blanks")
    return [ALPHABET.index(character) + 1 for character in text]


def decode(labels: Iterable[int]) -> str:
    """Returns the text of symbols; CTC's blank stands for nothing."""
    return "".join(ALPHABET[label - 1] for label in labels if label)


def greedy(best: Sequence[int]) -> str:
    """Returns the words that the likeliest symbols of the frames spell, separated by blanks.

    CTC's rule (Graves et al., ICML 2006): repeats are one symbol, then CTC's blanks are dropped.
    """
    return " ".join(decode(label for label, _ in groupby(best)).split())


def read_manifest(root: Path, corpus: str, split: str) -> SpeechSet:
    """Reads root/<split>.jsonl; `report` checks the audio files.

    Raises UserError when the manifest is missing, empty or not the one of SUMS, and naming a line
    that is damaged, names an utterance again or a file outside of `root`.
    """
    path = root / f"{split}.jsonl"
    remedy = f"dsd prepare {corpus} FOLDER... --to {root} writes it"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    lines = data.removeprefix(codecs.BOM_UTF8).splitlines()
    if not lines:
        raise UserError(f"{path}: names no utterance; move it away, then {remedy}")
    utterances: dict[str, Utterance] = {}
    for number, line in enumerate(lines, 1):
        try:
            utterance = Line.model_validate_json(line).read()
            fault = f"{utterance.name} is there twice" if utterance.name in utterances else ""
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "missing" and first["loc"][0] not in NEMOS:
                raise UserError(
                    f"{path}:{number}: has no {first['loc'][0]!r}: dsd prepare did not write it; "
                    f"dsd prepare manifest {root} --to FOLDER makes what is needed of NeMo's keys"
                ) from None
            fault = f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"
        if fault:
            raise UserError(
                f"{path}:{number}: {fault}; move the manifests away, then {remedy}"
            ) from None
        utterances[utterance.name] = utterance
    expected = _sums(root).get(path.name)
    if expected and hashlib.sha256(data).hexdigest() != expected:
        raise UserError(
            f"{path}: damaged or changed, its SHA-256 is not that of {SUMS}; restore it, or move "
            f"the manifests away and {remedy} (if you changed it yourself, remove {SUMS})"
        )
    return SpeechSet(f"{corpus}/{split}", root, tuple(utterances.values()))


def _sums(root: Path) -> dict[str, str]:
    """Returns the SHA-256 of each manifest by name; none where a corpus has no such file."""
    path = root / SUMS
    if not path.exists():
        return {}
    pairs = [line.split(maxsplit=1) for line in path.read_text(errors="replace").splitlines()]
    if not all(len(pair) == 2 and re.fullmatch("[0-9a-f]{64}", pair[0]) for pair in pairs):
        raise UserError(f"{path}: damaged; remove it, or restore it: sha256sum *.jsonl > {SUMS}")
    return {name.removeprefix("*"): digest for digest, name in pairs}


def read_samples(root: Path, utterance: Utterance) -> np.ndarray:
    """Returns an utterance's samples, (samples,) int16, checked against its manifest.

    Raises UserError naming a file that is missing or damaged or holds another recording.
    """
    samples = read_audio(root / utterance.file)
    if digest(samples) != utterance.sha256 or len(samples) != utterance.samples:
        raise UserError(
            f"{root / utterance.file}: is not the recording that the manifest names; restore it, "
            "or move the manifests away and prepare the corpus again"
        )
    return samples


def load(root: Path, corpus: str, split: str, expected: int) -> SpeechSet:
    """Reads a split of `expected` utterances. Raises UserError as `read_manifest`, `size_notes`."""
    speech = read_manifest(root, corpus, split)
    if is_miniature(root):
        return replace(speech, notes=MINIATURE_NOTE)
    manifest = root / f"{split}.jsonl"
    return replace(speech, notes=size_notes(manifest, split, len(speech), expected))


def size_notes(where: Path, split: str, count: int, expected: int) -> tuple[str, ...]:
    """Returns the note on an incomplete training set; none for a complete one.

    Raises UserError, naming `where`, for an incomplete test set: its score could not be compared.
    """
    if count == expected:
        return ()
    if not split.startswith("train"):
        raise UserError(
            f"{where}: {split} has {count} utterances, the corpus has {expected}; "
            "prepare it from the complete corpus"
        )
    return (f"partial training set: {count} of {expected} utterances",)


def report(speech: SpeechSet) -> str:
    """Reads all audio files of a set; returns its `summary`. Raises UserError as `read_samples`."""
    for utterance in track(speech.utterances, speech.name, console=Console(stderr=True)):
        read_samples(speech.root, utterance)
    unchecked = "" if (speech.root / SUMS).exists() else f"; no {SUMS}: the texts are unchecked"
    return summary(speech) + unchecked


def summary(speech: SpeechSet) -> str:
    """Returns a line on a set: its size, and its notes."""
    hours = sum(utterance.seconds for utterance in speech.utterances) / 3600
    speakers = len({utterance.speaker for utterance in speech.utterances})
    words = sum(len(utterance.text.split()) for utterance in speech.utterances)
    counts = f"{len(speech)} utterances, {hours:.2f} hours, {speakers} speakers, {words} words"
    return "; ".join([f"{speech.name}: {counts}", *speech.notes])


def manifest_line(utterance: Utterance) -> str:
    """Returns the line of an utterance, with its end."""
    keys = {
        "audio_filepath": utterance.file,
        "duration": utterance.seconds,
        "text": utterance.text,
        "utterance": utterance.name,
        "speaker": utterance.speaker,
        "samples": utterance.samples,
        "sha256": utterance.sha256,
    }
    return json.dumps(keys) + "\n"


def digest(samples: np.ndarray) -> str:
    """Returns the SHA-256 in hex of int16 samples, low byte first."""
    return hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()
