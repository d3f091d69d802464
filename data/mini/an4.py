"""A miniature AN4 in its SPHERE edition, synthesised."""

from pathlib import Path

from data.an4 import sources
from data.mini import speech

SPEAKERS = {"train": 60, "test": 8}
FOLDERS = {"train": "an4_clstk", "test": "an4test_clstk"}


def write(root: Path) -> None:
    """Writes the corpus into `root` and prepares it, unless it is there.

    Raises UserError if something else is.
    """
    speech.write_corpus(root, "an4", _record, sources)


def _record(discs: Path) -> None:
    for split, recordings in speech.record(6, SPEAKERS).items():
        ids, transcripts = [], []
        for number, recording in enumerate(recordings):
            speaker = f"s{recording.speaker:03}"
            name = f"an{number}-{speaker}-b"
            file = Path(FOLDERS[split], speaker, name)
            wave = discs / "wav" / file.with_suffix(".sph")
            speech.write_file(wave, speech.sphere(recording.samples))
            ids.append(f"{file.as_posix()}\n")
            transcripts.append(f"{recording.text.upper()} ({name})\n")
        for ending, lines in ("fileids", ids), ("transcription", transcripts):
            speech.write_file(discs / f"etc/an4_{split}.{ending}", "".join(lines).encode())
