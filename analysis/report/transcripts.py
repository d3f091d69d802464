"""What the arms hear in a few test utterances, word by word, with the errors marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import jiwer

from analysis.records import Run
from dsd.runs.record import read_examples

SHOWN = 12  # utterances
KINDS = {"equal": "right", "substitute": "wrong", "insert": "extra", "delete": "missing"}


@dataclass(frozen=True)
class Word:
    """A word, or none: `kind` is "right", "wrong", "extra" or "missing"."""

    kind: str
    heard: str
    said: str


@dataclass(frozen=True)
class Heard:
    """An utterance: its place in the test set, its reference, and {arm: words}."""

    place: int
    reference: str
    arms: dict[str, list[Word]]


def heard(runs: Sequence[Run], split: str) -> list[Heard]:
    """Returns every k-th utterance of a test set, as the arms of one seed hear it.

    Returns [] where the records hold no texts.
    """
    hypotheses, references = {}, []
    for run in runs:
        where = f"{run.address}/{split}"
        examples = read_examples(run.path)
        if f"{where}/hypothesis" in examples:
            hypotheses[run.record.arm] = [str(text) for text in examples[f"{where}/hypothesis"]]
            references = [str(text) for text in examples[f"{where}/reference"]]
    step = max(1, len(references) // SHOWN)
    places = range(0, len(references), step)[:SHOWN]
    return [
        Heard(
            place,
            references[place],
            {arm: words(references[place], texts[place]) for arm, texts in hypotheses.items()},
        )
        for place in places
    ]


def words(reference: str, hypothesis: str) -> list[Word]:
    """Returns the hypothesis' words beside those of the reference, aligned with fewest errors."""
    said, understood = reference.split(), hypothesis.split()
    if not said:  # jiwer refuses it
        return [Word("extra", word, "") for word in understood]
    (chunks,) = jiwer.process_words(reference, hypothesis).alignments
    return [
        Word(KINDS[chunk.type], *pair)
        for chunk in chunks
        for pair in zip_longest(
            understood[chunk.hyp_start_idx : chunk.hyp_end_idx],
            said[chunk.ref_start_idx : chunk.ref_end_idx],
            fillvalue="",
        )
    ]
