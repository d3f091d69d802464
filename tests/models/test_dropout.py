"""Dropout: how many entries go, what the others become, and that generators decide."""

import pytest
import torch

from models.dropout import dropout


@pytest.mark.parametrize("probability", [0.0, 0.25, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_share_and_scale(probability, dtype):
    torch.manual_seed(0)
    x = torch.ones(403, 250, dtype=dtype)
    y = dropout(x, probability)
    assert y.dtype == dtype
    dropped = min(round(256 * probability), 255)
    assert (y == 0).double().mean().item() == pytest.approx(dropped / 256, abs=0.006)
    assert set(y.unique().tolist()) <= {
        0.0,
        torch.tensor(256 / (256 - dropped), dtype=dtype).item(),
    }


def test_every_place_and_every_byte_of_a_draw_is_dropped_alike():
    torch.manual_seed(0)
    share = torch.stack([(dropout(torch.ones(16), 0.5) == 0).double() for _ in range(2000)]).mean(0)
    assert (share - 0.5).abs().max() < 0.06


def test_gradients_pass_where_values_do_and_seeds_repeat():
    x = torch.randn(7, 5, requires_grad=True)
    torch.manual_seed(1)
    y = dropout(x, 0.5)
    y.sum().backward()
    assert torch.equal(x.grad == 0, y == 0)
    torch.manual_seed(1)
    assert torch.equal(dropout(x, 0.5), y)
