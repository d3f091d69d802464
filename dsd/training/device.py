"""Device, precision and determinism, as the command says."""

import os
import sys
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import TorchDynamoPlugin

from dsd.errors import UserError
from dsd.runs import environment

CORES = "DSD_CORES"  # of a job, set by the sweep that started it


@dataclass(frozen=True)
class Options:
    """How to run, besides the recipe; it goes into the record."""

    precision: str = "fp32"
    channels_last: bool = False
    compile: bool = False
    deterministic: bool = True
    fused: bool = False  # the optimizer's step in one kernel, where torch has it
    tf32: bool = False  # float32 products rounded to TF32, on a GPU
    shard: str | None = None  # how weights are divided over processes, see sharding.py


def fastest(device: torch.device) -> Options:
    """Returns the fastest options of a device; bf16 where its products are made for it."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return Options(
        precision="bf16" if has_bf16 else "fp32",
        channels_last=True,
        deterministic=not on_gpu,  # on a CPU it costs nothing
        fused=True,
        tf32=on_gpu,
    )


def choose_options(device: str, fast: bool, **asked: str | bool | None) -> Options:
    """Returns the options asked for (None: not asked), on top of `fastest` with --fast."""
    start = fastest(find_device(device)) if fast else Options()
    if asked.get("shard"):
        start = replace(start, channels_last=False)  # see sharding.py
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    return replace(start, **given)


def find_device(name: str) -> torch.device:
    """Returns the device for --device. Raises UserError for one that is not known or not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {name}: not known; known: auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; use --device cpu")
    return torch.device("cpu" if name == "cpu" or not torch.cuda.is_available() else "cuda")


def make_accelerator(device: str, precision: str = "fp32", compile: bool = False) -> Accelerator:
    """Returns the accelerator for --device, --precision and --compile.

    Compiled for a GPU, a step's kernels are replayed as CUDA graphs, one for each size of batch up
    to torch's limit of eight: small networks wait for their launches otherwise. Raises UserError
    for unknown values, for a GPU that is not there, and for variables that would have accelerate or
    torch train in another way.
    """
    on = find_device(device)
    if precision not in ("fp32", "bf16"):
        raise UserError(f"--precision {precision}: not known; known: fp32, bf16")
    environment.check(precision)
    graphs = on.type == "cuda"
    plugin = TorchDynamoPlugin(
        backend="inductor",
        mode="reduce-overhead" if graphs else "default",
        dynamic=False if graphs else None,  # a graph has one size, and its kernels are faster
    )
    return Accelerator(
        gradient_accumulation_steps=1,
        cpu=on.type == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        dynamo_plugin=plugin if compile else None,
        # Buffers are equal (dsd/training/batch_norm.py): no step need wait for them.
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )


def set_numerics(options: Options) -> None:
    """Makes torch compute as the options say: the same bits every time, float32 or TF32."""
    wanted = options.deterministic
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if "torch._inductor.config" in sys.modules or options.compile:
        torch.use_deterministic_algorithms(wanted, warn_only=True)
    else:  # the same, without the second that importing the compiler takes
        torch._C._set_deterministic_algorithms(wanted, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not wanted
    torch.set_float32_matmul_precision("high" if options.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = options.tf32


def data_workers(asked: int | None, scale: str) -> int:
    """Returns how many processes load data: as asked, or the cores that this process may use.

    None for a miniature, or on a single core, where they would gain nothing.
    """
    if asked is not None:
        return asked
    cores = usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return cores if cores > 1 and scale != "mini" else 0


def usable_cores() -> int:
    """Returns how many cores this process may use; a sweep shares them out among its jobs."""
    if CORES in os.environ:
        return int(os.environ[CORES])
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
