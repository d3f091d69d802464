"""What becomes of the optimizer's state where weights are pruned and where they return."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from dsd import Gradual, Sparsifier

OPTIMIZERS = {
    "sgd momentum": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-2),
    "rmsprop centered": lambda p: RMSprop(p, lr=0.01, momentum=0.9, centered=True),
    "adam amsgrad": lambda p: Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: AdamW(p, lr=0.01),
}


def tensors(optimizer: torch.optim.Optimizer, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in optimizer.state[weight].items() if torch.is_tensor(v)}


@pytest.mark.parametrize("border", ["prune", "re-dense"])
@pytest.mark.parametrize(
    ("name", "momenta"),
    [
        ("sgd momentum", {"momentum_buffer"}),
        ("rmsprop centered", {"momentum_buffer"}),
        ("adam amsgrad", {"exp_avg"}),
        ("adamw", {"exp_avg"}),
    ],
)
def test_pruned_momentum_is_zeroed_and_all_else_carries_on(net, border, name, momenta, train):
    optimizer = OPTIMIZERS[name](net.parameters())
    s = Sparsifier(net, optimizer, sparsity=0.5, exclude=["conv1"])
    train(net, optimizer)
    if border == "re-dense":
        s.sparsify()
        train(net, optimizer)
    before = {n: tensors(optimizer, p) for n, p in net.named_parameters()}
    masks = s.masks
    if border == "re-dense":
        s.densify()
    else:
        s.sparsify()
        masks = s.masks
    for layer, parameter in net.named_parameters():
        for key, now in tensors(optimizer, parameter).items():
            expected = before[layer][key]
            if layer in masks and key in momenta:
                assert expected[~masks[layer]].any()
                expected = expected.masked_fill(~masks[layer], 0)
            assert torch.equal(now, expected), (layer, key)


@pytest.mark.parametrize("border", ["prune", "re-dense"])
def test_reset_and_keep(net, border, train):
    for momentum in ("reset", "keep"):
        optimizer = Adam(net.parameters())
        s = Sparsifier(net, optimizer, sparsity=0.5, momentum=momentum)
        if border == "re-dense":
            s.sparsify()
        train(net, optimizer)
        before = {n: tensors(optimizer, p) for n, p in net.named_parameters()}
        s.densify() if border == "re-dense" else s.sparsify()
        if momentum == "reset":
            assert len(optimizer.state) == 0
        else:
            for name, parameter in net.named_parameters():
                now = tensors(optimizer, parameter)
                assert all(torch.equal(now[key], old) for key, old in before[name].items())
        s.finish()
        train(net, optimizer)


@pytest.mark.parametrize(
    "optimizer_of",
    [
        lambda p: Adam(p, lr=1e-3),
        lambda p: RMSprop(p, lr=1e-3, alpha=0.999),
        lambda p: RMSprop(p, lr=1e-3, alpha=0.999, centered=True),
    ],
    ids=["adam", "rmsprop", "centered"],
)
def test_reborn_weights_start_gently(optimizer_of):
    """Late in training, a reborn weight's first step is of the order of the learning rate."""
    net = nn.Linear(40, 40, bias=False)
    generator = torch.Generator().manual_seed(0)
    optimizer = optimizer_of(net.parameters())
    s = Sparsifier(net, optimizer, sparsity=0.5)

    def steps(number: int) -> None:
        for _ in range(number):
            net.weight.grad = torch.randn(40, 40, generator=generator).clamp(-2, 2)
            optimizer.step()

    s.sparsify()
    steps(3000)
    reborn = ~s.masks["weight"]
    s.densify()
    steps(1)
    assert 0 < net.weight[reborn].abs().max() < 2.5e-3


@pytest.mark.parametrize("momentum", ["pruned", "reset", "keep"])
def test_where_masks_grow_momentum_rests_and_is_not_reset(net, momentum, train):
    optimizer = OPTIMIZERS["sgd momentum"](net.parameters())
    s = Sparsifier(net, optimizer, sparsity=0.5, momentum=momentum)
    s.sparsify(gradually=Gradual(steps=2, every=2))
    train(net, optimizer, 2)
    for name, mask in s.masks.items():
        buffer = optimizer.state[net.get_parameter(name)]["momentum_buffer"]
        assert buffer[mask].all()
        assert buffer[~mask].any() == (momentum != "pruned")
