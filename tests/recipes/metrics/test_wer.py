"""Word and character error rates: hand-counted, against an edit distance of our own, pooled."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.metrics.wer import counts, rates

SENTENCES = st.lists(st.sampled_from(["a", "ab", "b", "it's", "one"]), max_size=6)


def distance(left, right):
    """The textbook recursion."""

    @cache
    def least(i, j):
        if i == 0 or j == 0:
            return i + j
        same = least(i - 1, j - 1) + (left[i - 1] != right[j - 1])
        return min(same, least(i - 1, j) + 1, least(i, j - 1) + 1)

    return least(len(left), len(right))


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        ("go", "go", [0, 1, 0, 2]),
        ("", "go on", [2, 2, 5, 5]),
        ("go on", "", [2, 0, 5, 0]),
        ("stop it", "go", [2, 1, 6, 2]),
        ("the  cat sat ", "the cat", [1, 2, 4, 7]),
        ("thecat", "the cat", [2, 2, 1, 7]),
    ],
)
def test_counts(hypothesis, reference, expected):
    assert counts(hypothesis, reference) == expected


@given(hypothesis=SENTENCES, reference=SENTENCES)
def test_counts_are_the_least_edits(hypothesis, reference):
    heard, said = " ".join(hypothesis), " ".join(reference)
    expected = [distance(hypothesis, reference), len(reference), distance(heard, said), len(said)]
    assert counts(heard, said) == expected


def test_rates_are_pooled():
    # Three errors in four words; the mean of the utterances' rates would be 150 %.
    table = [counts("a b c", "x"), counts("one two three", "one two three")]
    assert rates(table)["wer_pct"] == 75
    assert rates(np.array(table)) == rates(table)


def test_no_word_at_all():
    with pytest.raises(ValueError, match="no reference"):
        rates([counts("a", "")])


def score(dsd, folder, heard, said):
    (folder / "heard.txt").write_text(heard)
    (folder / "said.txt").write_text(said)
    return dsd(
        *("score", "wer", "--hypotheses", str(folder / "heard.txt")),
        *("--references", str(folder / "said.txt")),
    )


def test_the_command(dsd, tmp_path):
    done = score(dsd, tmp_path, "a b c\none two three\n", "x\none two three\n")
    assert done.stdout.splitlines() == [
        "WER 75.00 % (3 errors in 4 words)",
        "CER 35.71 % (5 errors in 14 characters)",
    ]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("heard", "said", "why"),
    [
        ("a\n", "a\nb\n", "has 2 lines"),
        ("", "a\n", "is empty"),
        ("a\n", "\n", "holds no word"),
    ],
)
def test_what_cannot_be_scored(dsd, tmp_path, heard, said, why):
    done = score(dsd, tmp_path, heard, said)
    assert done.returncode == 2
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
