"""Masks against a naive, stable sort of the magnitudes; counts in every scope, masks that grow."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsd import magnitude_mask, random_mask
from dsd.pruning import selection
from dsd.pruning.criteria import CRITERIA
from dsd.pruning.distribution import Group, groups
from dsd.pruning.masks import choose

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
shapes = st.lists(st.integers(1, 9), min_size=1, max_size=4)
sparsities = st.floats(0, 1, exclude_max=True)


def naive_mask(weight: torch.Tensor, sparsity: float) -> torch.Tensor:
    """Row-major order breaks ties: the first of equal magnitudes is pruned first."""
    order = weight.double().abs().flatten().argsort(stable=True)
    keep = torch.ones(weight.numel(), dtype=torch.bool)
    keep[order[: round(weight.numel() * sparsity)]] = False
    return keep.view(weight.shape)


@st.composite
def weights(draw) -> torch.Tensor:
    """Layers with few or many ties, exact zeros of both signs, subnormals, any strides."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    weight = torch.randn(draw(shapes), generator=generator, dtype=torch.float64)
    if draw(st.booleans()):
        weight = (weight * draw(st.sampled_from([1, 4]))).round()  # ties, -0.0 among them
    weight = (weight * draw(st.sampled_from([1, 1e-7, 1e3]))).to(draw(st.sampled_from(DTYPES)))
    weight *= torch.rand(weight.shape, generator=generator) >= draw(st.sampled_from([0, 0.5]))
    if draw(st.booleans()):
        weight = weight.transpose(0, -1)
    if weight.dim() == 4 and draw(st.booleans()):
        weight = weight.contiguous(memory_format=torch.channels_last)
    return weight


@pytest.mark.parametrize("chunk", [7, selection.CHUNK], ids=["many chunks", "one chunk"])
@settings(max_examples=300, deadline=None)
@given(weight=weights(), sparsity=sparsities)
def test_equals_a_stable_sort(chunk, weight, sparsity):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "CHUNK", chunk)
        keep = magnitude_mask(weight, sparsity)
    assert keep.dtype == torch.bool
    assert torch.equal(keep, naive_mask(weight, sparsity))


@settings(max_examples=100, deadline=None)
@given(weights(), sparsities)
def test_count_and_order(weight, sparsity):
    keep = magnitude_mask(weight, sparsity)
    pruned, kept = weight[~keep].abs(), weight[keep].abs()
    assert len(pruned) == round(weight.numel() * sparsity)
    if len(pruned) and len(kept):
        assert pruned.max() <= kept.min()


@settings(max_examples=100, deadline=None)
@given(weights(), sparsities, sparsities)
def test_pruning_a_sparse_layer_again(weight, first, second):
    first, second = sorted((first, second))
    keep = magnitude_mask(weight, first)
    sparse = weight.masked_fill(~keep, 0)
    assert torch.equal(magnitude_mask(sparse, first), keep)
    again = magnitude_mask(sparse, second)
    assert int((~again).sum()) == round(weight.numel() * second)
    assert not (again & ~keep).any()  # more sparsity revives nothing


def test_ties_are_cut_in_row_major_order_whatever_the_strides():
    weight = torch.full((2, 3, 2, 2), -0.5)
    weight[1, 2, 1, 1] = 0.25
    expected = torch.ones(24, dtype=torch.bool)
    expected[[0, 1, 2, 3, 4, 23]] = False
    for layout in (torch.contiguous_format, torch.channels_last):
        keep = magnitude_mask(weight.contiguous(memory_format=layout), 0.25)
        assert torch.equal(keep.flatten(), expected)


def test_the_sign_of_a_zero_plays_no_part():
    weight = torch.tensor([0.0, -0.0, 1.0, -0.0, 0.0])
    assert magnitude_mask(weight, 0.4).tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5, float("nan")])
def test_sparsity_out_of_range(sparsity):
    with pytest.raises(ValueError, match=r"sparsity must be at least 0 and below 1"):
        magnitude_mask(torch.ones(4), sparsity)
    with pytest.raises(ValueError, match=r"sparsity must be at least 0 and below 1"):
        random_mask(torch.ones(4), sparsity, torch.Generator())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(dtype, bad):
    weight = torch.randn(50).to(dtype)
    weight[33] = bad
    with pytest.raises(ValueError, match="inf or nan"):
        magnitude_mask(weight, 0.3)


def test_integers_are_refused():
    with pytest.raises(ValueError, match=r"cannot prune torch\.int32"):
        magnitude_mask(torch.ones(4, dtype=torch.int32), 0.5)


def test_empty_and_single():
    assert magnitude_mask(torch.empty(0, 3), 0.5).shape == (0, 3)
    assert magnitude_mask(torch.ones(1), 0.5).tolist() == [True]  # round(0.5) is 0
    assert magnitude_mask(torch.ones(1), 0.6).tolist() == [False]


def test_a_parameter_is_left_as_it_was():
    weight = torch.nn.Parameter(torch.randn(40))
    before = weight.detach().clone()
    keep = magnitude_mask(weight, 0.5)
    assert not keep.requires_grad
    assert torch.equal(weight, before)


def test_ten_million_weights():
    weight = torch.randn(10_000_000, generator=torch.Generator().manual_seed(0))
    weight[::2] = weight[1]  # half of them tie
    keep = magnitude_mask(weight, 0.3)
    assert int(keep.count_nonzero()) == 7_000_000
    assert weight[~keep].abs().max() <= weight[keep].abs().min()
    tied = keep[weight == weight[1]]
    assert torch.equal(tied, tied.sort().values)  # a run of pruned, then a run of kept


@settings(deadline=None)
@given(shapes, sparsities, st.integers(0, 2**31))
def test_random_count(shape, sparsity, seed):
    weight = torch.zeros(shape, dtype=torch.bfloat16)
    keep, same = (
        random_mask(w, sparsity, torch.Generator().manual_seed(seed))
        for w in (weight, torch.full(shape, torch.nan))
    )
    assert int((~keep).sum()) == round(weight.numel() * sparsity)
    assert torch.equal(keep, same)


def test_random_is_uniform():
    """Each of ten weights is pruned 3 times in 10, each pair 1 time in 15 (5 sigma)."""
    generator = torch.Generator().manual_seed(0)
    pruned = torch.stack([~random_mask(torch.ones(10), 0.3, generator) for _ in range(1500)])
    together = pruned.float().T @ pruned.float() / 1500
    expected = torch.full((10, 10), 1 / 15).fill_diagonal_(0.3)
    assert ((together - expected).abs() < 5 * (expected * (1 - expected) / 1500).sqrt()).all()


def digest(mask: torch.Tensor) -> str:
    return hashlib.sha256(mask.numpy().tobytes()).hexdigest()[:16]


def test_masks_of_earlier_versions():
    """Finished runs hold these: a generator's masks must never become others."""
    generator = torch.Generator().manual_seed(7)
    first = random_mask(torch.ones(3, 4), 0.5, generator)
    assert first.int().tolist() == [[0, 0, 0, 1], [1, 1, 0, 1], [1, 1, 0, 0]]
    second = random_mask(torch.ones(2, 5), 0.3, generator)
    assert second.int().tolist() == [[0, 1, 1, 1, 1], [0, 1, 0, 1, 1]]
    generator.manual_seed(11)
    drawn = [random_mask(torch.ones(64, 33, 3), s, generator) for s in (0.1, 0.5, 0.9)]
    assert [digest(m) for m in drawn] == [
        "ce796da890748a2f",
        "b06d4b430aed41f5",
        "558dd8c6e49c8c4c",
    ]
    weight = torch.randn(64, 33, 3, generator=generator)
    assert {digest(magnitude_mask(weight.to(dtype), 0.37)) for dtype in DTYPES} == {
        "990ab88b8dab1668"
    }


@settings(max_examples=100, deadline=None)
@given(
    st.lists(weights(), min_size=1, max_size=4),
    st.sampled_from([*CRITERIA, "own"]),
    sparsities,
    st.booleans(),
    st.integers(0, 2**31),
)
def test_counts_of_every_criterion_in_both_scopes(layers, name, sparsity, together, seed):
    criterion = CRITERIA.get(name, lambda weight, generator: -weight)
    named = {str(i): torch.nn.Parameter(layer) for i, layer in enumerate(layers)}
    spread = groups(named, sparsity, "global" if together else "layer")
    masks = choose(named, spread, criterion, torch.Generator().manual_seed(seed))
    assert all(masks[i].shape == weight.shape for i, weight in named.items())
    for group, _ in spread:
        pruned = sum(int((~masks[i]).sum()) for i in group)
        assert pruned == round(sum(named[i].numel() for i in group) * sparsity)
    if not together:
        generator = torch.Generator().manual_seed(seed)
        for i, weight in named.items():
            if name == "magnitude":
                assert torch.equal(masks[i], magnitude_mask(weight, sparsity))
            elif name == "random":
                assert torch.equal(masks[i], random_mask(weight, sparsity, generator))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(weights(), min_size=1, max_size=3),
    st.sampled_from([*CRITERIA, "own"]),
    st.lists(sparsities, min_size=2, max_size=4),
    st.booleans(),
)
def test_held_masks_grow_to_the_exact_count(layers, name, shares, together):
    """New scores each time; what is pruned stays pruned, and less is asked for in vain."""
    criterion = CRITERIA.get(name, lambda weight, _: torch.rand(weight.shape))
    named = {str(i): torch.nn.Parameter(layer) for i, layer in enumerate(layers)}
    spread = groups(named, 0.99, "global" if together else "layer")
    generator = torch.Generator().manual_seed(0)
    held = {i: torch.ones_like(weight, dtype=torch.bool) for i, weight in named.items()}
    most = 0.0
    for share in shares:
        most = max(most, share)
        masks = choose(named, spread, criterion, generator, share=share, held=held)
        assert not any((masks[i] & ~held[i]).any() for i in named)
        for group, sparsity in spread:
            pruned = sum(int((~masks[i]).sum()) for i in group)
            assert pruned == round(sum(named[i].numel() for i in group) * (sparsity * most))
        held = masks
        for weight in named.values():
            torch.nn.init.normal_(weight)


def test_among_layers_that_tie_the_first_go():
    named = {name: torch.nn.Parameter(torch.ones(2, 3)) for name in "ab"}
    masks = choose(named, [Group(("a", "b"), 0.75)], lambda weight, _: weight)
    assert masks["a"].int().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert masks["b"].int().tolist() == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (lambda weight, _: weight * torch.nan, "^b: some scores are nan"),
        (lambda weight, _: weight > 0, r"^b: scores cannot be torch\.bool"),
        (
            lambda weight, _: weight.sum(0),
            r"^b: scores have the weight's shape \(2, 3\), not \(3,\)",
        ),
    ],
)
def test_bad_scores_name_the_layer(criterion, message):
    named = {name: torch.nn.Parameter(torch.ones(2, 3)) for name in "ab"}

    def bad_in_b(weight: torch.nn.Parameter, generator: torch.Generator | None) -> torch.Tensor:
        return criterion(weight, generator) if weight is named["b"] else weight

    with pytest.raises(ValueError, match=message):
        choose(named, [Group(("a", "b"), 0.5)], bad_in_b)


def test_fewer_than_held_prunes_no_kept_zero():
    named = {"a": torch.nn.Parameter(torch.zeros(2, 3))}
    held = {"a": torch.tensor([[True, False, False], [True, False, True]])}
    masks = choose(named, [Group(("a",), 0.2)], CRITERIA["magnitude"], held=held)
    assert torch.equal(masks["a"], held["a"])
