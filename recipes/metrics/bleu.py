"""BLEU-1 to BLEU-4: as NeuralTalk's multi-bleu.perl counts it, and the standard one.

That script, which gave the paper's table 5, has no brevity penalty: a caption that stops early
loses nothing. Both are corpus scores: n-grams are summed over all sentences before any division.
"""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from nltk.translate.bleu_score import corpus_bleu

ORDERS = (1, 2, 3, 4)

Words = Sequence[str]


def words(line: str) -> list[str]:
    """Returns the words of a line as the script splits them: at ASCII's blanks alone.

    A no-break space is part of a word.
    """
    return [
        word.decode(errors="surrogatepass") for word in line.encode(errors="surrogatepass").split()
    ]


def counts(hypothesis: Words, references: Sequence[Words]) -> list[int]:
    """Returns the ten counts of one sentence, which may be summed over a corpus.

    Four clipped n-gram matches; four totals of the hypothesis' n-grams; the hypothesis' length and
    that of the closest reference (ties: the shorter), in words. Needs one reference at least.
    """
    matches, totals = [], []
    for n in ORDERS:
        found, allowed = _ngrams(hypothesis, n), Counter[tuple[str, ...]]()
        for reference in references:
            allowed |= _ngrams(reference, n)  # as often as in the reference that has it most often
        matches.append((found & allowed).total())
        totals.append(found.total())
    length = len(hypothesis)
    closest = min(map(len, references), key=lambda other: (abs(other - length), other))
    return [*matches, *totals, length, closest]


def scores(counts: np.ndarray) -> dict[str, float]:
    """Returns bleu1 ... bleu4 in percent, without brevity penalty, and length_ratio.

    `counts`: (N, 10), one row of `counts` per sentence. bleu<n> is the geometric mean of the
    precisions of orders 1 to n; a precision of zero, or no n-gram at all, makes it 0. length_ratio
    is the hypotheses' length over that of the closest references, 0 where these have no words.
    """
    summed = np.asarray(counts, dtype=np.int64).reshape(-1, 10).sum(axis=0)
    precisions = summed[:4] / np.maximum(summed[4:8], 1)
    bleu = 100 * np.cumprod(precisions) ** (1 / np.array(ORDERS))
    length, closest = summed[8:]
    ratio = length / closest if closest else 0.0
    return {f"bleu{n}": float(bleu[n - 1]) for n in ORDERS} | {"length_ratio": float(ratio)}


def standard(
    hypotheses: Sequence[Words], references: Sequence[Sequence[Words]]
) -> dict[str, float]:
    """Returns standard_bleu1 ... standard_bleu4 in percent, with brevity penalty, by nltk.

    `references[i]`: those of `hypotheses[i]`. Not smoothed. nltk counts a hypothesis shorter than n
    words as one n-gram that does not match, the script above as none. Raises ValueError where the
    two differ in length.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses, {len(references)} lists of references")
    found = [0.0] * len(ORDERS)
    if hypotheses:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a precision is zero
            found = corpus_bleu(references, hypotheses, [(1 / n,) * n for n in ORDERS])
    # nltk puts 2e-308 in place of a precision of zero
    return {f"standard_bleu{n}": round(100 * float(found[n - 1]), 9) for n in ORDERS}


def _ngrams(words: Words, n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))
