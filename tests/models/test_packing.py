"""Packed sequences without waiting for the GPU: the same as torch's own."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.packing import pack, unpack


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=7))
def test_packs_and_unpacks_as_torch_does_with_its_gradient(lengths):
    padded = torch.randn(max(lengths), len(lengths), 3, requires_grad=True)
    ours = pack(padded, lengths)
    theirs = pack_padded_sequence(padded, torch.tensor(lengths), enforce_sorted=False)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(unpack(ours), pad_packed_sequence(theirs)[0])
    weights = torch.randn_like(unpack(ours))
    gradients = [
        torch.autograd.grad((found * weights).sum(), padded)[0]
        for found in (unpack(ours), pad_packed_sequence(theirs)[0])
    ]
    assert torch.equal(*gradients)
