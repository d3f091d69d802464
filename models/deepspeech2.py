"""Deep Speech 2 (Amodei et al. 2016, arXiv 1512.02595), in the layers of the DSD paper's table 8.

First convolutions: `conv1`, `conv2`. CTC output layer: `output`. The paper prunes none of them.
"""

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from models.deepspeech import BINS, Lengths, initialise, no_activations, until_the_end
from models.packing import pack, unpack
from models.recurrent import Recurrent, clipped_relu

CHANNELS = 32
HALF, QUARTER = (BINS + 1) // 2, (BINS + 3) // 4  # bins that the convolutions leave: 81, 41


def deepspeech2(num_classes: int = 29, hidden: int = 1760, layers: int = 7) -> "DeepSpeech2":
    """Returns the network freshly initialised: 67 696 733 parameters.

    num_classes: 26 letters, space, apostrophe and CTC's blank; the output layer of table 8 has the
    size of 54 symbols. layers: of the recurrent ones.
    """
    return DeepSpeech2(num_classes, hidden, layers)


class DeepSpeech2(nn.Module):
    """Two convolutions over frequency and time, bidirectional recurrent layers, a dense one.

    BatchNorm, then a ReLU clipped at 20 follow each convolution and the dense layer; the recurrent
    layers normalise their input product. Statistics are over the frames that utterances have, not
    over padding; the convolutions' are of each channel and frequency. `conv1` halves frames and
    bins, `conv2` bins again. The initialisation is ours, the papers name none: weights normal with
    variance 2 / inputs, the output layer's 1 / inputs; `models.recurrent.Recurrent` documents its
    own.
    """

    def __init__(self, num_classes: int = 29, hidden: int = 1760, layers: int = 7) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, CHANNELS, (41, 11), (2, 2), (20, 5), bias=False)
        self.norm1 = nn.BatchNorm1d(CHANNELS * HALF)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, (21, 11), (2, 1), (10, 5), bias=False)
        self.norm2 = nn.BatchNorm1d(CHANNELS * QUARTER)
        inputs = [CHANNELS * QUARTER] + [hidden] * (layers - 1)
        self.recurrent = nn.ModuleList(Recurrent(n, hidden, normalised=True) for n in inputs)
        self.fc = nn.Linear(hidden, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.output = nn.Linear(hidden, num_classes)
        for layer in (self.conv1, self.conv2, self.fc):
            initialise(layer)
        initialise(self.output, gain=1.0)

    def output_frames(self, frames: int) -> int:
        """Returns how many activations an utterance of so many frames gives."""
        return -(-frames // 2)

    def forward(self, features: Tensor, lengths: Lengths) -> tuple[Tensor, list[int]]:
        """Returns the activations, before the softmax, and how many each utterance has.

        Shapes, lengths and errors are those of `models.deepspeech.DeepSpeech.forward`: (B, frames,
        161) and B ints give (frames', B, symbols) and B ints.
        """
        ended, lengths = until_the_end(features, lengths)
        if not lengths:
            return no_activations(self, self.output.out_features), []
        outputs = [self.output_frames(length) for length in lengths]
        packed = _convolved(self.conv1, self.norm1, ended.transpose(1, 2)[:, None], outputs)
        planes = unpack(packed).unflatten(2, (CHANNELS, HALF)).permute(1, 2, 3, 0)
        packed = _convolved(self.conv2, self.norm2, planes, outputs)
        x, sizes = packed.data, packed.batch_sizes.tolist()
        for layer in self.recurrent:
            x = layer(x, sizes)
        x = clipped_relu(self.norm(self.fc(x)))
        return unpack(packed._replace(data=self.output(x))), outputs


def _convolved(
    conv: nn.Module, norm: nn.Module, planes: Tensor, lengths: list[int]
) -> PackedSequence:
    """Returns the packed frames, channels times bins, of planes (B, channels, bins, frames)."""
    frames = conv(planes).permute(3, 0, 1, 2).flatten(2)
    packed = pack(frames, lengths)
    return packed._replace(data=clipped_relu(norm(packed.data)))
