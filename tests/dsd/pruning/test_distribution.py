"""How a sparsity spreads over layers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsd.pruning.distribution import Group, groups, overall, pruned_count

LAYERS = ("conv1.weight", "layer1.0.conv1.weight", "layer1.1.conv1.weight", "fc.weight")


def test_one_number():
    assert groups(LAYERS, 0.5) == [Group((name,), 0.5) for name in LAYERS]
    assert groups(LAYERS, 0.5, "global") == [Group(LAYERS, 0.5)]


@pytest.mark.parametrize(
    ("sparsity", "expected"),
    [
        ({"conv1.weight": 0.1}, [0.1, 0, 0, 0]),
        ({"conv1": 0.1}, [0.1, 0, 0, 0]),  # never layer1.0.conv1
        ({"layer1": 0.1, "layer1.1": 0.2, "*": 0.3}, [0.3, 0.1, 0.1, 0.3]),
        ({"layer1.1": 0.2, "layer1": 0.1}, [0, 0.1, 0.2, 0]),
        ({"*": 0.3, "fc": 0.4}, [0.3] * 4),
        ({"*.conv1": 0.2, "f?": 0.0}, [0, 0.2, 0.2, 0]),
        ({}, [0] * 4),
    ],
)
def test_the_first_entry_that_matches_a_layer_counts(sparsity, expected):
    assert groups(LAYERS, sparsity) == [
        Group((name,), share) for name, share in zip(LAYERS, expected, strict=True)
    ]


@pytest.mark.parametrize(
    ("entry", "nearest"), [("conv2", "conv1"), ("fc.bias", "fc"), ("layer2.*", "layer1")]
)
def test_an_entry_that_matches_nothing_names_the_nearest(entry, nearest):
    with pytest.raises(ValueError, match=r"^sparsity: no module or parameter is named") as raised:
        groups(LAYERS, {"conv1": 0.5, entry: 0.5})
    assert f'"{entry}"; the nearest is {nearest}' in str(raised.value)


@pytest.mark.parametrize("bad", [-0.1, 1, float("nan")])
def test_no_sparsity(bad):
    for sparsity in (bad, {"fc": bad}):
        with pytest.raises(ValueError, match="sparsity must be at least 0 and below 1"):
            groups(LAYERS, sparsity)


def test_global_has_one_sparsity():
    with pytest.raises(ValueError, match='"global" has one sparsity'):
        groups(LAYERS, {"fc": 0.5}, "global")
    with pytest.raises(ValueError, match="scope must be one of"):
        groups(LAYERS, 0.5, "all")


@given(
    st.lists(st.integers(1, 999), min_size=4, max_size=4),
    st.floats(0, 0.99),
    st.floats(0, 0.99),
)
def test_overall_is_the_fraction_that_is_pruned(numbers, one, other):
    sizes = dict(zip(LAYERS, numbers, strict=True))
    assert overall(sizes, one) == one
    pruned = pruned_count(numbers[0], one) + pruned_count(numbers[3], other)
    assert overall(sizes, {"conv1": one, "fc": other}) == pruned / sum(numbers)
