"""NeuralTalk: an LSTM that reads an image's features, then writes its caption word by word.

The arithmetic of the original program (github.com/karpathy/neuraltalk, generator `lstm`, after
Vinyals et al. 2015), which is not the textbook LSTM: the image enters as the first word, the hidden
state is output gate * cell with no tanh on the cell, and one matrix holds the bias row, then the
input rows, then the recurrent rows.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from dsd.errors import UserError
from models.beam_search import END, State, beam_search
from models.dropout import dropout
from models.packed_lstm import input_gates, packed_lstm, tick
from models.packing import on_device, pack

START = END  # one index for both
PARAMETERS = ("We", "be", "Ws", "WLSTM", "Wd", "bd")
Lengths = Sequence[int] | Tensor  # not on a GPU: packing needs them on the CPU
COLUMNS = 32  # a multiple of them suits the processor's matrix product
MOST_WORDS = 20  # of a caption, the end token counted


def neuraltalk(
    num_classes: int = 2538,
    features: int = 4096,
    encoding: int = 256,
    hidden: int = 256,
    dropout: float = 0.5,
) -> "NeuralTalk":
    """Returns the network initialised as the original: matrices uniform in ±0.1, biases zero.

    num_classes: words of the vocabulary, with the token 0 that starts and ends every caption.
    features: length of an image's feature vector (VGG-16 fc7: 4096). encoding: of image and word.
    The paper's size, for Flickr-8K (256/256/256 and the defaults): 2 876 138 parameters.
    """
    shapes = {
        "We": (features, encoding),
        "Ws": (num_classes, encoding),
        "WLSTM": (1 + encoding + hidden, 4 * hidden),
        "Wd": (hidden, num_classes),
    }
    parameters = {name: torch.empty(shape).uniform_(-0.1, 0.1) for name, shape in shapes.items()}
    parameters["be"] = torch.zeros(1, encoding)
    parameters["bd"] = torch.zeros(1, num_classes)
    return NeuralTalk(parameters, dropout)


class NeuralTalk(nn.Module):
    """The network under the original's names: We be (image), Ws (words), WLSTM, Wd bd (decoder).

    With D features, encoding size E, hidden size H and V words: We (D, E), be (1, E), Ws (V, E),
    WLSTM (1 + E + H, 4H), Wd (H, V), bd (1, V). The columns of WLSTM are the input, forget and
    output gates, then the cell's input. `dropout` acts on inputs and on hidden states as they are
    read by the decoder, while training.
    """

    We: nn.Parameter
    be: nn.Parameter
    Ws: nn.Parameter
    WLSTM: nn.Parameter
    Wd: nn.Parameter
    bd: nn.Parameter

    def __init__(self, parameters: Mapping[str, Tensor], dropout: float = 0.5) -> None:
        super().__init__()
        for name in PARAMETERS:
            self.register_parameter(name, nn.Parameter(parameters[name]))
        self.dropout = dropout

    @classmethod
    def from_numpy(cls, params: Mapping[str, np.ndarray], dropout: float = 0.5) -> "NeuralTalk":
        """Returns the network of an original checkpoint's arrays, in their dtype.

        Raises UserError for an array that is missing, unknown or of a shape that does not fit.
        """
        if set(params) != set(PARAMETERS):
            odd = ", ".join(sorted(set(params) ^ set(PARAMETERS)))
            raise UserError(
                f"NeuralTalk: {odd}: missing or unknown; give the arrays {' '.join(PARAMETERS)}"
            )
        arrays = {name: torch.from_numpy(np.array(params[name])) for name in PARAMETERS}
        for name, array in arrays.items():
            if array.dim() != 2 or not array.is_floating_point():
                raise UserError(
                    f"NeuralTalk: {name} is {array.dtype} of shape {tuple(array.shape)}, but must "
                    "be floats of two axes; give the arrays of one checkpoint"
                )
        for name, wanted in _shapes(arrays).items():
            if tuple(arrays[name].shape) != wanted:
                raise UserError(
                    f"NeuralTalk: {name} is of shape {tuple(arrays[name].shape)}, but must be "
                    f"{wanted}; give the arrays of one checkpoint"
                )
        return cls(arrays, dropout)

    def forward(self, features: Tensor, words: Tensor, lengths: Lengths) -> PackedSequence:
        """Returns the logits of each caption's words and of its end.

        features: (B, D). words: (B, T) int64, padded, without start and end. lengths: (B,), words
        in each caption. Returns packed (lengths + 1, V), as `targets`.
        """
        started = _packed(F.pad(words, (1, 0), value=START), lengths)
        images = features.to(self.We.dtype) @ self.We + self.be
        if started.sorted_indices is not None:
            images = images[started.sorted_indices]
        inputs = torch.cat([images, F.embedding(started.data, self.Ws).to(images.dtype)])
        sizes = [len(features), *started.batch_sizes.tolist()]
        hidden = packed_lstm(self._dropped(inputs), self.WLSTM, sizes)
        hidden = self._dropped(hidden[len(features) :])  # the image alone predicts nothing
        return started._replace(data=torch.addmm(self.bd, hidden, self.Wd))

    def cost(self, features: Tensor, words: Tensor, lengths: Lengths, l2: float = 1e-8) -> Tensor:
        """Returns the original's cost: nats per caption, and half of l2 |W|^2 over the batch size.

        Shapes as in `forward`. We, Ws, WLSTM and Wd are decayed, be and bd are not.
        """
        logits = self(features, words, lengths)
        nats = F.cross_entropy(logits.data, targets(words, lengths).data, reduction="sum")
        decayed = sum((w * w).sum() for w in (self.We, self.Ws, self.WLSTM, self.Wd))
        return (nats + 0.5 * l2 * decayed) / len(features)

    @torch.inference_mode()
    def caption(self, features: Tensor, beam: int = 1) -> list[tuple[list[int], float]]:
        """Returns each image's best caption: its words, without the end, and log probability.

        features: (B, D). In nats, by beam search over at most 20 words.
        """
        images = features.to(self.We.dtype) @ self.We + self.be
        zeros = images.new_zeros(len(features), len(self.Wd))
        state = tick(input_gates(images, self.WLSTM), zeros, zeros, self.WLSTM)
        word_gates = input_gates(self.Ws, self.WLSTM)
        # A product with some columns more is faster; as words those have no probability.
        more = -len(self.Ws) % COLUMNS
        decoder, bias = F.pad(self.Wd, (0, more)), F.pad(self.bd, (0, more), value=-torch.inf)

        def step(words: Tensor, state: State) -> tuple[Tensor, State]:
            hidden, cell = state
            hidden, cell = tick(word_gates[words], hidden, cell, self.WLSTM)
            return torch.addmm(bias, hidden, decoder), (hidden, cell)

        return beam_search(step, state, beam, MOST_WORDS)

    def _dropped(self, units: Tensor) -> Tensor:
        return dropout(units, self.dropout) if self.training and self.dropout else units


def targets(words: Tensor, lengths: Lengths) -> PackedSequence:
    """Returns what `forward` predicts, packed alike: each caption's words, then the end.

    words: (B, T) int64, padded. lengths: (B,), words in each caption.
    """
    ended = F.pad(words, (0, 1))
    at = on_device(lengths, words.device)[:, None]
    return _packed(ended.scatter(1, at, END), lengths)


def _packed(words: Tensor, lengths: Lengths) -> PackedSequence:
    """Packs one word more than `lengths` of each row."""
    return pack(words.t(), torch.as_tensor(lengths, device="cpu") + 1)


def _shapes(arrays: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes that the sizes of We, Wd and Ws ask for."""
    (words, encoding), hidden = arrays["Ws"].shape, arrays["Wd"].shape[0]
    return {
        "We": (arrays["We"].shape[0], encoding),
        "be": (1, encoding),
        "WLSTM": (1 + encoding + hidden, 4 * hidden),
        "Wd": (hidden, words),
        "bd": (1, words),
    }
