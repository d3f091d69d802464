"""Device, precision and determinism, as the command says."""

import os
import sys

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs

from dsd.errors import UserError
from dsd.runs import environment


def make_accelerator(device: str, precision: str = "fp32", compile: bool = False) -> Accelerator:
    """Returns the accelerator for --device, --precision and --compile.

    Raises UserError for unknown values, for a GPU that is not there, and for variables that would
    have accelerate or torch train in another way.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {device}: not known; known: auto, cpu, cuda")
    if precision not in ("fp32", "bf16"):
        raise UserError(f"--precision {precision}: not known; known: fp32, bf16")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; use --device cpu")
    environment.check(precision)
    return Accelerator(
        gradient_accumulation_steps=1,
        cpu=device == "cpu" or not torch.cuda.is_available(),
        mixed_precision="bf16" if precision == "bf16" else "no",
        dynamo_backend="inductor" if compile else "no",
        # Buffers are equal (dsd/training/batch_norm.py): no step need wait for them.
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )


def set_deterministic(wanted: bool, compile: bool = False) -> None:
    """Makes torch use algorithms that give the same bits every time, or lets it choose."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if "torch._inductor.config" in sys.modules or compile:
        torch.use_deterministic_algorithms(wanted, warn_only=True)
    else:  # the same, without the second that importing the compiler takes
        torch._C._set_deterministic_algorithms(wanted, warn_only=True)
    torch.backends.cudnn.benchmark = not wanted
    torch.set_float32_matmul_precision("highest")  # fp32 in the record means fp32
    torch.backends.cudnn.allow_tf32 = False
