"""Captions as words and as indices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.captions import CaptionSet, Vocabulary, tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man 's dog , running .", "a man s dog running"),
        ("A tri-colored dog's toy", "a tricolored dogs toy"),
        ('Number 27 of the "Red Sox" ; at bat !', "number 27 of the red sox at bat"),
        ("  two\tdogs ", "two dogs"),
        ("A café & bar", "a caf bar"),
        (" . ", ""),
    ],
)
def test_tokenize(text, words):
    assert tokenize(text) == tuple(words.split())


def captions(*texts, name="train", image="a.jpg"):
    return CaptionSet(name, (image,), (tuple(tuple(text.split()) for text in texts),))


def test_vocabulary_keeps_frequent_words_in_order():
    train = captions("b a c", "b a . d", "b c a c")
    vocabulary = Vocabulary.of(train, threshold=2)
    assert vocabulary.words == (".", "a", "b", "c")  # three times each, alphabetically
    assert vocabulary.counts == (3, 3, 3, 3)
    assert Vocabulary.of(train, threshold=1).words == (".", "a", "b", "c", "d")
    assert Vocabulary.of(captions("z z a"), threshold=1).words == (".", "z", "a")
    assert Vocabulary.of(train, threshold=4).words == (".",)


def test_encode_leaves_unknown_words_out_and_decode_drops_the_end():
    vocabulary = Vocabulary.of(captions("a dog runs"), threshold=1)
    assert vocabulary.encode(["a", "unicorn", "runs", "."]) == [1, 3]
    assert vocabulary.decode([0, 1, 2, 3, 0]) == "a dog runs"
    assert vocabulary.decode([]) == ""


WORDS = st.text("abc1", min_size=1, max_size=3)


@given(st.lists(st.lists(WORDS, min_size=1), min_size=1), st.integers(1, 4))
def test_known_words_survive_encoding(sentences, threshold):
    train = captions(*(" ".join(words) for words in sentences))
    vocabulary = Vocabulary.of(train, threshold)
    everything = [word for words in sentences for word in words]
    for words in sentences:
        indices = vocabulary.encode(words)
        kept = [word for word in words if everything.count(word) >= threshold]
        assert vocabulary.decode(indices).split() == kept
        assert 0 not in indices
        assert [vocabulary.counts[i] for i in indices] == [everything.count(w) for w in kept]
    assert list(vocabulary.counts[1:]) == sorted(vocabulary.counts[1:], reverse=True)


def test_fingerprint_tells_names_words_and_borders_apart():
    sets = [
        captions("a b", "c"),
        captions("a b c"),
        captions("a", "b c"),
        captions("a b", "d"),
        captions("a b", "c", image="b.jpg"),
        CaptionSet("", ("a", "b"), ((("x",),), (("y",),))),
        CaptionSet("", ("a",), ((("xb",), ("y",)),)),
    ]
    assert len({s.fingerprint() for s in sets}) == len(sets)
    assert captions("a b", "c", name="elsewhere").fingerprint() == sets[0].fingerprint()


# Texts
