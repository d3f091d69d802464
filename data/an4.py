"""AN4: spelled names, dates, numbers and commands (Carnegie Mellon, 1991; A. Acero's thesis).

Its README says that files whose names begin with cen9 were left out; 948 utterances train and 130
test.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from data import speech
from data.audio import read_audio
from data.images import is_miniature
from data.prepare import Source, file_name, lines_of
from data.speech import SpeechSet, report, size_notes
from dsd.errors import UserError

LAYOUT = """\
<folder>/train.jsonl           948 utterances, and
<folder>/test.jsonl            130, as `dsd prepare an4` writes them;
<folder>/audio/<split>/*.flac  the recordings"""
SOURCE = """\
http://www.speech.cs.cmu.edu/databases/an4/ (an4_sphere or an4_raw, any; free); unpacked, then
dsd prepare an4 an4 --to FOLDER"""
COUNTS = {"train": 948, "test": 130}
TRANSCRIPT = re.compile(r"(?:<s>)?(?P<text>[^<(]*)(?:</s>)?\s*\((?P<name>\S+)\)")


def sources(folders: Sequence[Path]) -> dict[str, list[Source]]:
    """Reads the texts of the original AN4: etc/ and wav/ in one folder, or in an4/ below it.

    Returns the utterances of "train" and "test". Raises UserError naming a file or line that is
    missing or damaged, and when the test set is incomplete.
    """
    for folder in folders:
        for root in (folder, folder / "an4"):
            if (root / "etc" / "an4_train.fileids").is_file():
                return {split: _sources(root, split) for split in COUNTS}
    raise UserError(f"{folders[0]}: holds no etc/an4_train.fileids; name the unpacked an4 folder")


def load(root: Path, split: str) -> SpeechSet:
    """Reads a split of the prepared corpus. Raises UserError as `data.speech.load`."""
    return speech.load(root, "an4", split, COUNTS[split])


def verify(root: Path) -> list[str]:
    """Checks manifests and audio files; returns a line per split. Raises UserError as `report`."""
    return [report(load(root, split)) for split in COUNTS]


def _sources(root: Path, split: str) -> list[Source]:
    names = root / "etc" / f"an4_{split}.fileids"
    texts = _texts(root / "etc" / f"an4_{split}.transcription")
    found = []
    for place, identity in lines_of(names, "unpack AN4 again"):
        for part in identity.split("/"):
            file_name(part, place)
        name, speaker = identity.split("/")[-1], identity.split("/")[-2:-1]
        if name not in texts or not speaker:
            raise UserError(f"{place}: {identity} has no speaker's folder or no transcript; fix it")
        read = partial(read_audio, _recording(root, identity))
        found.append(Source(name, speaker[0], texts[name], read))
    if not is_miniature(root):
        size_notes(names, split, len(found), COUNTS[split])
    return found


def _texts(path: Path) -> dict[str, str]:
    """Returns the words of each utterance; they are letters alone."""
    texts = {}
    for place, line in lines_of(path, "unpack AN4 again"):
        match = TRANSCRIPT.fullmatch(line)
        if not match:
            raise UserError(f"{place}: expected words and a name in brackets; fix the line")
        texts[match["name"]] = " ".join(match["text"].lower().split())
    return texts


def _recording(root: Path, identity: str) -> Path:
    paths = [root / "wav" / f"{identity}{suffix}" for suffix in (".sph", ".raw")]
    for path in paths:
        if path.is_file():
            return path
    raise UserError(f"{paths[0]}: is missing; unpack AN4 again")
