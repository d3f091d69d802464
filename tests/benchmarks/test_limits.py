"""The products of a step are found, forward and backward, and computed again alone."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import flop_registry

from benchmarks import limits

CPU = torch.device("cpu")


def names(products: limits.Products) -> list[str]:
    return [func.overloadpacket.__name__ for func, *_ in products.calls]


def test_products_are_written_down_forward_and_backward() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5))
    with limits.Products() as products:
        F.cross_entropy(net(torch.randn(2, 3, 4, 4)), torch.tensor([0, 1])).backward()
    assert names(products) == ["convolution", "addmm", "mm", "mm", "convolution_backward"]
    ran: list[str] = []
    products.calls = [
        (lambda *_, name=name, **__: ran.append(name), args, kwargs)
        for name, (_, args, kwargs) in zip(names(products), products.calls, strict=True)
    ]
    products.replay()
    assert ran == ["convolution", "addmm", "mm", "mm", "convolution_backward"]


class Counted(limits.Products):
    """Also writes down every product that torch's own counter of operations knows."""

    def __init__(self) -> None:
        super().__init__()
        self.known: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func.overloadpacket in flop_registry:
            self.known.append(func.overloadpacket.__name__)
        return super().__torch_dispatch__(func, types, args, kwargs)


@pytest.mark.parametrize("make", limits.STEPS, ids=lambda make: make.__name__)
def test_no_product_of_a_recipes_step_is_missed(
    make: Callable[[torch.device], tuple[str, Callable[[], object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SIZES", {**limits.SIZES, "num_classes": 60, "features": 12})
    monkeypatch.setattr(limits, "CAPTIONS", 3)
    monkeypatch.setattr(limits, "IMAGES", 2)
    monkeypatch.setattr(limits, "UTTERANCES", 2)
    _, take = make(CPU)
    with Counted() as products:
        take()
    assert products.known
    in_place = [name for name in names(products) if name.endswith("_")]  # torch counts none
    assert sorted([*products.known, *in_place]) == sorted(names(products))


def test_a_case_is_the_products_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAGES", 2)
    case = limits.case(limits.resnet20, 1, CPU)
    assert list(case["median_seconds"]["cpu"]) == ["step", "products", "step again"]
    assert case["products"] == 2 * 20 + 1  # each layer both ways; a dense layer's backward is two
