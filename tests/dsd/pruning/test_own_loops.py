"""Loops of all kinds: several optimizers, other hooks, weights that change their shape."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

from dsd import Sparsifier
from tests.dsd.pruning.test_wrappers import gradients, mlp, revived, step


def test_a_step_masks_what_its_optimizer_trains():
    """So graphs through the other optimizers' weights can still be walked backwards."""
    torch.manual_seed(0)
    generator, discriminator = mlp(), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizers = [
        Adam(generator.parameters(), lr=0.01),
        SGD(discriminator.parameters(), lr=0.1, momentum=0.9),
    ]
    gan = nn.ModuleDict({"g": generator, "d": discriminator})
    s = Sparsifier(gan, optimizers, sparsity=0.5)
    for number in range(6):
        if number == 2:
            s.sparsify()
        noise = torch.randn(32, 8, generator=torch.Generator().manual_seed(number))
        fake = generator(noise)
        optimizers[1].zero_grad()
        (discriminator(fake.detach()) - discriminator(torch.randn(32, 4))).mean().backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        (-discriminator(fake).mean()).backward()  # through the generator as it was
        optimizers[0].step()
        assert revived(gan, s.masks) == 0
    assert s.zeros == 0.5


def test_optimizers_that_step_in_the_backward_pass():
    model = mlp()
    own = {weight: SGD([weight], lr=0.1, momentum=0.9) for weight in model.parameters()}
    for weight, optimizer in own.items():
        weight.register_post_accumulate_grad_hook(lambda _, optimizer=optimizer: optimizer.step())
    s = Sparsifier(model, [*own.values()], sparsity=0.5)
    s.sparsify()
    for number in range(3):
        gradients(model, number)
        assert revived(model, s.masks) == 0


def test_other_hooks_see_the_masked_weights():
    model = mlp()
    optimizer = SGD(model.parameters(), lr=0.1)
    average = torch.optim.swa_utils.AveragedModel(model)
    seen = []
    optimizer.register_step_post_hook(lambda *_: seen.append(revived(model, s.masks)))
    s = Sparsifier(model, optimizer, sparsity=0.5)
    s.sparsify()
    optimizer.register_step_post_hook(lambda *_: average.update_parameters(model))
    for number in range(3):
        step(model, optimizer, number)
    assert seen == [0, 0, 0]
    assert revived(average.module, s.masks) == 0


class Odd(SGD):
    """Has attributes that are called as if they stepped."""

    last_step = 3

    @property
    def next_step(self) -> int:
        raise AssertionError

    @staticmethod
    def make_step() -> None:
        raise AssertionError


def test_what_is_only_called_a_step_is_left_alone():
    model = mlp()
    optimizer = Odd(model.parameters(), lr=0.1)
    s = Sparsifier(model, optimizer, sparsity=0.5)
    s.sparsify()
    step(model, optimizer, 0)
    assert revived(model, s.masks) == 0
    s.finish()
    assert optimizer.last_step == 3


def test_a_layer_of_one_weight_starts_at_rest():
    layer = nn.Linear(1, 1, bias=False)
    for optimizer in (SGD([layer.weight], lr=0.1, momentum=0.9), Adam([layer.weight], lr=0.1)):
        layer.weight.data.fill_(1)
        s = Sparsifier(layer, optimizer, sparsity=0.6)
        layer.weight.grad = torch.ones(1, 1)
        optimizer.step()
        s.sparsify()
        optimizer.step()
        s.densify()
        layer.weight.grad = torch.zeros(1, 1)
        optimizer.step()
        assert layer.weight.item() == 0


def test_a_weight_whose_shape_was_changed_is_named():
    model = mlp()
    optimizer = SGD(model.parameters(), lr=0.1)
    s = Sparsifier(model, optimizer, sparsity=0.5)
    s.sparsify()
    model[0].weight.data = model[0].weight.data[:12]
    model[0].weight.grad = None
    model[2].weight.grad = torch.ones_like(model[2].weight)
    with pytest.raises(RuntimeError, match=r"shape is \(12, 8\), and was \(16, 8\)"):
        optimizer.step()
    with pytest.raises(RuntimeError, match=r"^0\.weight: its shape was changed to \(12, 8\)"):
        s.state_dict()
