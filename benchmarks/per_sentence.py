"""NeuralTalk in NumPy, one sentence and one hypothesis at a time: what captions.py compares with.

Written after the original program (github.com/karpathy/neuraltalk: imagernn/lstm_generator.py,
generic_batch_generator.py, solver.py, driver.py): the same arrays, arithmetic and order of work.
All images are encoded in one product; each sentence then goes through the LSTM by itself. Words are
indices; 0 is both start and end, and no sentence here holds it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

Arrays = Mapping[str, np.ndarray]
DECAYED = ("We", "Ws", "WLSTM", "Wd")


class Pass(NamedTuple):
    """What the LSTM did on n inputs: rows (n, 1 + E + H), gates (n, 4H), cells, hidden (n, H)."""

    rows: np.ndarray
    gates: np.ndarray
    cells: np.ndarray
    hidden: np.ndarray


def cost(
    params: Arrays,
    features: np.ndarray,
    sentences: Sequence[np.ndarray],
    *,
    by_word: bool = True,
    dropout: float = 0.0,
    draw: np.random.Generator | None = None,
    l2: float = 1e-8,
) -> tuple[float, dict[str, np.ndarray]]:
    """Returns the cost in nats per sentence, without the L2 penalty, and all gradients, with it.

    params: We (D, E), be (1, E), Ws (V, E), WLSTM (1 + E + H, 4H), Wd (H, V), bd (1, V), whose
    dtype is computed in. features: (B, D). sentences: B arrays of word indices. by_word: every word
    is multiplied by the whole LSTM matrix and adds its outer product to the gradient, as in the
    original; otherwise each sentence does in one product what needs no recurrence.
    """
    images = features @ params["We"] + params["be"]
    d_images = np.zeros_like(images)
    gradients = {name: np.zeros_like(array) for name, array in params.items()}
    nats = 0.0
    for number, sentence in enumerate(sentences):
        read, said = np.append(0, sentence), np.append(sentence, 0)
        inputs = np.vstack([images[number], params["Ws"][read]])
        kept_inputs = _kept(inputs, dropout, draw)
        lstm = forward(params["WLSTM"], inputs * kept_inputs, by_word)
        kept_hidden = _kept(lstm.hidden, dropout, draw)
        hidden = (lstm.hidden * kept_hidden)[1:]  # what the image says is left out

        probabilities = softmax(hidden @ params["Wd"] + params["bd"])
        steps = np.arange(len(said))
        nats -= float(np.log(1e-20 + probabilities[steps, said]).sum())
        d_logits = probabilities
        d_logits[steps, said] -= 1

        gradients["Wd"] += hidden.T @ d_logits
        gradients["bd"] += d_logits.sum(0)
        d_hidden = np.zeros_like(lstm.hidden)
        d_hidden[1:] = d_logits @ params["Wd"].T
        d_weights, d_inputs = backward(params["WLSTM"], lstm, d_hidden * kept_hidden, by_word)
        gradients["WLSTM"] += d_weights
        d_inputs *= kept_inputs
        d_images[number] = d_inputs[0]
        for word, d_word in zip(read, d_inputs[1:], strict=True):
            gradients["Ws"][word] += d_word
    gradients["We"] = features.T @ d_images
    gradients["be"] = d_images.sum(0, keepdims=True)
    for name in DECAYED:
        gradients[name] += l2 * params[name]
    for gradient in gradients.values():
        gradient /= len(sentences)
    return nats / len(sentences), gradients


def forward(weights: np.ndarray, inputs: np.ndarray, by_word: bool) -> Pass:
    """Runs the LSTM over one sentence's inputs (n, E), the image first."""
    steps, encoding = inputs.shape
    width = weights.shape[1] // 4
    rows = np.zeros((steps, len(weights)), inputs.dtype)
    rows[:, 0] = 1
    rows[:, 1 : 1 + encoding] = inputs
    lstm = Pass(rows, *(np.zeros((steps, n), inputs.dtype) for n in (4 * width, width, width)))
    recurrent = weights[1 + encoding :]
    if not by_word:
        lstm.gates[:] = rows[:, : 1 + encoding] @ weights[: 1 + encoding]
    cell = hidden = np.zeros(width, inputs.dtype)
    for t in range(steps):
        rows[t, 1 + encoding :] = hidden
        raw = rows[t] @ weights if by_word else lstm.gates[t] + hidden @ recurrent
        lstm.gates[t], lstm.cells[t], lstm.hidden[t] = _activate(raw, cell)
        cell, hidden = lstm.cells[t], lstm.hidden[t]
    return lstm


def backward(
    weights: np.ndarray, lstm: Pass, d_hidden: np.ndarray, by_word: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the gradients of the weights and of the inputs (n, E), given those of hidden (n, H).

    `d_hidden` is added to.
    """
    width = d_hidden.shape[1]
    encoding = len(weights) - 1 - width
    recurrent = weights[1 + encoding :]
    d_weights, d_rows = np.zeros_like(weights), np.zeros_like(lstm.rows)
    d_gates = np.zeros_like(lstm.gates)
    d_cell = np.zeros(width, d_hidden.dtype)
    for t in reversed(range(len(d_hidden))):
        i, f, o, candidate = np.split(lstm.gates[t], 4)
        before = lstm.cells[t - 1] if t else np.zeros_like(d_cell)
        d_cell = d_cell + o * d_hidden[t]
        d_gates[t, :width] = d_cell * candidate * i * (1 - i)
        d_gates[t, width : 2 * width] = d_cell * before * f * (1 - f)
        d_gates[t, 2 * width : 3 * width] = d_hidden[t] * lstm.cells[t] * o * (1 - o)
        d_gates[t, 3 * width :] = d_cell * i * (1 - candidate**2)
        d_cell = d_cell * f
        if by_word:
            d_weights += np.outer(lstm.rows[t], d_gates[t])
            d_rows[t] = d_gates[t] @ weights.T
        if t:
            d_hidden[t - 1] += d_rows[t, 1 + encoding :] if by_word else d_gates[t] @ recurrent.T
    if not by_word:
        d_weights = lstm.rows.T @ d_gates
        d_rows[:, : 1 + encoding] = d_gates @ weights[: 1 + encoding].T
    return d_weights, d_rows[:, 1 : 1 + encoding]


def rmsprop(
    params: Arrays,
    gradients: Arrays,
    squares: Arrays,
    *,
    lr: float,
    decay: float = 0.999,
    eps: float = 1e-8,
    clip: float = 5.0,
) -> None:
    """Takes a step in place, with `eps` inside the root. squares: running means, zeros at first."""
    for name, gradient in gradients.items():
        clipped = np.clip(gradient, -clip, clip)
        squares[name][:] = decay * squares[name] + (1 - decay) * clipped**2
        params[name][:] -= lr * clipped / np.sqrt(squares[name] + eps)


def caption(
    params: Arrays, features: np.ndarray, beam: int, most_words: int = 20
) -> tuple[list[int], float]:
    """Returns the best caption of one image (D,), without the end, and its log probability in nats.

    Every hypothesis offers its `beam` likeliest next words, one that has ended offers itself; the
    `beam` likeliest of all stay. There are always `most_words` rounds.
    """
    weights = params["WLSTM"]
    zeros = np.zeros(len(params["Wd"]), weights.dtype)
    image = (features @ params["We"] + params["be"]).ravel()
    beams = [(0.0, [0], *_tick(weights, image, zeros, zeros))]
    for _ in range(most_words):
        offers = []
        for hypothesis in beams:
            score, words, hidden, cell = hypothesis
            if words[-1] == 0 and len(words) > 1:
                offers.append(hypothesis)
                continue
            hidden, cell = _tick(weights, params["Ws"][words[-1]], hidden, cell)
            logits = (hidden @ params["Wd"] + params["bd"]).ravel()
            nats = np.log(1e-20 + softmax(logits))
            offers += [
                (score + float(nats[word]), [*words, int(word)], hidden, cell)
                for word in np.argsort(-nats)[:beam]
            ]
        beams = sorted(offers, key=lambda offer: offer[0], reverse=True)[:beam]
    score, words, *_ = beams[0]
    return words[1 : -1 if words[-1] == 0 else None], score


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities along the last axis."""
    powers = logits - logits.max(-1, keepdims=True)
    np.exp(powers, out=powers)
    powers /= powers.sum(-1, keepdims=True)
    return powers


def _tick(
    weights: np.ndarray, inputs: np.ndarray, hidden: np.ndarray, cell: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    row = np.concatenate([np.ones(1, weights.dtype), inputs, hidden])
    _, cell, hidden = _activate(row @ weights, cell)
    return hidden, cell


def _activate(raw: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns gates (4H,) with their non-linearities, the next cell and hidden state (H,)."""
    width = len(cell)
    gates = np.concatenate([1 / (1 + np.exp(-raw[: 3 * width])), np.tanh(raw[3 * width :])])
    i, f, o, candidate = np.split(gates, 4)
    cell = i * candidate + f * cell
    return gates, cell, o * cell


def _kept(array: np.ndarray, dropout: float, draw: np.random.Generator | None) -> np.ndarray:
    """Returns what to multiply with: 0 where dropped, 1 / (1 - dropout) elsewhere."""
    if draw is None:
        return np.ones_like(array)
    return ((draw.random(array.shape) >= dropout) / (1 - dropout)).astype(array.dtype)
