"""torch's packed sequences, without waiting for the GPU: lengths and places stay on the CPU.

torch's own functions give the same, but copy the order of the lengths to the device and back, and
each copy waits until the device has caught up.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence


def on_device(numbers: Sequence[int] | Tensor, device: torch.device) -> Tensor:
    """Returns integers that the CPU has, int64 on a device, without waiting for it."""
    return torch.as_tensor(numbers, dtype=torch.int64, device="cpu").to(device, non_blocking=True)


def pack(padded: Tensor, lengths: Sequence[int] | Tensor) -> PackedSequence:
    """Returns the packed rows of padded (T, B, ...), as torch's with enforce_sorted=False.

    lengths: (B,) on the CPU, at least 1, at most T.
    """
    ordered, order = torch.as_tensor(lengths, device="cpu").sort(descending=True)
    there = on_device(order, padded.device)
    back = on_device(order.argsort(), padded.device)
    packed = pack_padded_sequence(padded.index_select(1, there), ordered)
    return PackedSequence(packed.data, packed.batch_sizes, there, back)


def unpack(packed: PackedSequence) -> Tensor:
    """Returns the padded sequences (T, B, ...), zero after their ends."""
    padded, _ = torch._VF._pad_packed_sequence(
        packed.data, packed.batch_sizes, False, 0.0, len(packed.batch_sizes)
    )
    unsorted = packed.unsorted_indices
    return padded if unsorted is None else padded.index_select(1, unsorted)
