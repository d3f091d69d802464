"""A miniature LibriSpeech, synthesised."""

from pathlib import Path

import soundfile

from data.audio import SAMPLE_RATE
from data.librispeech import sources
from data.mini import speech

SPEAKERS = {"train-clean-100": 60, "dev-clean": 8, "test-clean": 8, "test-other": 8}  # by subset


def write(root: Path) -> None:
    """Writes the corpus into `root` and prepares it, unless it is there.

    Raises UserError if something else is.
    """
    speech.write_corpus(root, "librispeech", _record, sources)


def _record(discs: Path) -> None:
    for subset, recordings in speech.record(7, SPEAKERS).items():
        transcripts: dict[Path, str] = {}
        for number, recording in enumerate(recordings):
            speaker = 100 + recording.speaker
            chapter = discs / "LibriSpeech" / subset / f"{speaker}" / "1"
            chapter.mkdir(parents=True, exist_ok=True)
            name = f"{speaker}-1-{number % speech.UTTERANCES:04}"
            soundfile.write(chapter / f"{name}.flac", recording.samples, SAMPLE_RATE)
            file = chapter / f"{speaker}-1.trans.txt"
            transcripts[file] = f"{transcripts.get(file, '')}{name} {recording.text.upper()}\n"
        for file, text in transcripts.items():
            file.write_text(text)
