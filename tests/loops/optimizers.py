"""What becomes of masks and momentum under one optimizer: what the survey and the tests share."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsd import Sparsifier

Make = Callable[[nn.Module], Any]  # model -> optimizer


class Net(nn.Module):
    """Two layers; the first is large enough for optimizers that quantise from 4096 weights on."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.last = nn.Linear(64, 4)

    def forward(self, points: Tensor) -> Tensor:
        return self.last(self.first(points).relu())


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def mode(optimizer: Any, name: str) -> None:
    """Calls optimizer.train() or eval() where there is one, as schedule-free optimizers want."""
    switch = getattr(optimizer, name, None)
    if callable(switch):
        switch()


def train(model: nn.Module, optimizer: Any, steps: int, number: int = 0) -> None:
    """Trains some steps on batches that differ by `number`."""
    generator = torch.Generator().manual_seed(number)
    for _ in range(steps):
        points = torch.randn(32, 64, generator=generator)
        labels = points[:, 0].gt(0).long() + 2 * points[:, 1].gt(0).long()

        def closure(points: Tensor = points, labels: Tensor = labels) -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(points), labels)
            loss.backward(create_graph=wants_graph(optimizer))
            return loss

        if hasattr(optimizer, "first_step"):  # SAM's two
            closure()
            optimizer.first_step(zero_grad=True)
            closure()
            optimizer.second_step(zero_grad=True)
        elif wants_closure(optimizer):
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()


def wants_graph(optimizer: Any) -> bool:
    """Returns whether an optimizer differentiates its gradients."""
    return "hessian" in type(optimizer).__name__.lower() or "SophiaH" in type(optimizer).__name__


def wants_closure(optimizer: Any) -> bool:
    """Returns whether an optimizer evaluates the loss by itself."""
    return type(optimizer).__name__ in {
        "AliG",
        "BSAM",
        "SGDScheduleFreeClosure",
        "AdamWScheduleFreeClosure",
    }


def revived(model: nn.Module, masks: dict[str, Tensor]) -> int:
    """Returns how many pruned weights are anything but +0.0."""
    weights = {name: model.get_parameter(name).detach() for name in masks}
    return sum(
        int((weights[name][~mask] != 0).sum() + weights[name][~mask].signbit().sum())
        for name, mask in masks.items()
    )


def start(make: Make, momentum: str = "pruned") -> tuple[nn.Module, Any, Sparsifier]:
    """Returns a model that has trained a little, its optimizer and sparsifier."""
    model = net()
    optimizer = make(model)
    sparsifier = Sparsifier(model, optimizer, sparsity=0.5, momentum=momentum)
    mode(optimizer, "train")
    train(model, optimizer, 5)
    return model, optimizer, sparsifier


def plain(make: Make) -> bool:
    """Returns whether the optimizer can be made and trains without masks."""
    model = net()
    optimizer = make(model)
    mode(optimizer, "train")
    train(model, optimizer, 1)
    return True


def held(make: Make) -> bool:
    """Returns whether every step leaves pruned weights at +0.0, in both modes if there are two."""
    model, optimizer, sparsifier = start(make)
    sparsifier.sparsify()
    counts = []
    for number in range(6):
        train(model, optimizer, 1, number)
        counts.append(revived(model, sparsifier.masks))
        mode(optimizer, "eval")
        counts.append(revived(model, sparsifier.masks))
        mode(optimizer, "train")
    return not any(counts)


def at_rest(make: Make, momentum: str) -> bool | str:
    """Returns whether reborn weights stay at zero in two steps whose gradients are zero."""
    model, optimizer, sparsifier = start(make, momentum)
    sparsifier.sparsify()
    masks = sparsifier.masks
    train(model, optimizer, 5, 1)
    sparsifier.densify()
    for number in range(2):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        if hasattr(optimizer, "first_step"):
            optimizer.first_step()
            optimizer.second_step()
        elif wants_closure(optimizer) or wants_graph(optimizer):
            # gradients that are zero by themselves
            def closure() -> Tensor:
                optimizer.zero_grad()
                loss = sum((p * p * 0).sum() for p in model.parameters())
                loss.backward(create_graph=wants_graph(optimizer))
                return loss

            optimizer.step(closure) if wants_closure(optimizer) else (closure(), optimizer.step())
        else:
            optimizer.step()
        if any(model.get_parameter(name)[~mask].any() for name, mask in masks.items()):
            return "in the first step; then its own rounding moves them" if number else False
    return True


def resumes(make: Make) -> bool:
    """Returns whether states saved in the sparse phase go on to the same weights."""
    model, optimizer, sparsifier = start(make)
    sparsifier.sparsify()
    train(model, optimizer, 2, 1)
    file = io.BytesIO()
    torch.save([part.state_dict() for part in (model, optimizer, sparsifier)], file)
    file.seek(0)
    saved = torch.load(file, weights_only=False)
    other = net()
    optimizer2 = make(other)
    parts = other, optimizer2, Sparsifier(other, optimizer2, sparsity=0.5)
    mode(optimizer2, "train")
    for part, state in zip(parts, saved, strict=True):
        part.load_state_dict(state)
    for one in ((model, optimizer), (other, optimizer2)):
        torch.manual_seed(1)
        train(*one, 2, 2)
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and not revived(other, sparsifier.masks)


def outcome(make: Make) -> dict[str, str]:
    """Returns what becomes of it: for each question yes, no, or the error or warning in words."""

    def answer(question: Callable[[], bool | str]) -> str:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = question()
            except Exception as error:
                return f"{type(error).__name__}: {' '.join(str(error).split())}"
        warned = [str(w.message) for w in caught if "whose role is not known" in str(w.message)]
        if isinstance(found, str):
            return found
        return "yes" if found else f"no, warned: {warned[0]}" if warned else "no"

    return {
        "plain": answer(lambda: plain(make)),
        "held": answer(lambda: held(make)),
        "pruned": answer(lambda: at_rest(make, "pruned")),
        "reset": answer(lambda: at_rest(make, "reset")),
        "resume": answer(lambda: resumes(make)),
    }
