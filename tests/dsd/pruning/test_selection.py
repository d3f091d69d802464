"""Exact selection against a naive, stable sort."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsd.pruning import selection
from dsd.pruning.selection import (
    by_magnitude,
    by_value,
    flat_scores,
    flat_weights,
    keep_largest,
    kth_magnitude,
)

FLOATS = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
INTEGERS = [torch.int16, torch.int32, torch.int64]
SPECIAL = [0.0, -0.0, torch.inf, -torch.inf, 1e-40, -1e-40, 1.0, -1.0]


@st.composite
def scores(draw, dtypes=FLOATS + INTEGERS) -> torch.Tensor:
    """With many ties, both zeros, both infinities, subnormals, the ends of the integers."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    dtype = draw(st.sampled_from(dtypes))
    size = draw(st.integers(0, 60))
    if dtype in INTEGERS:
        low, high = torch.iinfo(dtype).min, torch.iinfo(dtype).max
        if draw(st.booleans()):
            low, high = -3, 3
        drawn = torch.randint(low, high, (size,), generator=generator, dtype=dtype)
        drawn[: size // 8] = torch.iinfo(dtype).min
        drawn[size // 8 : size // 4] = torch.iinfo(dtype).max
    else:
        drawn = torch.randn(size, generator=generator, dtype=torch.float64)
        if draw(st.booleans()):
            drawn = drawn.round()
        special = torch.tensor(SPECIAL)[torch.randint(8, (size,), generator=generator)]
        drawn = torch.where(torch.rand(size, generator=generator) < 0.3, special, drawn).to(dtype)
    return drawn[torch.randperm(size, generator=generator)]


def naive(layers: list[torch.Tensor], pruned: int) -> torch.Tensor:
    """Python's sort is stable, and has -0.0 == 0.0: of equal scores the first go."""
    everything = [value for layer in layers for value in layer.tolist()]
    order = sorted(range(len(everything)), key=everything.__getitem__)
    keep = torch.ones(len(everything), dtype=torch.bool)
    keep[order[:pruned]] = False
    return keep


@pytest.mark.parametrize("chunk", [7, selection.CHUNK], ids=["many chunks", "one chunk"])
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_layers_compared_together_equal_a_stable_sort(chunk, data):
    dtypes = data.draw(st.sampled_from([*([dtype] for dtype in FLOATS + INTEGERS), FLOATS]))
    layers = data.draw(st.lists(scores(dtypes), min_size=1, max_size=4))
    pruned = data.draw(st.integers(0, sum(map(len, layers))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "CHUNK", chunk)
        masks = keep_largest(layers, pruned, by_value)
    assert [len(mask) for mask in masks] == [len(layer) for layer in layers]
    assert torch.equal(torch.cat(masks), naive(layers, pruned))


@settings(max_examples=100, deadline=None)
@given(st.lists(scores(FLOATS), min_size=1, max_size=4), st.data())
def test_by_magnitude_is_by_the_value_of_magnitudes(layers, data):
    pruned = data.draw(st.integers(0, sum(map(len, layers))))
    magnitudes = [layer.abs() for layer in layers]
    assert torch.equal(
        torch.cat(keep_largest(layers, pruned, by_magnitude)), naive(magnitudes, pruned)
    )


@settings(deadline=None)
@given(scores(FLOATS).filter(len), st.data())
def test_kth_magnitude(weight, data):
    weight = weight.nan_to_num(posinf=2, neginf=-2)
    k = data.draw(st.integers(1, weight.numel()))
    assert kth_magnitude(weight, k) == weight.double().abs().kthvalue(k).values.item()


def test_ties_by_position_whatever_the_strides():
    weight = torch.arange(24.0).view(2, 3, 2, 2)
    for layout in (torch.contiguous_format, torch.channels_last):
        strided = weight.contiguous(memory_format=layout)
        for flat in (flat_scores, flat_weights):
            assert torch.equal(flat(strided), torch.arange(24.0))


@pytest.mark.parametrize("dtype", FLOATS)
def test_what_has_no_order_is_refused(dtype):
    layer = torch.zeros(3, 2, dtype=dtype)
    layer[2, 0] = torch.nan
    with pytest.raises(ValueError, match="some scores are nan"):
        flat_scores(layer)
    with pytest.raises(ValueError, match="inf or nan"):
        flat_weights(layer)
    layer[2, 0] = torch.inf
    flat_scores(layer)
    with pytest.raises(ValueError, match="inf or nan"):
        flat_weights(layer)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.complex64])
def test_dtypes_without_order(dtype):
    with pytest.raises(ValueError, match=f"scores cannot be {dtype}"):
        flat_scores(torch.zeros(3, dtype=dtype))
