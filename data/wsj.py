"""The Wall Street Journal, read aloud (LDC: WSJ0 of 1993, WSJ1 of 1994).

Which utterance is in which set is Kaldi's (egs/wsj/s5/local/wsj_data_prep.sh): SI-284 trains and
the sets of 20 000 and 64 000 words without verbalised punctuation are the tests.
"""

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from data import speech
from data.audio import read_audio
from data.images import is_miniature, is_stray
from data.prepare import Source, lines_of
from data.speech import SpeechSet, report, size_notes
from data.wsj_text import normalise
from dsd.errors import UserError

LAYOUT = """\
<folder>/train_si284.jsonl         37416 utterances,
<folder>/dev93.jsonl               503,
<folder>/eval92.jsonl              333, and
<folder>/eval93.jsonl              213, as `dsd prepare wsj` writes them;
<folder>/audio/<split>/*.flac      the recordings"""
SOURCE = """\
https://catalog.ldc.upenn.edu/LDC93S6A and LDC94S13A (or LDC93S6B and LDC94S13B, one microphone);
all discs in any nesting, then  dsd prepare wsj DISC... --to FOLDER"""
COUNTS = {"train_si284": 37416, "dev93": 503, "eval92": 333, "eval93": 213}
INDICES = {  # of each split, and the disc that has it
    "train_si284": {
        "wsj0/doc/indices/train/tr_s_wv1.ndx": "11-13.1",
        "wsj1/doc/indices/si_tr_s.ndx": "13-34.1",
    },
    "dev93": {"wsj1/doc/indices/h1_p0.ndx": "13-34.1"},
    "eval92": {"wsj0/doc/indices/test/nvp/si_et_20.ndx": "11-13.1"},
    "eval93": {"wsj1/doc/indices/wsj1/eval/h1_p0.ndx": "13-32.1"},
}
ELSEWHERE = (
    "11_2_1:wsj0/si_tr_s/401/"  # there again under 11_3_1 (github.com/fgnt/sms_wsj, issue 7)
)
SUFFIXES = (".wv1", ".ndx", ".dot")
ENTRY = re.compile(r"(?P<disc>\w+):\s*/?(?P<file>\S+)")
TRANSCRIPT = re.compile(r"(?P<text>.*)\((?P<name>\w{8})\)")


def sources(folders: Sequence[Path]) -> dict[str, list[Source]]:
    """Reads indices and transcripts of the discs, wherever they lie in the folders.

    Returns the utterances of each split; training recordings may be missing. Raises UserError
    naming the index, recording or transcript that is missing or damaged, and its disc.
    """
    files = _files(folders)
    complete = not any(map(is_miniature, folders))
    return {split: _sources(files, split, complete) for split in COUNTS}


def load(root: Path, split: str) -> SpeechSet:
    """Reads a split of the prepared corpus. Raises UserError as `data.speech.load`."""
    return speech.load(root, "wsj", split, COUNTS[split])


def verify(root: Path) -> list[str]:
    """Checks manifests and audio files; returns a line per split. Raises UserError as `report`."""
    return [report(load(root, split)) for split in COUNTS]


def _files(folders: Sequence[Path]) -> dict[str, Path]:
    """Returns the files of recordings, indices and transcripts.

    Their keys are in lower case: paths from a folder wsj0 or wsj1 on, of transcripts the name.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for parent, children, names in os.walk(folder.absolute(), followlinks=True):
            children[:] = sorted(name for name in children if not is_stray(name))
            for name in sorted(name for name in names if not is_stray(name)):
                parts = [*Path(parent.lower()).parts, name.lower().partition(";")[0]]  # ISO's ;1
                if not parts[-1].endswith(SUFFIXES):
                    continue
                starts = [i for i, part in enumerate(parts) if part in ("wsj0", "wsj1")]
                keys = ["/".join(parts[i:]) for i in starts]
                for key in parts[-1:] if parts[-1].endswith(".dot") else keys:
                    files.setdefault(key, Path(parent, name))
    return files


def _sources(files: dict[str, Path], split: str, complete: bool) -> list[Source]:
    members = [
        member for index, disc in INDICES[split].items() for member in _index(files, index, disc)
    ]
    missing = [(file, disc) for file, disc in members if file not in files]
    if missing and (split != "train_si284" or missing == members):
        file, disc = missing[0]
        raise UserError(
            f"{file}: is missing ({len(missing)} of the {len(members)} recordings of {split} are); "
            f"name the folder of disc {disc} too"
        )
    found = [_source(files, file) for file, _ in members if file in files]
    if complete:
        size_notes(files[list(INDICES[split])[-1]], split, len(found), COUNTS[split])
    return found


def _source(files: dict[str, Path], file: str) -> Source:
    name = Path(file).stem
    dot = f"{name[:6]}00.dot"
    if dot not in files:
        raise UserError(
            f"{files[file]}: its text, {dot}, is missing; name the folders of all discs"
        )
    texts = _transcripts(files[dot])
    if name not in texts:
        raise UserError(f"{files[dot]}: has no line of {name}; copy the disc again")
    return Source(name, name[:3], normalise(texts[name]), partial(read_audio, files[file]))


def _index(files: dict[str, Path], index: str, disc: str) -> Iterator[tuple[str, str]]:
    """Yields (recording, disc) of each entry of an index, which `disc` has.

    Not every disc named is right; recordings are found by their paths alone.
    """
    if index not in files:
        raise UserError(f"{index}: is missing; name the folder of disc {disc} too")
    for place, line in lines_of(files[index], "copy the disc again"):
        match = ENTRY.fullmatch(line)
        if not match:
            raise UserError(f"{place}: expected <disc>:<file>; copy the disc again")
        file = match["file"].lower().removesuffix(".wv1") + ".wv1"  # not all have it
        if not f"{match['disc']}:{file}".startswith(ELSEWHERE):
            true_disc = match["disc"].replace("13_32_1", "13_33_1")  # a known mistake, of eval93
            yield file, true_disc.replace("_", "-", 1).replace("_", ".")


@cache
def _transcripts(path: Path) -> dict[str, str]:
    """Returns the text of each utterance that a .dot file has."""
    texts = {}
    for place, line in lines_of(path, "copy the disc again"):
        match = TRANSCRIPT.fullmatch(line)
        if not match:
            raise UserError(f"{place}: expected a text and (an utterance); copy the disc again")
        texts[match["name"].lower()] = match["text"]
    return texts
