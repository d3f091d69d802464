"""Word and character error rates, pooled over a corpus: all errors over all words."""

from collections.abc import Sequence

import jiwer
import numpy as np


def counts(hypothesis: str, reference: str) -> list[int]:
    """Returns word errors, reference words, character errors, reference characters; blanks count.

    Errors: the fewest substitutions, deletions and insertions. White space separates words.
    """
    hypothesis, reference = " ".join(hypothesis.split()), " ".join(reference.split())
    if not reference:  # jiwer refuses it
        return [len(hypothesis.split()), 0, len(hypothesis), 0]
    words = jiwer.process_words(reference, hypothesis)
    characters = jiwer.process_characters(reference, hypothesis)
    return [
        words.substitutions + words.deletions + words.insertions,
        len(reference.split()),
        characters.substitutions + characters.deletions + characters.insertions,
        len(reference),
    ]


def rates(counts: np.ndarray | Sequence[Sequence[int]]) -> dict[str, float]:
    """Returns wer_pct and cer_pct of (N, 4) counts, one row per utterance. Above 100 is possible.

    Raises ValueError when no reference has a word.
    """
    summed = np.asarray(counts, dtype=np.int64).reshape(-1, 4).sum(axis=0).tolist()
    word_errors, words, character_errors, characters = summed
    if not words:
        raise ValueError("no reference has a word")
    return {
        "wer_pct": 100 * word_errors / words,
        "cer_pct": 100 * character_errors / characters,
    }
