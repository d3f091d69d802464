"""Optimizers by name, and the RMSprop that torch does not have."""

import numpy as np
import pytest
import torch
from torch import nn

from dsd.errors import UserError
from dsd.suite.recipe import Optimizer
from dsd.training.optimizers import RMSpropEpsInside, make_optimizer
from dsd.training.sharding import load_optimizer


def step_by_hand(w: np.ndarray, grads: list[np.ndarray], lr: float, eps: float, decay: float):
    """imagernn/solver.py of NeuralTalk in words of NumPy."""
    average = np.zeros_like(w)
    for grad in grads:
        grad = grad + decay * w
        average = 0.999 * average + 0.001 * grad**2
        w = w - lr * grad / np.sqrt(average + eps)
    return w


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_eps_under_the_root_is_the_originals_formula(decay):
    draw = np.random.default_rng(0)
    start = draw.normal(size=(3, 4))
    grads = [draw.normal(size=(3, 4)) * 10.0 ** -draw.integers(0, 7, (3, 4)) for _ in range(5)]
    weight = nn.Parameter(torch.from_numpy(start.copy()))
    idle = nn.Parameter(torch.ones(2))  # has no gradient
    optimizer = RMSpropEpsInside([weight, idle], lr=0.01, alpha=0.999, weight_decay=decay)
    for grad in grads:
        weight.grad = torch.from_numpy(grad.copy())
        optimizer.step()
    expected = step_by_hand(start, grads, 0.01, 1e-8, decay)
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-12)
    assert idle.tolist() == [1, 1]


def test_its_state_goes_on_after_loading():
    def trained(resumed: bool) -> torch.Tensor:
        weight = nn.Parameter(torch.ones(3))
        optimizer = RMSpropEpsInside([weight], lr=0.1)
        for step in range(4):
            if resumed and step == 2:
                state = optimizer.state_dict()
                optimizer = RMSpropEpsInside([weight], lr=0.5)
                optimizer.load_state_dict(state)
            weight.grad = torch.tensor([1.0, -2.0, 0.5]) * (step + 1)
            optimizer.step()
        return weight.detach()

    assert torch.equal(trained(True), trained(False))


def test_a_closure_is_called_with_gradients_on():
    weight = nn.Parameter(torch.ones(2))
    optimizer = RMSpropEpsInside([weight], lr=0.1)

    def closure() -> torch.Tensor:
        loss = (weight**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2
    assert (weight < 1).all()


def test_recipes_name_it_and_wrong_settings_are_told():
    settings = Optimizer(name="rmsprop_eps_inside", alpha=0.999, eps=1e-8)
    made = make_optimizer(settings, [nn.Parameter(torch.ones(2))], 0.1)
    assert isinstance(made, RMSpropEpsInside)
    assert made.defaults == {"lr": 0.1, "alpha": 0.999, "eps": 1e-8, "weight_decay": 0.0}
    with pytest.raises(UserError, match="not settings of rmsprop_eps_inside"):
        make_optimizer(settings.model_copy(update={"nesterov": True}), [], 0.1)


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
def test_a_fused_step_on_a_loaded_state_is_the_plain_one_whatever_the_layouts(make):
    """torch's fused steps on a CPU go through memory as it lies, and do not look at strides."""
    options = {"momentum": 0.9} if make is torch.optim.SGD else {}
    start, grads = torch.randn(4, 3, 3, 3), torch.randn(2, 4, 3, 3, 3)
    ends = []
    for fused in (False, True):
        weight = nn.Parameter(start.contiguous(memory_format=torch.channels_last))
        optimizer = make([weight], lr=0.1, fused=fused, **options)
        for grad in grads:
            weight.grad = grad.contiguous(memory_format=torch.channels_last)
            optimizer.step()
            saved = optimizer.state_dict()
            for name, value in saved["state"][0].items():
                if isinstance(value, torch.Tensor) and value.dim() == 4:
                    saved["state"][0][name] = value.contiguous()
            load_optimizer(optimizer, saved)
        ends.append(weight.detach())
    assert torch.allclose(*ends, atol=1e-6)
