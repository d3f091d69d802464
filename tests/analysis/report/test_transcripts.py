"""Words side by side with the reference's: which are wrong, extra, missing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.groups import groups
from analysis.records import read_all
from analysis.report.transcripts import SHOWN, Word, heard, words
from recipes.metrics.wer import counts

TEXT = st.lists(st.sampled_from(["a", "bee", "sea", "d"]), max_size=8).map(" ".join)


def test_each_kind_of_error_is_told_apart():
    found = words("the cat sat on mats", "the hat sat in on")
    assert found == [
        Word("right", "the", "the"),
        Word("wrong", "hat", "cat"),
        Word("right", "sat", "sat"),
        Word("extra", "in", ""),
        Word("right", "on", "on"),
        Word("missing", "", "mats"),
    ]
    assert words("", "a b") == [Word("extra", "a", ""), Word("extra", "b", "")]
    assert words("a b", "") == [Word("missing", "", "a"), Word("missing", "", "b")]
    assert words("", "") == []


@given(TEXT, TEXT)
def test_both_texts_can_be_read_off_and_the_errors_are_those_of_wer(reference, hypothesis):
    found = words(reference, hypothesis)
    assert " ".join(word.said for word in found if word.said) == reference
    assert " ".join(word.heard for word in found if word.heard) == hypothesis
    assert sum(word.kind != "right" for word in found) == counts(hypothesis, reference)[0]


def spoken(path: str, hypotheses: list[str]) -> dict[str, np.ndarray]:
    references = [f"utterance {i}" for i in range(len(hypotheses))]
    return {
        f"{path}/test/hypothesis": np.array(hypotheses),
        f"{path}/test/reference": np.array(references),
    }


def test_utterances_are_evenly_spaced_and_each_arm_keeps_its_own(house):
    count = 3 * SHOWN + 1
    for arm, path in (("baseline", "dense"), ("dsd", "dense/sparse/redense")):
        texts = [f"{arm} {i}" for i in range(count)]
        house.run(arm, 0, 30.0, examples=spoken(path, texts))
    (group,) = groups(read_all(house.runs))
    found = heard([runs[0] for runs in group.arms.values()], "test")
    assert [one.place for one in found] == list(range(0, 3 * SHOWN, 3))
    for one in found:
        assert one.reference == f"utterance {one.place}"
        for arm in ("baseline", "dsd"):
            assert " ".join(word.heard for word in one.arms[arm]) == f"{arm} {one.place}"


def test_records_without_texts_have_no_transcripts(house):
    house.run("dsd", 0, 30.0)
    (group,) = groups(read_all(house.runs))
    assert heard([group.arms["dsd"][0]], "test") == []
