"""Your own speech: manifests of JSON lines with NeMo's keys, and recordings of any rate.

A line has audio_filepath (absolute, or relative to the manifest), text, and may have duration and
offset in seconds, which cut the utterance from its recording, and speaker.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from data.audio import SAMPLE_RATE, read_audio
from data.images import is_miniature, is_stray
from data.prepare import Source
from data.speech import ALPHABET, MINIATURE_NOTE, TEXT, SpeechSet, read_manifest, report
from dsd.errors import UserError

LAYOUT = """\
<folder>/train.jsonl           utterances that train, and
<folder>/test.jsonl            the test set; dev.jsonl, if there, is watched:
<folder>/audio/<split>/*.flac  as `dsd prepare manifest` writes them from NeMo's manifests"""
SOURCE = """\
your own recordings: write train.jsonl and test.jsonl, a JSON line for each utterance:
{"audio_filepath": "a.wav", "duration": 1.5, "text": "go on"}
then: dsd prepare manifest FOLDER --to PREPARED (docs/your-speech.md says more)"""
SPLITS = {  # split -> words of a manifest's name that tell it
    "train": ("train", "training"),
    "dev": ("dev", "val", "valid", "validation"),
    "test": ("test", "testing", "eval"),
}
TEST_SHARE = 0.1  # of the only manifest
SEED = 0  # of its split
SLACK = 0.1  # seconds by which a duration may be longer than the recording
SUFFIXES = (".jsonl", ".json")
PUNCTUATION = str.maketrans(
    {**dict.fromkeys('.,;:!?"()-…“”„«»', " "), "\u2018": "'", "\u2019": "'"}
)


class _Line(BaseModel):
    """A line of a manifest as NeMo has it; it may hold more."""

    audio_filepath: Annotated[str, Field(min_length=1)]
    text: str
    duration: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    offset: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    speaker: str | int = "unknown"


class _Said(NamedTuple):
    """A line with its place, e.g. train.jsonl:3, and the recording's path."""

    place: str
    line: _Line
    recording: Path


def sources(given: Sequence[Path]) -> dict[str, list[Source]]:
    """Reads manifests, or those in folders; a manifest's name tells its split.

    The only manifest is split by a seed: a tenth is the test set. Returns the utterances of
    "train", "test" and, where there is one, "dev". Raises UserError naming file and line for what
    is missing or no line of a manifest, a recording that is missing or in two splits, a text that
    cannot be scored, and when most texts of training cannot be spelled.
    """
    said = {split: _read(path) for split, path in _manifests(given).items()}
    if len(said) == 1:
        said = _by_seed(next(iter(said.values())))
    seen: dict[object, tuple[str, str]] = {}
    for split, lines in said.items():
        for each in lines:
            key = each.recording.resolve(), each.line.offset
            other, place = seen.setdefault(key, (split, each.place))
            if other != split:
                raise UserError(
                    f"{each.place}: {each.recording.name} is also at {place}; an utterance of "
                    "one set must not be in another: remove one of the lines"
                )
    for split, lines in said.items():
        _check_texts(split, lines)
    return {split: _sources(split, lines) for split, lines in said.items()}


def load(root: Path, split: str) -> SpeechSet:
    """Reads a split of the prepared corpus. Raises UserError as `data.speech.read_manifest`."""
    name = f"{root.resolve().name or 'root'}/{split}"
    speech = replace(read_manifest(root, "manifest", split), name=name)
    return replace(speech, notes=MINIATURE_NOTE) if is_miniature(root) else speech


def splits(root: Path) -> list[str]:
    """Returns the splits of a prepared folder; dev is not in all."""
    return [split for split in SPLITS if split != "dev" or (root / "dev.jsonl").exists()]


def verify(root: Path) -> list[str]:
    """Checks manifests and audio files; returns a line per split. Raises UserError as `report`."""
    return [report(load(root, split)) for split in splits(root)]


def spelled(text: str) -> str:
    """Returns a text in lower case, without punctuation and further blanks."""
    return " ".join(text.lower().translate(PUNCTUATION).split())


def _manifests(given: Sequence[Path]) -> dict[str, Path]:
    """Returns the manifest of each split; "train" alone for the only one, whatever its name."""
    files: list[Path] = []
    for path in given:
        inner = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [p for p in inner if p.suffix.lower() in SUFFIXES and not is_stray(p.name)]
    if not files:
        raise UserError(f"{given[0]}: holds no manifest ({', '.join(SUFFIXES)}); write train.jsonl")
    if len(files) == 1:
        return {"train": files[0]}
    found: dict[str, Path] = {}
    for file in files:
        words = re.split("[^a-z]+", file.stem.lower())
        split = next((s for s, known in SPLITS.items() if {*words} & {*known}), None)
        if split is None or split in found:
            fault = "names no split" if split is None else f"is {split}, as is {found[split].name}"
            raise UserError(
                f"{file}: {fault}; call the manifests train.jsonl, test.jsonl and dev.jsonl"
            )
        found[split] = file
    for split in ("train", "test"):
        if split not in found:
            raise UserError(f"{files[0]}: no manifest is called {split}; write {split}.jsonl, too")
    return {split: found[split] for split in SPLITS if split in found}


def _read(path: Path) -> list[_Said]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no UTF-8 text; save it as UTF-8") from None
    said = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        place = f"{path}:{number}"
        try:
            line = _Line.model_validate(json.loads(text))
            recording = path.parent / Path(line.audio_filepath).expanduser()
            is_there = recording.is_file()
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "the line"
            raise UserError(f"{place}: {key}: {first['msg']}; fix the line") from None
        except (ValueError, RecursionError):
            raise UserError(
                f'{place}: is no JSON; a line is {{"audio_filepath": "a.wav", "duration": 1.5, '
                '"text": "go on"}'
            ) from None
        if not is_there:
            raise UserError(f"{place}: {recording} is missing; restore it, or remove the line")
        said.append(_Said(place, line, recording))
    if not said:
        raise UserError(f"{path}: names no utterance; write a line for each")
    return said


def _by_seed(lines: list[_Said]) -> dict[str, list[_Said]]:
    """Draws a tenth as the test set, of the lines that can be scored."""
    usable = [i for i, each in enumerate(lines) if re.fullmatch(TEXT, spelled(each.line.text))]
    if len(usable) < 2:
        raise UserError(
            f"{lines[0].place}: {len(usable)} utterances with words of a to z cannot be split "
            "into training and test; add some"
        )
    count = max(1, round(TEST_SHARE * len(usable)))
    test = {*np.random.default_rng(SEED).permutation(usable)[:count].tolist()}
    return {
        "train": [each for i, each in enumerate(lines) if i not in test],
        "test": [lines[i] for i in sorted(test)],
    }


def _check_texts(split: str, lines: Sequence[_Said]) -> None:
    """Raises UserError where a test text, or most of training, holds what no symbol spells."""
    odd = [each for each in lines if not re.fullmatch(TEXT, spelled(each.line.text))]
    if not odd or (split == "train" and 2 * len(odd) <= len(lines)):
        return
    first = odd[0]
    others = Counter(c for each in odd for c in spelled(each.line.text) if c not in ALPHABET)
    held = f"holds {', '.join(repr(c) for c, _ in others.most_common(5))}" if others else "is empty"
    many = f" ({len(odd)} of {len(lines)} lines)" if len(odd) > 1 else ""
    raise UserError(
        f"{first.place}: the text {first.line.text!r} {held}{many}; the network spells a to z and "
        "' alone: write the words out, or remove the lines"
    )


def _sources(split: str, lines: Sequence[_Said]) -> list[Source]:
    return [
        Source(
            f"{split}{number:06}-{_called(each)}",
            str(each.line.speaker),
            spelled(each.line.text),
            partial(_utterance, each),
        )
        for number, each in enumerate(lines)
    ]


def _called(said: _Said) -> str:
    """Returns a name that is another one for another recording, or another part of it."""
    part = f"{said.line.audio_filepath}\n{said.line.offset}\n{said.line.duration}"
    name = re.sub(r"[^A-Za-z0-9_-]", "_", said.recording.stem)[:60]
    return f"{name}-{hashlib.sha256(part.encode()).hexdigest()[:8]}"


@lru_cache(maxsize=2)  # of a long recording many utterances are cut, one after another
def _recording(path: Path) -> np.ndarray:
    return read_audio(path)


def _utterance(said: _Said) -> np.ndarray:
    """Returns the samples between offset and offset + duration; all of them without a duration."""
    samples = _recording(said.recording)
    line, seconds = said.line, len(samples) / SAMPLE_RATE
    end = seconds if line.duration is None else line.offset + line.duration
    if end > seconds + SLACK or line.offset >= seconds:
        raise UserError(
            f"{said.place}: ends at {end:g} s, and {said.recording} has {seconds:.2f} s; "
            "fix offset and duration"
        )
    return samples[round(line.offset * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
