"""Device, precision and determinism, as the command says."""

import os

import torch
from accelerate import Accelerator

from dsd.errors import UserError


def make_accelerator(device: str, precision: str = "fp32", compile: bool = False) -> Accelerator:
    """Returns the accelerator for --device, --precision and --compile.

    Raises UserError for unknown values and for a GPU that is not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {device}: not known; known: auto, cpu, cuda")
    if precision not in ("fp32", "bf16"):
        raise UserError(f"--precision {precision}: not known; known: fp32, bf16")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; use --device cpu")
    return Accelerator(
        cpu=device == "cpu" or not torch.cuda.is_available(),
        mixed_precision="bf16" if precision == "bf16" else "no",
        dynamo_backend="inductor" if compile else None,
    )


def set_deterministic(wanted: bool) -> None:
    """Makes torch use algorithms that give the same bits every time, or lets it choose."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wanted, warn_only=True)
    torch.backends.cudnn.benchmark = not wanted
    torch.backends.cudnn.allow_tf32 = False  # fp32 in the record means fp32
