"""DeepSpeech (Hannun et al. 2014, arXiv 1412.5567), in the layers of the DSD paper's table 6.

First convolution: `conv`. CTC output layer: `output`. The paper prunes neither.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dsd.training.batch_norm import SynchronisedBatchNorm
from models.dropout import dropout
from models.packing import on_device, pack, unpack
from models.recurrent import Recurrent, clipped_relu

BINS = 161  # of the spectrogram
CONTEXT = 11  # frames that a window of the convolution holds
Lengths = Sequence[int] | Tensor  # not on a GPU: packing needs them on the CPU


def deepspeech(
    num_classes: int = 29, hidden: int = 1024, stride: int = 2, dropout: float = 0.0
) -> "DeepSpeech":
    """Returns the network freshly initialised: 8 139 805 parameters.

    num_classes: 26 letters, space, apostrophe and CTC's blank. stride: frames from one window to
    the next; not given in table 6, Hannun et al. (section 3.3) take every second.
    """
    return DeepSpeech(num_classes, hidden, stride, dropout)


class DeepSpeech(nn.Module):
    """A convolution over time, two dense layers, a bidirectional recurrent one, one more dense.

    A ReLU clipped at 20 follows each; `output` gives the symbols' activations. `dropout` acts on
    the layers that are not recurrent, while training (Hannun et al.: 5 to 10 %). The initialisation
    is ours, the papers name none: weights normal with variance 2 / inputs (He et al. 2015), the
    output layer's 1 / inputs, biases zero; `models.recurrent.Recurrent` documents its own.
    """

    def __init__(
        self, num_classes: int = 29, hidden: int = 1024, stride: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(BINS, hidden, CONTEXT, stride, padding=CONTEXT // 2)
        self.fc1 = nn.Linear(hidden, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.recurrent = Recurrent(hidden, hidden)
        self.fc3 = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, num_classes)
        self.stride, self.dropout = stride, dropout
        for layer in (self.conv, self.fc1, self.fc2, self.fc3):
            initialise(layer)
        initialise(self.output, gain=1.0)

    def output_frames(self, frames: int) -> int:
        """Returns how many activations an utterance of so many frames gives."""
        return -(-frames // self.stride)

    def forward(self, features: Tensor, lengths: Lengths) -> tuple[Tensor, list[int]]:
        """Returns the activations, before the softmax, and how many each utterance has.

        features: (B, frames, 161), whatever after an utterance's end. lengths: (B,), frames of
        each, at least 1. Returns (frames', B, symbols), zero after an utterance's end, and B ints.
        An empty batch gives (0, 0, symbols), with gradients of zero for all parameters. Raises
        ValueError for lengths that the features cannot have.
        """
        ended, lengths = until_the_end(features, lengths)
        if not lengths:
            return no_activations(self, self.output.out_features), []
        outputs = [self.output_frames(length) for length in lengths]
        windows = self.conv(ended.transpose(1, 2)).permute(2, 0, 1)
        packed = pack(windows, outputs)
        x = self._dropped(clipped_relu(packed.data))
        x = self._dropped(clipped_relu(self.fc1(x)))
        x = self._dropped(clipped_relu(self.fc2(x)))
        x = self.recurrent(x, packed.batch_sizes.tolist())
        x = self._dropped(clipped_relu(self.fc3(x)))
        return unpack(packed._replace(data=self.output(x))), outputs

    def _dropped(self, units: Tensor) -> Tensor:
        return dropout(units, self.dropout) if self.training and self.dropout else units


def until_the_end(features: Tensor, lengths: Lengths) -> tuple[Tensor, list[int]]:
    """Returns features (B, longest, bins), zero after each utterance's end, and lengths as ints.

    Raises ValueError for lengths that features (B, frames, bins) cannot have.
    """
    batch, frames, _ = features.shape
    lengths = [int(length) for length in lengths]
    if len(lengths) != batch or any(not 0 < length <= frames for length in lengths):
        raise ValueError(f"lengths: {lengths} of {batch} utterances of up to {frames} frames")
    longest = max(lengths, default=0)
    steps = torch.arange(longest, device=features.device)
    after = steps >= on_device(lengths, features.device)[:, None]
    ended = features[:, :longest].masked_fill(after[:, :, None], 0.0)
    return ended, lengths


def no_activations(net: nn.Module, symbols: int) -> Tensor:
    """Returns (0, 0, symbols), from which backward gives every parameter a gradient of zero.

    Processes that share a training wait for the gradients of all parameters, and BatchNorm layers
    with shared statistics, here in the order of the forward pass, for each other.
    """
    total = sum(parameter.sum() for parameter in net.parameters())
    for norm in net.modules():
        if isinstance(norm, SynchronisedBatchNorm):
            total = total + norm(norm.weight.new_zeros(0, norm.num_features)).sum()
    return total * next(net.parameters()).new_zeros(0, 0, symbols)


def initialise(layer: nn.Conv1d | nn.Conv2d | nn.Linear, gain: float = 2.0) -> None:
    """Draws weights of variance gain / inputs, and sets the biases to zero."""
    nn.init.normal_(layer.weight, std=(gain / layer.weight[0].numel()) ** 0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
