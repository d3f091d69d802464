"""The CTC loss (Graves et al. 2006), called as warpctc_pytorch's, computed by torch's own.

The sums are those of warpctc_pytorch 0.2.1, which the speech recipes of its time used and which
ends at Python 3.8 and torch 1.6; legacy/warpctc compares the two.
"""

import platform
from collections.abc import Sequence
from importlib import import_module
from itertools import accumulate, chain, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dsd.errors import UserError
from models.packing import on_device

Lengths = Sequence[int] | Tensor


class CTCLoss(nn.Module):
    """warpctc_pytorch.CTCLoss: the cost of a batch in nats; symbol 0 is the blank.

    length_average: divides it by the number of all activations. size_average: by that of the
    utterances, unless length_average is set. backend: "torch", or "warpctc" to call
    warpctc_pytorch itself; raises UserError where that is not installed.
    """

    def __init__(
        self, size_average: bool = False, length_average: bool = False, backend: str = "torch"
    ) -> None:
        super().__init__()
        self.size_average, self.length_average = size_average, length_average
        self._warpctc = None
        if backend == "warpctc":
            self._warpctc = _warpctc().CTCLoss(size_average, length_average)
        elif backend != "torch":
            raise UserError(f'backend: no CTC loss is called {backend!r}; use "torch" or "warpctc"')

    def forward(
        self,
        activations: Tensor,
        labels: Tensor,
        activation_lengths: Lengths,
        label_lengths: Lengths,
    ) -> Tensor:
        """Returns the cost, (1,), zero for an empty batch. Half precision counts in float32.

        activations: (T, B, C), before the softmax. labels: the transcripts' symbols in a row, each
        from 1 to C - 1. activation_lengths: (B,), from 1 to T. label_lengths: (B,); a transcript
        may be empty. Raises ValueError for numbers that contradict each other, and for an utterance
        that has too few activations (see `fits`), naming its place in the batch: warpctc_pytorch
        lets it cost nothing.
        """
        lengths, transcripts = _read(activations, labels, activation_lengths, label_lengths)
        for place, (length, transcript) in enumerate(zip(lengths, transcripts, strict=True)):
            if not fits(length, transcript):
                raise ValueError(
                    f"utterance {place} of the batch: {length} activations are too few for its "
                    f"{len(transcript)} labels; leave it out"
                )
        if self._warpctc is not None:
            return self._warpctc(_float(activations), *_int32(lengths, transcripts))
        total = _costs(activations, lengths, transcripts).sum().reshape(1)
        if self.length_average:
            return total / max(sum(lengths), 1)
        return total / max(len(lengths), 1) if self.size_average else total


def costs(
    activations: Tensor, labels: Tensor, activation_lengths: Lengths, label_lengths: Lengths
) -> Tensor:
    """Returns each utterance's cost in nats, (B,); -1 for one that has too few activations.

    Takes what `CTCLoss` takes, and raises ValueError for numbers that contradict each other.
    """
    lengths, transcripts = _read(activations, labels, activation_lengths, label_lengths)
    fit = [fits(length, each) for length, each in zip(lengths, transcripts, strict=True)]
    nats = _costs(activations, lengths, transcripts).clamp(min=0.0)  # rounding may lead below zero
    return nats.where(torch.tensor(fit, dtype=torch.bool, device=nats.device), -1.0)


def fits(frames: int, labels: Sequence[int]) -> bool:
    """Returns whether so many activations can spell the labels: equal neighbours need a blank."""
    return len(labels) + sum(a == b for a, b in pairwise(labels)) <= frames


def _costs(activations: Tensor, lengths: list[int], transcripts: list[list[int]]) -> Tensor:
    if not lengths:
        return _float(activations).sum((0, 2))
    device = activations.device
    if torch.are_deterministic_algorithms_enabled():
        activations = activations.cpu()  # on a GPU the last bits of torch's gradient change
    log_probabilities = _float(activations).log_softmax(2)
    labels = on_device([*chain(*transcripts)], activations.device)
    sizes = torch.tensor(lengths), torch.tensor([*map(len, transcripts)])
    return F.ctc_loss(log_probabilities, labels, *sizes, reduction="none").to(device)


def _float(activations: Tensor) -> Tensor:
    return activations.to(torch.promote_types(activations.dtype, torch.float32))


def _read(
    activations: Tensor, labels: Tensor, activation_lengths: Lengths, label_lengths: Lengths
) -> tuple[list[int], list[list[int]]]:
    """Returns the lengths of the activations and the transcripts, or raises ValueError."""
    if activations.dim() != 3:
        raise ValueError(
            f"activations: {activations.dim()} axes, but must be frames, batch, symbols"
        )
    for name, given in (
        ("labels", labels),
        ("activation_lengths", activation_lengths),
        ("label_lengths", label_lengths),
    ):
        if isinstance(given, Tensor) and (given.dim() != 1 or given.is_floating_point()):
            raise ValueError(
                f"{name}: {given.dtype} of {given.dim()} axes, but must be ints in a row"
            )
    frames, batch, symbols = activations.shape
    lengths, sizes = _ints(activation_lengths), _ints(label_lengths)
    row: list[int] = labels.tolist()
    if not len(lengths) == len(sizes) == batch:
        raise ValueError(
            f"{len(lengths)} activation_lengths, {len(sizes)} label_lengths, but {batch} utterances"
        )
    if any(not 0 < length <= frames for length in lengths):
        raise ValueError(f"activation_lengths: {lengths}, but must be from 1 to {frames}")
    if any(length < 0 for length in sizes) or sum(sizes) != len(row):
        raise ValueError(f"label_lengths: {sizes}, but there are {len(row)} labels")
    if any(not 0 < label < symbols for label in row):
        raise ValueError(f"labels: from {min(row)} to {max(row)}, but must be 1 to {symbols - 1}")
    ends = [*accumulate(sizes, initial=0)]
    return lengths, [row[start:end] for start, end in pairwise(ends)]


def _ints(lengths: Lengths) -> list[int]:
    return lengths.tolist() if isinstance(lengths, Tensor) else [int(each) for each in lengths]


def _int32(lengths: list[int], transcripts: list[list[int]]) -> list[Tensor]:
    """Returns labels, activation lengths and label lengths as warpctc_pytorch takes them."""
    arguments = [*chain(*transcripts)], lengths, [*map(len, transcripts)]
    return [torch.tensor(each, dtype=torch.int32) for each in arguments]


def _warpctc() -> Any:
    try:
        return import_module("warpctc_pytorch")
    except ImportError:
        raise UserError(
            'backend "warpctc": warpctc_pytorch cannot be imported; its wheels end at Python 3.8 '
            f"and torch 1.6, this is Python {platform.python_version()} and torch "
            f'{torch.__version__}: use backend "torch", or compare the two by legacy/warpctc'
        ) from None
