"""The CTC loss against warpctc_pytorch's own values, and against all ways to spell a transcript."""

import json
import math
import sys
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsd.errors import UserError
from models.ctc import CTCLoss, costs, fits

GOLDEN = Path(__file__).parent / "warpctc.json"  # made by warpctc-pytorch 0.2.1 with torch 1.6
CASES = json.loads(GOLDEN.read_text())["cases"]
REDUCTIONS = {"sum": {}, "size_average": {"size_average": True},
              "length_average": {"length_average": True}}  # fmt: skip
ROUNDED = 5e-7  # the gradients of the file have six decimals


def arguments(case):
    activations = torch.tensor(case["activations"], requires_grad=True)
    labels = torch.tensor(case["labels"], dtype=torch.int32)
    return activations, labels, case["activation_lengths"], case["label_lengths"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['T']}x{c['B']}x{c['C']}")
def test_cost_and_gradient_are_warpctcs(case, reduction):
    activations, *rest = arguments(case)
    cost = CTCLoss(**REDUCTIONS[reduction])(activations, *rest)
    cost.backward()
    expected = case["results"][reduction]
    assert cost.shape == (1,)
    assert cost.item() == pytest.approx(expected["cost"], rel=1e-4)
    gradient = torch.tensor(expected["grad"])
    largest = gradient.abs().max().item()
    assert (activations.grad - gradient).abs().max() <= 1e-4 * largest + ROUNDED


def test_length_average_goes_before_size_average():
    case = arguments(CASES[2])
    both = CTCLoss(size_average=True, length_average=True)(*case)
    assert torch.equal(both, CTCLoss(length_average=True)(*case))


def spelled(path):
    """What a path of symbols spells: repeats become one, blanks go."""
    return [b for a, b in zip([0, *path], path, strict=False) if b not in (0, a)]


def by_paths(log_p, labels):
    """Minus the logarithm of the probability of all paths that spell the labels, or None."""
    total = sum(
        math.exp(sum(log_p[t][symbol] for t, symbol in enumerate(path)))
        for path in product(range(len(log_p[0])), repeat=len(log_p))
        if spelled(path) == labels
    )
    return -math.log(total) if total else None


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**20),
    frames=st.integers(1, 5),
    labels=st.lists(st.integers(1, 2), max_size=5),
    padding=st.integers(0, 3),
)
def test_a_cost_counts_all_paths_that_spell_the_labels(seed, frames, labels, padding):
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(frames + padding, 2, 3, generator=generator, dtype=torch.float64)
    activations[frames:] *= 1e3
    activations.requires_grad_()
    expected = by_paths(activations[:frames, 0].log_softmax(1).tolist(), labels)
    given_ = activations, torch.tensor(labels, dtype=torch.int64), [frames] * 2, [len(labels), 0]
    assert fits(frames, labels) == (expected is not None)
    nats = costs(*given_)
    assert nats.dtype == torch.float64
    assert nats[0].item() == pytest.approx(-1 if expected is None else expected)
    if expected is None:
        with pytest.raises(ValueError, match=f"utterance 0 of the batch: {frames} activations are"):
            CTCLoss()(*given_)
        return
    loss = CTCLoss()(*given_)
    torch.testing.assert_close(loss, nats.sum().reshape(1))
    loss.backward()
    assert not activations.grad[frames:].any()
    assert activations.grad[:frames].isfinite().all()


def test_fits():
    assert fits(3, [1, 2, 3])
    assert not fits(3, [1, 2, 2])
    assert fits(4, [1, 2, 2])
    assert fits(1, [])
    assert not fits(4, [7, 7, 7])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_counts_in_float32(dtype, autocast):
    activations, *rest = arguments(CASES[2])
    half = activations.detach().to(dtype).requires_grad_()
    full = half.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        cost = CTCLoss()(half, *rest)
    cost.backward()
    expected = CTCLoss()(full, *rest)
    expected.backward()
    assert torch.equal(cost, expected)
    assert torch.equal(half.grad, full.grad.to(dtype))


def test_gradient_is_that_of_differences():
    activations, *rest = arguments(CASES[1])
    activations = activations.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: CTCLoss(length_average=True)(x, *rest), activations)


def test_lengths_may_be_tensors():
    activations, labels, lengths, said = arguments(CASES[4])
    expected = CTCLoss()(activations, labels, lengths, said)
    for dtype in (torch.int32, torch.int64):
        given_ = torch.tensor(lengths, dtype=dtype), torch.tensor(said, dtype=dtype)
        assert torch.equal(CTCLoss()(activations, labels.to(dtype), *given_), expected)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_an_empty_batch_costs_nothing(reduction):
    activations = torch.zeros(0, 0, 29, requires_grad=True)
    nothing = torch.zeros(0, dtype=torch.int64)
    cost = CTCLoss(**REDUCTIONS[reduction])(activations, nothing, [], [])
    cost.backward()
    assert cost.tolist() == [0.0]
    assert activations.grad.shape == (0, 0, 29)
    assert costs(activations, nothing, [], []).shape == (0,)


def test_a_sure_transcript_costs_nothing_and_no_less():
    """Whatever the first and the last frame are, blank or label: torch's sum may pass 1."""
    torch.manual_seed(0)
    activations = torch.full((3, 100, 3), -40.0)
    activations[1, :, 1] = 40.0
    activations[::2, :, :2] = torch.randn(2, 100, 2)
    nats = costs(activations, torch.ones(100, dtype=torch.int64), [3] * 100, [1] * 100)
    assert nats.min() == 0
    assert nats.max() < 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": [5]}, "1 activation_lengths, 2 label_lengths, but 2 utterances"),
        ({"said": [2, 1, 0]}, "2 activation_lengths, 3 label_lengths, but 2 utterances"),
        ({"lengths": [6, 4]}, r"activation_lengths: \[6, 4\], but must be from 1 to 5"),
        ({"lengths": [5, 0]}, "must be from 1 to 5"),
        ({"said": [2, 2]}, r"label_lengths: \[2, 2\], but there are 3 labels"),
        ({"said": [4, -1]}, r"label_lengths: \[4, -1\]"),
        ({"labels": [1, 0, 2]}, "labels: from 0 to 2, but must be 1 to 3"),
        ({"labels": [1, 4, 2]}, "labels: from 1 to 4, but must be 1 to 3"),
        ({"labels": [1, 1, 1], "said": [0, 3]}, "utterance 1 of the batch: 4 activations .* 3 lab"),
    ],
)
def test_contradictions_are_refused(change, message):
    numbers = {"labels": [1, 2, 3], "lengths": [5, 4], "said": [2, 1]} | change
    labels = torch.tensor(numbers["labels"])
    with pytest.raises(ValueError, match=message):
        CTCLoss()(torch.zeros(5, 2, 4), labels, numbers["lengths"], numbers["said"])


@pytest.mark.parametrize(
    ("place", "given", "message"),
    [
        (0, torch.zeros(5, 4), "activations: 2 axes"),
        (1, torch.tensor([[1, 2], [3, 1]]), "labels: torch.int64 of 2 axes"),
        (2, torch.tensor([5.0, 4.0]), "activation_lengths: torch.float32"),
        (3, torch.tensor([2.0, 1.0]), "label_lengths: torch.float32"),
    ],
)
def test_tensors_of_another_kind_are_refused(place, given, message):
    call = [torch.zeros(5, 2, 4), torch.tensor([1, 2, 3]), [5, 4], [2, 1]]
    call[place] = given
    with pytest.raises(ValueError, match=message):
        CTCLoss()(*call)


def test_warpctc_is_called_where_it_is_installed(monkeypatch):
    calls = []

    class Theirs:
        def __init__(self, *options):
            calls.append(options)

        def __call__(self, *given_):
            calls.append(given_)
            return torch.tensor([7.0])

    monkeypatch.setitem(sys.modules, "warpctc_pytorch", SimpleNamespace(CTCLoss=Theirs))
    loss = CTCLoss(length_average=True, backend="warpctc")
    activations = torch.zeros(5, 2, 4, dtype=torch.bfloat16)
    assert loss(activations, torch.tensor([1, 2, 3]), [5, 4], [2, 1]).tolist() == [7.0]
    options, (given_, *numbers) = calls
    assert options == (False, True)
    assert given_.dtype == torch.float32
    assert [n.dtype for n in numbers] == [torch.int32] * 3
    assert [n.tolist() for n in numbers] == [[1, 2, 3], [5, 4], [2, 1]]


def test_without_warpctc_the_error_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "warpctc_pytorch", None)
    with pytest.raises(UserError, match=r"Python 3\.8 and torch 1\.6, this is .*legacy/warpctc"):
        CTCLoss(backend="warpctc")
    with pytest.raises(UserError, match="no CTC loss is called 'cudnn'"):
        CTCLoss(backend="cudnn")
