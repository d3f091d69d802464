"""Weight statistics: small cases counted by hand, and sums that must hold."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dsd import magnitude_mask
from dsd.pruning.statistics import BINS, half_width, histogram, returned, sign_changes


def test_half_width_is_six_standard_deviations():
    assert half_width(torch.tensor([[1.0, -1.0], [3.0, 1.0]])) == pytest.approx(6 * 2**0.5)
    assert half_width(torch.full((3, 3), 0.5)) == 1.0
    assert half_width(torch.zeros(1)) == 1.0


def test_histogram_by_hand():
    weight = torch.tensor([-9.0, -6.05, -6.0, 0.0, -0.0, 0.04, 1.0, 1.04, 6.05, 7.0, 8.0])
    counted = histogram(weight, BINS / 20)  # bins of width 0.1, centred on multiples of 0.1
    expected = [0] * BINS
    expected[0] = 2  # -6.05, the edge itself, and -6.0
    expected[60] = 1  # 0.04: the two zeros are counted apart
    expected[70] = 2
    expected[120] = 1
    assert counted == {
        "half_width": BINS / 20, "counts": expected, "below": 1, "above": 2, "zeros": 2
    }  # fmt: skip


@given(
    st.integers(0, 2**31),
    st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64]),
    st.floats(1e-3, 10),
    st.floats(0, 0.9),
)
def test_histogram_counts_every_weight_once(seed, dtype, width, sparsity):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(13, 7, 3, generator=generator).to(dtype)
    weight *= magnitude_mask(weight, sparsity)
    counted = json.loads(json.dumps(histogram(weight, width)))
    assert len(counted["counts"]) == BINS
    assert min(counted["counts"]) >= 0
    assert counted["zeros"] == int((weight == 0).sum())
    total = sum(counted["counts"]) + counted["below"] + counted["above"] + counted["zeros"]
    assert total == weight.numel()


def test_histogram_of_more_zeros_than_float32_can_count():
    counted = histogram(torch.zeros((1 << 24) + 3), 1.0)
    assert counted["zeros"] == (1 << 24) + 3
    assert counted["counts"] == [0] * BINS


def test_sign_changes():
    before = torch.tensor([1.0, -1.0, 1e-30, 0.0, 2.0, -0.0, 3.0])
    after = torch.tensor([-1.0, 2.0, -1e-30, 1.0, 0.0, 1.0, 4.0])
    assert sign_changes(before, after) == 3


def test_returned_by_hand():
    mask = torch.tensor([[True, False, False], [False, False, True]])
    before = torch.tensor([[5.0, 0.1, -0.2], [0.3, 0.0, -4.0]])
    now = torch.tensor([[6.0, 0.5, 1.0], [0.0, -2.0, -1.0]])
    assert returned(mask, before, now) == {
        "pruned": 4,
        "nonzero": 3,
        "same_sign": 1,
        "quantiles": {"0.5": 0.5, "0.9": 2.0, "0.99": 2.0, "1.0": 2.0},
        "relative_magnitude": pytest.approx(0.875 / 3.5),
    }


@pytest.mark.parametrize("sparse", [True, False])
def test_returned_of_nothing(sparse):
    weight = torch.ones(2, 2)
    nothing = returned(torch.full((2, 2), not sparse), weight, weight)
    assert nothing["pruned"] == (4 if sparse else 0)
    assert nothing["relative_magnitude"] is None
    json.dumps(nothing)


def test_returned_of_bfloat16():
    weight = torch.randn(100, 10, generator=torch.Generator().manual_seed(0)).bfloat16()
    mask = magnitude_mask(weight, 0.5)
    pruned = weight[~mask].float().abs().sort().values
    came = returned(mask, weight, weight)
    assert came["quantiles"] == {
        "0.5": pruned[249].item(),
        "0.9": pruned[449].item(),
        "0.99": pruned[494].item(),
        "1.0": pruned[499].item(),
    }
    assert came["same_sign"] == came["nonzero"] == int(pruned.count_nonzero())
