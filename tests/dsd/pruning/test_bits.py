"""Masks held as bits: applied as a plain where() would, whatever the layout, dtype and size."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsd.pruning import bits
from dsd.pruning.bits import BitMask, pack, unpack

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@st.composite
def weights(draw):
    """Any shape and strides: transposed, channels last, a view with gaps."""
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    kind = draw(st.sampled_from(["plain", "transposed", "gaps", "channels last"]))
    if kind == "gaps":
        weight = torch.randn([*shape[:-1], 2 * shape[-1]], generator=generator)[..., ::2]
    else:
        weight = torch.randn(shape, generator=generator)
    if kind == "transposed":
        weight = weight.transpose(0, -1)
    if kind == "channels last" and weight.dim() == 4:
        weight = weight.contiguous(memory_format=torch.channels_last)
    if kind == "gaps":
        return weight
    return weight.to(draw(st.sampled_from(DTYPES)))


@pytest.mark.parametrize("chunk", [1, 3, bits.CHUNK])
@settings(max_examples=150, deadline=None)
@given(weights(), st.integers(0, 999), st.floats(0, 1))
def test_apply_equals_where(chunk, weight, seed, share):
    mask = torch.rand(weight.shape, generator=torch.Generator().manual_seed(seed)) < share
    expected = torch.where(mask, weight, torch.zeros_like(weight))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bits, "CHUNK", chunk)
        held = BitMask(mask, weight)
        assert held.revived(weight) == int((~mask).sum())
        held.apply(weight)
        assert held.revived(weight) == 0
    assert torch.equal(weight, expected)
    assert not weight[~mask].signbit().any()
    assert torch.equal(held.mask(), mask)
    assert held.pruned == int((~mask).sum())


@pytest.mark.parametrize("small", [0, bits.SMALL], ids=["in chunks", "unpacked"])
@settings(max_examples=150, deadline=None)
@given(weights(), st.integers(0, 999), st.floats(0, 1))
def test_apply_on_a_gpu_equals_where(small, weight, seed, share):
    mask = torch.rand(weight.shape, generator=torch.Generator().manual_seed(seed)) < share
    other = weight.detach().clone(memory_format=torch.contiguous_format)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bits, "on_gpu", lambda weight: True)
        patch.setattr(bits, "SMALL", small)
        patch.setattr(bits, "GPU_CHUNK", 2)
        held = BitMask(mask, weight)
        for moved in (weight, other, weight):  # the second may be laid out in another way
            moved.fill_(-float("inf"))
            held.apply(moved)
            assert torch.equal(moved == 0, ~mask)
            assert not moved[~mask].signbit().any()
    assert len(held._unpacked) == (len({weight.stride(), other.stride()}) if small else 0)


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), -0.0, -1.0])
def test_whatever_was_there_becomes_plus_zero(bad, gpu, monkeypatch):
    monkeypatch.setattr(bits, "on_gpu", lambda weight: gpu)
    weight, mask = torch.full((5, 5), bad), torch.eye(5, dtype=torch.bool)
    BitMask(mask, weight).apply(weight)
    assert not weight[~mask].any()
    assert not weight[~mask].signbit().any()


def test_the_layout_and_the_dtype_may_change():
    weight = torch.randn(4, 3, 5, 5)
    mask = torch.rand(weight.shape) < 0.5
    held = BitMask(mask, weight)
    for other in (
        weight.contiguous(memory_format=torch.channels_last),
        weight.bfloat16(),
        weight.double().transpose(0, 1).contiguous().transpose(0, 1),
    ):
        expected = torch.where(mask, other, torch.zeros_like(other))
        held.apply(other)
        assert torch.equal(other, expected)


@given(st.lists(st.integers(0, 9), max_size=4), st.integers(0, 999))
def test_packed_and_unpacked(shape, seed):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    packed = pack(mask)
    assert packed.dtype == torch.uint8
    assert packed.numel() == (mask.numel() + 7) // 8
    assert torch.equal(unpack(packed, mask.shape), mask)


def test_the_format_on_disk():
    mask = torch.tensor([[True, False, False], [True, True, False], [False, False, True]])
    assert pack(mask).tolist() == [0b00011001, 0b1]


def test_a_mask_costs_a_bit_for_each_weight():
    weight = torch.randn(1000, 1000)
    held = copy.deepcopy(BitMask(weight > 0, weight))
    tensors = [packed for _, packed in held._layouts.values()]
    assert sum(t.numel() * t.itemsize for t in tensors) == 125_000
    assert not held._unpacked
