"""LibriSpeech: audiobooks read aloud, 1000 hours (Panayotov et al., ICASSP 2015)."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from data import speech
from data.audio import read_audio
from data.images import is_miniature, is_stray
from data.prepare import Source, file_name, lines_of
from data.speech import SpeechSet, report, size_notes
from dsd.errors import UserError

LAYOUT = """\
<folder>/train.jsonl           281241 utterances, or those of some subsets,
<folder>/dev_clean.jsonl       2703,
<folder>/test_clean.jsonl      2620, and
<folder>/test_other.jsonl      2939, as `dsd prepare librispeech` writes them;
<folder>/audio/<split>/*.flac  the recordings"""
SOURCE = """\
https://www.openslr.org/12 (train-*, dev-clean, test-clean, test-other; CC BY 4.0); unpacked, then
dsd prepare librispeech LibriSpeech --to FOLDER"""
COUNTS = {"train": 281241, "dev_clean": 2703, "test_clean": 2620, "test_other": 2939}
SUBSETS = {
    "train": ("train-clean-100", "train-clean-360", "train-other-500"),
    "dev_clean": ("dev-clean",),
    "test_clean": ("test-clean",),
    "test_other": ("test-other",),
}


def sources(folders: Sequence[Path]) -> dict[str, list[Source]]:
    """Reads the texts of the original LibriSpeech: subsets in a folder or in LibriSpeech/ there.

    Returns the utterances of each split; of training, any subset will do. Raises UserError naming
    what is missing or damaged, and when another set is incomplete.
    """
    return {split: _sources(folders, split) for split in COUNTS}


def load(root: Path, split: str) -> SpeechSet:
    """Reads a split of the prepared corpus. Raises UserError as `data.speech.load`."""
    return speech.load(root, "librispeech", split, COUNTS[split])


def verify(root: Path) -> list[str]:
    """Checks manifests and audio files; returns a line per split. Raises UserError as `report`."""
    return [report(load(root, split)) for split in COUNTS]


def _sources(folders: Sequence[Path], split: str) -> list[Source]:
    places = [place for folder in folders for place in (folder, folder / "LibriSpeech")]
    subsets = [place / name for name in SUBSETS[split] for place in places]
    found = [source for subset in subsets for source in _subset(subset)]
    if not found:
        names = " or ".join(SUBSETS[split])
        given = ", ".join(map(str, folders))
        raise UserError(f"{given}: no folder {names} with *.trans.txt in it; name what holds it")
    if not any(map(is_miniature, folders)):
        size_notes(folders[0], split, len(found), COUNTS[split])
    return found


def _subset(subset: Path) -> Iterator[Source]:
    for transcripts in sorted(subset.glob("*/*/*.trans.txt")):
        if any(map(is_stray, transcripts.relative_to(subset).parts)):
            continue
        for place, line in lines_of(transcripts, "unpack again"):
            name, _, text = line.partition(" ")
            recording = transcripts.parent / f"{file_name(name, place)}.flac"
            if not recording.is_file():
                raise UserError(f"{place}: {recording.name} is missing; unpack again")
            yield Source(name, name.partition("-")[0], text.lower(), partial(read_audio, recording))
