"""Inference cost of a network and of its baseline: sizes, FLOPs, time."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from dsd.runs.provenance import device_name

ROUNDS, FEWEST = 30, 10
SECONDS = 20.0  # that all rounds may take
LEAST = 0.05  # seconds of one network in a round
aten = torch.ops.aten
PRODUCTS = (  # parts of the names of operations that multiply matrices
    "mm",
    "addr",
    "attention",
    "bilinear",
    "conv",
    "dot",
    "gru",
    "linear",
    "lstm",
    "matmul",
    "mv",
    "outer",
    "rnn",
    "transformer",
)


def compare(network: nn.Module, baseline: nn.Module, example: tuple[Any, ...]) -> dict[str, Any]:
    """Returns both networks' costs, their differences in words, and the ratio of their times.

    example: arguments of a forward pass, one example. Both networks are on the CPU, in eval mode.
    """
    ours, theirs = cost(network, example), cost(baseline, example)
    return {
        "differences": differences(network, baseline)
        + [
            f"{name}: {ours[name]} here, {theirs[name]} there"
            for name in ("parameters", "flops", "uncounted")
            if ours[name] != theirs[name]
        ],
        "network": ours,
        "baseline": theirs,
        "time": ratios(network, baseline, example),
    }


def cost(network: nn.Module, example: tuple[Any, ...]) -> dict[str, Any]:
    """Returns counts: tensors in the state dict, parameters, parameters exactly zero, FLOPs.

    FLOPs are None where an operation has products that nobody counts; `uncounted` names those.
    """
    parameters = list(network.parameters())
    counted, uncounted = flops(network, example)
    return {
        "tensors": len(network.state_dict()),
        "parameters": sum(p.numel() for p in parameters),
        "zeros": sum(p.numel() - int(p.count_nonzero()) for p in parameters),
        "flops": None if uncounted else counted,
        "uncounted": uncounted,
    }


def differences(network: nn.Module, baseline: nn.Module) -> list[str]:
    """Returns what differs between the names and shapes of two networks' tensors."""
    ours = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in baseline.state_dict().items()}
    return [
        f"{name}: {ours.get(name, 'missing')} here, {theirs.get(name, 'missing')} there"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]


def flops(network: nn.Module, example: tuple[Any, ...]) -> tuple[int, list[str]]:
    """Returns the FLOPs of products and convolutions in a forward pass, and what is not counted.

    A multiplication and an addition count as two; all else is left out. torch itself also leaves
    out in-place products, which recurrent loops consist of, and products with vectors; here they
    count. Fused layers, one call of which is many products, are switched off meanwhile. What has
    products inside and still no formula is named.
    """
    formulas = {
        aten.addmm_: _product,
        aten.baddbmm_: _product,
        aten.mv: lambda left, right, **_: 2 * _size(left),
        aten.addmv: lambda added, left, right, **_: 2 * _size(left),
        aten.dot: lambda left, right, **_: 2 * _size(left),
    }
    counter = FlopCounterMode(display=False, custom_mapping=formulas)
    with _unfused(), _Seen() as seen, counter:  # seen: what the counter has taken apart
        _run(network, example)
    known = counter.flop_registry
    uncounted = {
        str(op) for op in seen.ops if op not in known and any(p in str(op) for p in PRODUCTS)
    }
    return counter.get_total_flops(), sorted(uncounted)


@contextmanager
def _unfused() -> Iterator[None]:
    """Switches off torch's fast path of encoders, fused attention, oneDNN's recurrent layers."""
    fast = torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.simplefilter("ignore")  # of TF32, which is not meant here
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with torch.backends.mkldnn.flags(enabled=False):
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)


class _Seen(TorchDispatchMode):
    """Remembers which operations are called."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: set[Any] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.ops.add(func._overloadpacket)
        return func(*args, **(kwargs or {}))


def ratios(network: nn.Module, baseline: nn.Module, example: tuple[Any, ...]) -> dict[str, Any]:
    """Times both networks in every round, in alternating order.

    Returns the median and the middle half of the rounds' ratios (network / baseline), and how they
    were measured. The clock is the process's CPU time (s), which other programs disturb less.
    """
    nets = {"network": network, "baseline": baseline}
    for net in nets.values():
        _run(net, example)
    once = max(_seconds(baseline, example, 1), 1e-6)
    passes = max(1, round(LEAST / once))
    rounds = min(ROUNDS, max(FEWEST, int(SECONDS / (2 * passes * once))))
    found = []
    for number in range(rounds):
        order = sorted(nets, reverse=number % 2 == 1)
        taken = {name: _seconds(nets[name], example, passes) for name in order}
        found.append(taken["network"] / taken["baseline"])
    low, median, high = np.quantile(found, [0.25, 0.5, 0.75]).round(4).tolist()
    return {
        "median_ratio": median,
        "middle_half": [low, high],
        "rounds": rounds,
        "passes_a_round": passes,
        "batch": 1,
        "device": device_name(torch.device("cpu")),
        "torch": torch.__version__,
    }


def _seconds(network: nn.Module, example: tuple[Any, ...], passes: int) -> float:
    start = time.process_time()
    for _ in range(passes):
        _run(network, example)
    return time.process_time() - start


@torch.inference_mode()
def _run(network: nn.Module, example: tuple[Any, ...]) -> None:
    network(*example)


def _size(shape: Any) -> int:
    return int(np.prod(shape))


def _product(added: Any, left: Any, right: Any, **_: Any) -> int:
    """Returns the FLOPs of left @ right from shapes (..., M, K) and (..., K, N)."""
    return 2 * int(np.prod(left)) * int(right[-1])
