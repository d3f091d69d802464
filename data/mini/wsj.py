"""A miniature Wall Street Journal, synthesised: wsj0 and wsj1 as on the LDC's discs.

Folders and names are those of Kaldi's egs/wsj/s5; the waveforms are not compressed.
"""

from pathlib import Path
from typing import NamedTuple

from data.mini import speech
from data.wsj import sources


class Part(NamedTuple):
    """A part of the corpus: how many speakers, and where it lies."""

    speakers: int
    ndx: str  # the index
    disc: str  # as the index names it
    waves: str
    transcripts: str


PARTS = (
    Part(
        speakers=20,
        ndx="wsj0/doc/indices/train/tr_s_wv1.ndx",
        disc="11_1_1",
        waves="wsj0/si_tr_s",
        transcripts="wsj0/transcrp/dots/si_tr_s",
    ),
    Part(
        speakers=40,
        ndx="wsj1/doc/indices/si_tr_s.ndx",
        disc="13_1_1",
        waves="wsj1/si_tr_s",
        transcripts="wsj1/trans/wsj1/si_tr_s",
    ),
    Part(
        speakers=8,
        ndx="wsj1/doc/indices/h1_p0.ndx",
        disc="13_16_1",
        waves="wsj1/si_dt_20",
        transcripts="wsj1/trans/wsj1/si_dt_20",
    ),
    Part(
        speakers=8,
        ndx="wsj0/doc/indices/test/nvp/si_et_20.ndx",
        disc="11_14_1",
        waves="wsj0/si_et_20",
        transcripts="wsj0/si_et_20",
    ),
    Part(
        speakers=8,
        ndx="wsj1/doc/indices/wsj1/eval/h1_p0.ndx",
        disc="13_32_1",  # a mistake of the corpus: they are on 13-33.1
        waves="wsj1/si_et_h1/wsj64k",
        transcripts="wsj1/si_et_h1/wsj64k",
    ),
)


def write(root: Path) -> None:
    """Writes the corpus into `root` and prepares it, unless it is there.

    Raises UserError if something else is.
    """
    speech.write_corpus(root, "wsj", _record, sources)


def _record(discs: Path) -> None:
    recorded = speech.record(5, {part.ndx: part.speakers for part in PARTS})
    for part in PARTS:
        lines = [f";; File: {Path(part.ndx).name}, of a miniature"]
        dots: dict[str, list[str]] = {}
        for number, recording in enumerate(recorded[part.ndx]):
            speaker = f"{recording.speaker:03}"
            name = f"{speaker}c02{number % speech.UTTERANCES + 1:02}"
            wave = f"{part.waves}/{speaker}/{name}.wv1"
            speech.write_file(discs / wave, speech.sphere(recording.samples))
            file = wave.removesuffix(".wv1") if "nvp" in part.ndx else wave
            lines.append(f"{part.disc}:{file}")
            dot = f"{part.transcripts}/{speaker}/{speaker}c0200.dot"
            dots.setdefault(dot, []).append(f"{_marked(recording.text, number)} ({name})")
        for name, texts in {**dots, part.ndx: lines}.items():
            speech.write_file(discs / name, "".join(f"{line}\n" for line in texts).encode())


def _marked(text: str, number: int) -> str:
    """Returns a text as transcripts have it, every eighth with a noise."""
    noise = "" if number % 8 else "[tongue_click] "
    return noise + text.capitalize().replace("'", "\\'")
