"""Preparation of speech: an original corpus becomes FLAC files and manifests (data/speech.py)."""

import codecs
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import numpy as np
import soundfile
from pydantic import ValidationError
from rich.console import Console
from rich.progress import track

from data.audio import SAMPLE_RATE
from data.speech import (
    SUMS,
    TEXT,
    Line,
    Utterance,
    digest,
    manifest_line,
    read_manifest,
    read_samples,
    summary,
)
from dsd.errors import UserError
from dsd.runs.files import full_disk, lock, no_space, sha256, whole_file, write_atomically


@dataclass(frozen=True)
class Source:
    """An utterance of an original corpus."""

    name: str
    speaker: str
    text: str
    read: Callable[[], np.ndarray]  # (samples,) int16 at 16 kHz


def lines_of(path: Path, remedy: str) -> Iterator[tuple[str, str]]:
    """Yields (file:line, text) of every line that is neither blank nor a comment after ";".

    Raises UserError, with the remedy, when the file cannot be read.
    """
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        lines = data.decode("latin-1").splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith(";"):
            yield f"{path}:{number}", line.strip()


def file_name(name: str, place: str) -> str:
    """Returns the name. Raises UserError, with the place it is from, if it can't name a file."""
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise UserError(f"{place}: {name!r} is no name of an utterance; fix the line")
    return name


def prepare(corpus: str, sources: Mapping[str, Sequence[Source]], into: Path) -> list[str]:
    """Writes into/audio/<split>/<name>.flac and, last, the manifests; returns one line per split.

    Finished files are listed in a hidden folder, so that a stopped preparation goes on. A training
    utterance whose text is not words is left out, and a line names it. Raises UserError before
    anything is written when a name comes twice or a text of another set is not words, when the
    manifests are there already or another process prepares the folder; later when a recording
    cannot be read.
    """
    sources, left_out = _usable(corpus, sources)
    unfinished = into / f".{corpus}.part"
    journal = unfinished / "journal.jsonl"
    manifests = {split: into / f"{split}.jsonl" for split in sources}
    for manifest in (*manifests.values(), into / SUMS):
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
                    _append(journal, file, manifest_line(done[place]))
        os.sync()  # once: for each file it would take longer than the work
        for split, manifest in manifests.items():
            members = [(done[f"audio/{split}/{s.name}.flac"], s) for s in sources[split]]
            lines = [manifest_line(replace(u, speaker=s.speaker, text=s.text)) for u, s in members]
            write_atomically(manifest, "".join(lines).encode())
        sums = [f"{sha256(manifest)}  {manifest.name}\n" for manifest in manifests.values()]
        write_atomically(into / SUMS, "".join(sums).encode())
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
            where = f"{corpus}/{split}: {file_name(source.name, f'{corpus}/{split}')}"
            if source.name in seen:
                raise UserError(f"{where}: is in {seen[source.name]} already; remove one of them")
            seen[source.name] = split
            if re.fullmatch(TEXT, source.text):
                usable[split].append(source)
                continue
            fault = f"{where}: {source.text!r} is no text of words, of a to z and '"
            if not split.startswith("train"):
                raise UserError(f"{fault}; fix its transcript")
            left_out.append(f"{fault}; left out")
        if not usable[split]:
            raise UserError(f"{corpus}/{split}: has no utterance; name the complete corpus")
    return usable, left_out


def _append(path: Path, file: TextIO, line: str) -> None:
    """Appends a line to the journal. Raises UserError when the disk is full."""
    try:
        file.write(line)
        file.flush()
    except OSError as error:
        raise no_space(path, error) if full_disk(error) else error from None


def _read_journal(journal: Path) -> dict[str, Utterance]:
    """Returns what was done, by file. Drops the line that a crash cut short."""
    done = {}
    for line in journal.read_bytes().splitlines() if journal.exists() else []:
        with suppress(ValidationError):
            utterance = Line.model_validate_json(line).read()
            done[utterance.file] = utterance
    write_atomically(journal, "".join(map(manifest_line, done.values())).encode())
    return done


def _write(into: Path, place: str, source: Source) -> Utterance:
    samples = source.read()
    flac = io.BytesIO()
    soundfile.write(flac, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    with whole_file(into / place, sync=False) as file:  # synced together, see `prepare`
        file.write(flac.getvalue())
    return Utterance(source.name, place, len(samples), source.speaker, source.text, digest(samples))


def _is_whole(root: Path, utterance: Utterance) -> bool:
    try:
        read_samples(root, utterance)
    except UserError:
        return False
    return True
