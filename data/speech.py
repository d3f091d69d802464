"""Speech as networks read it: FLAC files and, for each split, a manifest of who says what.

A manifest is <split>.jsonl, an utterance a line. Its keys are NeMo's (audio_filepath, duration in
seconds, text) and ours: utterance, speaker, samples, and sha256 of the samples.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
from pydantic import BaseModel, Field, ValidationError
from rich.console import Console
from rich.progress import track

from data.audio import SAMPLE_RATE, read_audio
from data.images import is_miniature
from dsd.checkpoint import lock, write_atomically
from dsd.errors import UserError

ALPHABET = " 'abcdefghijklmnopqrstuvwxyz"  # symbol i + 1; 0 is CTC's blank
SYMBOLS = len(ALPHABET) + 1
TEXT = r"[a-z']+( [a-z']+)*"
MINIATURE_NOTE = ("miniature: synthetic speech",)


@dataclass(frozen=True)
class Utterance:
    """What a line of a manifest says."""

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
    notes: tuple[str, ...] = ()  # what must be said beside any number

    def __len__(self) -> int:
        return len(self.utterances)

    def fingerprint(self) -> str:
        """Returns a SHA-256 in hex of names, texts and samples, in order."""
        lines = (f"{u.name}\t{u.text}\t{u.sha256}\n" for u in self.utterances)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class Source:
    """An utterance of a corpus as it came."""

    name: str
    speaker: str
    text: str
    read: Callable[[], np.ndarray]  # (samples,) int16 at 16 kHz


class _Line(BaseModel):
    audio_filepath: str
    text: Annotated[str, Field(pattern=f"^{TEXT}$")]
    utterance: str
    speaker: str
    samples: Annotated[int, Field(gt=0)]
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
    """Returns what the likeliest symbol of each frame spells: words with a blank between them.

    CTC's rule (Graves et al., ICML 2006): repeats are one symbol, then CTC's blanks are dropped.
    """
    return " ".join(decode(label for label, _ in groupby(best)).split())


def read_manifest(root: Path, corpus: str, split: str) -> SpeechSet:
    """Reads root/<split>.jsonl; whether the audio files are there, `report` tells.

    Raises UserError when the manifest is missing or empty, and naming a line that is damaged or
    names an utterance again.
    """
    path = root / f"{split}.jsonl"
    remedy = f"dsd prepare {corpus} FOLDER... --to {root} writes it"
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    if not lines:
        raise UserError(f"{path}: names no utterance; move it away, then {remedy}")
    utterances: dict[str, Utterance] = {}
    for number, line in enumerate(lines, 1):
        try:
            utterance = _Line.model_validate_json(line).read()
            fault = f"{utterance.name} is there twice" if utterance.name in utterances else ""
        except ValidationError as error:
            first = error.errors()[0]
            fault = f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"
        if fault:
            raise UserError(
                f"{path}:{number}: {fault}; move the manifests away, then {remedy}"
            ) from None
        utterances[utterance.name] = utterance
    return SpeechSet(f"{corpus}/{split}", root, tuple(utterances.values()))


def read_samples(root: Path, utterance: Utterance) -> np.ndarray:
    """Returns an utterance's samples, (samples,) int16, checked against its manifest.

    Raises UserError naming a file that is missing or damaged or holds another recording.
    """
    samples = read_audio(root / utterance.file)
    if _digest(samples) != utterance.sha256:
        raise UserError(
            f"{root / utterance.file}: is not the recording that the manifest names; restore it, "
            "or move the manifests away and prepare the corpus again"
        )
    return samples


def load(root: Path, corpus: str, split: str, expected: int) -> SpeechSet:
    """Returns a split of so many utterances, with notes; see `read_manifest` and `size_notes`."""
    speech = read_manifest(root, corpus, split)
    if is_miniature(root):
        return replace(speech, notes=MINIATURE_NOTE)
    manifest = root / f"{split}.jsonl"
    return replace(speech, notes=size_notes(manifest, split, len(speech), expected))


def size_notes(where: Path, split: str, count: int, expected: int) -> tuple[str, ...]:
    """Returns what must be said of a training set that is not whole.

    Raises UserError, naming `where`, for another set: its score could be compared with none.
    """
    if count == expected:
        return ()
    if not split.startswith("train"):
        raise UserError(
            f"{where}: {split} has {count} utterances, the corpus has {expected}; "
            "prepare it from the whole corpus"
        )
    return (f"partial training set: {count} of {expected} utterances",)


def report(speech: SpeechSet) -> str:
    """Reads all audio files of a set; returns its `summary`. Raises UserError as `read_samples`."""
    for utterance in track(speech.utterances, speech.name, console=Console(stderr=True)):
        read_samples(speech.root, utterance)
    return summary(speech)


def summary(speech: SpeechSet) -> str:
    """Returns a line on a set: its size, and its notes."""
    hours = sum(utterance.seconds for utterance in speech.utterances) / 3600
    speakers = len({utterance.speaker for utterance in speech.utterances})
    words = sum(len(utterance.text.split()) for utterance in speech.utterances)
    counts = f"{len(speech)} utterances, {hours:.2f} hours, {speakers} speakers, {words} words"
    return "; ".join([f"{speech.name}: {counts}", *speech.notes])


def lines_of(path: Path, remedy: str) -> Iterator[tuple[str, str]]:
    """Yields (file:line, text) of every line that is neither blank nor a comment after ";".

    Raises UserError, with the remedy, when the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith(";"):
            yield f"{path}:{number}", line.strip()


def prepare(corpus: str, sources: Mapping[str, Sequence[Source]], into: Path) -> list[str]:
    """Writes into/audio/<split>/<name>.flac and, last, the manifests; returns a line a split.

    What is done stands in a hidden folder, so that a stopped preparation goes on. A training
    utterance whose text is not words is left out, and a line says so. Raises UserError before
    anything is written when a name comes twice or a text of another set is not words, when the
    manifests are there already or another process prepares the folder; later when a recording
    cannot be read.
    """
    sources, left_out = _usable(corpus, sources)
    unfinished = into / f".{corpus}.part"
    journal = unfinished / "journal.jsonl"
    manifests = {split: into / f"{split}.jsonl" for split in sources}
    for manifest in manifests.values():
        if manifest.exists() and not journal.exists():
            raise UserError(f"{manifest}: is there already; move it away to prepare it again")
    with lock(unfinished):
        done = _read_journal(journal)
        for split in sources:
            (into / "audio" / split).mkdir(parents=True, exist_ok=True)
        todo = [(split, source) for split in sources for source in sources[split]]
        with journal.open("a") as file:
            for split, source in track(todo, corpus, console=Console(stderr=True)):
                place = f"audio/{split}/{source.name}.flac"
                if not (place in done and _is_whole(into, done[place])):
                    done[place] = _write(into, place, source)
                    file.write(_line(done[place]))
                    file.flush()
        os.sync()  # once: for each file it would take longer than the work
        for split, manifest in manifests.items():
            members = [(done[f"audio/{split}/{s.name}.flac"], s) for s in sources[split]]
            lines = [_line(replace(u, speaker=s.speaker, text=s.text)) for u, s in members]
            write_atomically(manifest, "".join(lines).encode())
        shutil.rmtree(unfinished)
    return [*left_out, *(summary(read_manifest(into, corpus, split)) for split in sources)]


def _usable(
    corpus: str, sources: Mapping[str, Sequence[Source]]
) -> tuple[dict[str, list[Source]], list[str]]:
    """Returns the sources without what cannot train, and a line on each of these."""
    seen: dict[str, str] = {}
    usable: dict[str, list[Source]] = {}
    left_out = []
    for split, members in sources.items():
        usable[split] = []
        for source in members:
            where = f"{corpus}/{split}: {source.name}"
            if source.name in seen:
                raise UserError(f"{where}: is in {seen[source.name]} already; remove one of them")
            seen[source.name] = split
            if re.fullmatch(TEXT, source.text):
                usable[split].append(source)
                continue
            fault = f"{where}: {source.text!r} is no text of words, of a to z and '"
            if not split.startswith("train"):
                raise UserError(f"{fault}; mend its transcript")
            left_out.append(f"{fault}; left out")
        if not usable[split]:
            raise UserError(f"{corpus}/{split}: has no utterance; name the whole corpus")
    return usable, left_out


def _read_journal(journal: Path) -> dict[str, Utterance]:
    """Returns what was done, by file. Drops the line that a crash cut short."""
    done = {}
    for line in journal.read_bytes().splitlines() if journal.exists() else []:
        with suppress(ValidationError):
            utterance = _Line.model_validate_json(line).read()
            done[utterance.file] = utterance
    write_atomically(journal, "".join(map(_line, done.values())).encode())
    return done


def _write(into: Path, place: str, source: Source) -> Utterance:
    samples = source.read()
    path = into / place
    temporary = path.with_name(f".{path.name}.part")
    soundfile.write(temporary, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    temporary.replace(path)
    return Utterance(
        source.name, place, len(samples), source.speaker, source.text, _digest(samples)
    )


def _line(utterance: Utterance) -> str:
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


def _is_whole(root: Path, utterance: Utterance) -> bool:
    try:
        read_samples(root, utterance)
    except UserError:
        return False
    return True


def _digest(samples: np.ndarray) -> str:
    return hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()
