"""Beam search against the rules written out for one image at a time."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.beam_search import END, beam_search

VOCABULARY, STEPS = 6, 7


def table(seed: int, images: int, end: float) -> torch.Tensor:
    """Log probabilities (images, STEPS, V, V) of the next word after each; `end` favours the end.

    They differ from step to step, so that no two captions have the same probability.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, STEPS, VOCABULARY, VOCABULARY, generator=generator)
    logits[..., END] += end
    return logits.double().log_softmax(3)


def search(log_p: torch.Tensor, beam: int, most_words: int) -> list[tuple[list[int], float]]:
    def step(words, state):
        image, number = state
        return log_p[image, number, words] + 3.0, (image, number + 1)  # need not be normalised

    images = len(log_p)
    state = torch.arange(images), torch.zeros(images, dtype=torch.int64)
    return beam_search(step, state, beam, most_words)


def plainly(log_p: torch.Tensor, beam: int, most_words: int) -> tuple[list[int], float]:
    """The original's rules: every hypothesis offers its `beam` best, ended ones stay."""
    beams = [(0.0, [])]
    for number in range(most_words):
        offers = []
        for score, words in beams:
            if words and words[-1] == END:
                offers.append((score, words))
                continue
            after = log_p[number, words[-1] if words else END]
            best = after.argsort(descending=True)[:beam].tolist()
            offers += [(score + after[word].item(), [*words, word]) for word in best]
        beams = sorted(offers, reverse=True)[:beam]
    score, words = beams[0]
    return [word for word in words if word != END], score


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**20),
    beam=st.integers(1, 8),
    end=st.floats(-3, 3),
    most_words=st.integers(1, STEPS),
)
def test_many_images_at_once_give_what_one_at_a_time_gives(seed, beam, end, most_words):
    log_p = table(seed, 5, end)
    for image, (words, score) in enumerate(search(log_p, beam, most_words)):
        expected, log_probability = plainly(log_p[image], beam, most_words)
        assert words == expected
        assert math.isclose(score, log_probability, rel_tol=1e-9, abs_tol=1e-9)


def test_a_wide_beam_finds_the_best_of_all_captions():
    log_p = table(3, 1, -1.0)
    found = search(log_p, VOCABULARY**3, 3)[0][1]
    every = []
    for a in range(VOCABULARY):
        for b in range(VOCABULARY):
            for c in range(VOCABULARY):
                words = [a, b, c]
                words = words[: words.index(END) + 1] if END in words else words
                pairs = enumerate(zip([END, *words], words, strict=False))
                every.append(sum(log_p[0, t, x, y].item() for t, (x, y) in pairs))
    assert math.isclose(found, max(every), rel_tol=1e-12)


def test_a_caption_may_be_empty():
    log_p = table(0, 2, 50.0)
    assert [words for words, _ in search(log_p, 3, 5)] == [[], []]
