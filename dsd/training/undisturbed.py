"""Training inside somebody else's process, which goes on afterwards undisturbed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

from dsd.training.random_state import rng_state, set_rng_state
from dsd.training.stop import Stop, Stopped


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restores random generators, torch's numerics, and accelerate's state of the whole process.

    accelerate takes device and precision once a process; within, a run may choose its own.
    """
    shared = [kind._shared_state for kind in (AcceleratorState, PartialState, GradientState)]
    states, random = [dict(state) for state in shared], rng_state()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    precision = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    for state in shared:
        state.clear()
    try:
        yield
    finally:
        for state, before in zip(shared, states, strict=True):
            state.clear()
            state.update(before)
        set_rng_state(random)
        torch._C._set_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = cudnn


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Has an interrupt (Ctrl-C, a notebook's button) stop the training with a checkpoint.

    Raises KeyboardInterrupt then; a second interrupt does so at once. Python hears of interrupts
    in its main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.reason:
            raise KeyboardInterrupt
        stop.reason = "interrupted"

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    except Stopped as stopped:
        raise KeyboardInterrupt(f"{stopped}; the same call resumes from here") from None
    finally:
        signal.signal(signal.SIGINT, before)
