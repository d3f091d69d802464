"""Beam search as NeuralTalk does it, for many images at once."""

from collections.abc import Callable

import torch
from torch import Tensor

END = 0  # the token that starts and ends a caption

State = tuple[Tensor, ...]  # rows belong to hypotheses
Step = Callable[[Tensor, State], tuple[Tensor, State]]  # last words (N,), state -> logits (N, V)


def beam_search(
    step: Step, state: State, beam: int, most_words: int
) -> list[tuple[list[int], float]]:
    """Returns each image's best caption: its words, without the end, and log probability in nats.

    state: the network's after it has read the images, one row per image. For each of `most_words`
    words every hypothesis offers its `beam` likeliest next words, and the `beam` likeliest of all
    offers stay; one that has ended stays as it is. No length normalisation. The rules, and so the
    best caption, are the original's (imagernn/lstm_generator.py, predict). But a hypothesis that is
    no likelier than one that has ended can't win any more, and is not followed any further.
    """
    images, device = len(state[0]), state[0].device
    if not images:
        return []
    scores = torch.zeros(images, 1, device=device)
    words = torch.full((images, 1, 1), END, device=device)  # the start token, then the words
    ended = torch.zeros(images, 1, dtype=torch.bool, device=device)
    rows = torch.arange(images, device=device)  # of the hypotheses that are followed
    for _ in range(most_words):
        logits, state = step(words[:, :, -1].flatten()[rows], state)
        likeliest, offered = logits.topk(min(beam, logits.shape[1]), 1)
        choices = likeliest.shape[1]
        # An ended hypothesis offers itself, one that is not followed offers nothing.
        offers = likeliest.new_full((scores.numel(), choices), -torch.inf)
        offers[:, 0] = torch.where(ended.flatten(), 0.0, -torch.inf)
        offers[rows] = likeliest - logits.logsumexp(1, keepdim=True)
        next_words = torch.full_like(offers, END, dtype=torch.int64)
        next_words[rows] = offered

        totals = (scores.flatten()[:, None] + offers).view(images, -1)
        place = torch.zeros(scores.numel(), dtype=torch.int64, device=device)
        place[rows] = torch.arange(len(rows), device=device)
        first = scores.shape[1] * torch.arange(images, device=device)[:, None]
        scores, chosen = totals.topk(min(beam, totals.shape[1]), 1)
        parents = first + chosen // choices
        last = next_words.flatten()[choices * first + chosen]
        words = torch.cat([words.flatten(0, 1)[parents], last[:, :, None]], 2)
        ended = ended.flatten()[parents] | (last == END)

        best_ended = scores.where(ended, -torch.inf).amax(1, keepdim=True)
        followed = (~ended & (scores > best_ended)).flatten()
        rows = followed.nonzero()[:, 0]
        if not len(rows):
            break
        origin = place[parents.flatten()[rows]]
        state = tuple(part[origin] for part in state)
    return [
        (_until_end(caption), score)
        for caption, score in zip(words[:, 0, 1:].tolist(), scores[:, 0].tolist(), strict=True)
    ]


def _until_end(words: list[int]) -> list[int]:
    return words[: words.index(END)] if END in words else words
