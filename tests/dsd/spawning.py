"""Starts processes that torch.distributed connects, over gloo.

They are forked from a server that has imported torch and has the environment of the first call.
"""

import multiprocessing
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed

PRELOADED = ("torch._dynamo", "torch.distributed.fsdp", "accelerate", "dsd.training.algorithm")


def spawn(processes: int, work: Callable[..., None], folder: Path, *given: Any) -> None:
    """Calls work(folder, *given) in so many processes that torch.distributed connects."""
    folder.mkdir(parents=True, exist_ok=True)
    meet = folder / f"meet{len(list(folder.iterdir()))}"
    multiprocessing.set_forkserver_preload([*PRELOADED])
    torch.multiprocessing.start_processes(
        _process,
        args=(processes, work, str(meet), folder, given),
        nprocs=processes,
        start_method="forkserver",
    )


def _process(
    rank: int, processes: int, work: Callable[..., None], meet: str, folder: Path, given: Any
) -> None:
    torch.set_num_threads(1)
    os.environ |= {name: str(rank) for name in ("RANK", "LOCAL_RANK")}
    os.environ |= {name: str(processes) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")}
    os.environ |= {"MASTER_ADDR": "127.0.0.1"}  # accelerate looks, but nobody calls there
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{meet}",
        rank=rank,
        world_size=processes,
        timeout=timedelta(minutes=3),
    )
    work(folder, *given)
    distributed.destroy_process_group()
