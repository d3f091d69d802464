"""What an experiment costs on one GPU, eight and many: time by time of one optimizer step.

Every number here is counted (FLOPs, bytes), measured (benchmarks/results/*.json) or ASSUMED.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dsd.suite.recipe import Recipe
from models import build

ASSUMED: dict[str, tuple[float, str]] = {  # value, and where it comes from
    "fp32_flops": (67e12, "NVIDIA H200 SXM data sheet: FP32, per second"),
    "fp32_share": (
        0.3,
        "of that peak reached by speech networks; a guess of ours, the median of "
        "the ImageNet networks measured",
    ),
    "memory": (141e9, "NVIDIA H200 SXM data sheet: bytes"),
    "memory_per_s": (4.8e12, "NVIDIA H200 SXM data sheet: bytes a second"),
    "memory_share": (0.7, "of that bandwidth reached; a guess of ours"),
    "gpus_a_node": (8, "NVIDIA DGX H200 data sheet"),
    "cores_a_gpu": (14, "NVIDIA DGX H200 data sheet: 112 cores for 8 GPUs"),
    "link_per_s": (450e9, "NVIDIA H200 SXM data sheet: NVLink, 900 GB/s both ways together"),
    "network_per_s": (50e9, "NVIDIA DGX H200 data sheet: 400 Gb/s InfiniBand for each GPU"),
    "link_share": (0.7, "of links and network reached by an all-reduce; a guess of ours"),
    "hop_s": (5e-6, "seconds of latency for each step of a ring; a guess of ours"),
    "disk_per_s": (1e9, "bytes a second of a shared file system for one job; a guess of ours"),
    "launch_s": (10e-6, "seconds to launch one kernel from Python; a guess of ours"),
    "select_s": (
        0.41e-9,
        "seconds a weight to choose a mask on a GPU: at most that, as six selections of 103 "
        "million weights and six sorts took 0.2 s (below 0.25) in gpu.json",
    ),
    "checkpoint_every_s": (120, "dsd run's default"),
    "images": (1_281_167, "ILSVRC 2012, training set"),
    "wsj_hours": (81, "hours of speech in WSJ0 and WSJ1's training sets (Han et al. 2017)"),
    "wsj_utterances": (37_416, "of the same sets, si284"),
}
A = {name: value for name, (value, _) in ASSUMED.items()}
BYTES = 4  # of a weight, and of its momentum and gradient
FRAMES_PER_S = 100  # of a spectrogram


@dataclass(frozen=True)
class Step:
    """Seconds of one optimizer step on some GPUs, by what takes them."""

    compute: float  # forward, backward and the optimizer's step
    input: float  # what the cores need to make the batch; beside the GPU's work
    exchange: float  # all-reduce of the gradients; beside the backward pass, two thirds of compute
    mask: float  # of a sparse step
    checkpoint: float  # a step's share of the checkpoints

    @property
    def exposed(self) -> float:
        """Returns the seconds of the all-reduce that the backward pass does not hide."""
        return max(0.0, self.exchange - self.compute * 2 / 3)

    @property
    def seconds(self) -> float:
        """Returns the step's length: what runs side by side counts once."""
        return max(self.compute + self.exposed + self.mask, self.input) + self.checkpoint

    @property
    def limit(self) -> str:
        """Returns what would have to be faster for a shorter step."""
        if self.input > self.compute + self.exposed + self.mask:
            return "input"
        return "all-reduce" if self.exposed > self.compute else "compute"


def step(compute_s: float, weights: int, layers: int, input_s: float, gpus: int) -> Step:
    """Returns the costs of a step.

    compute_s: seconds of a dense step on the whole batch on one GPU. layers: those that are pruned.
    input_s: core seconds to make the batch.
    """
    node, together = A["gpus_a_node"], gpus > 1
    link = A["link_per_s"] if gpus <= node else A["network_per_s"]
    sent = 2 * (gpus - 1) / gpus * weights * BYTES
    latency = 2 * (gpus - 1) * A["hop_s"]
    # weights read and written, and a byte for each read
    masked = weights * (2 * BYTES + 1) / (A["memory_per_s"] * A["memory_share"])
    masked += layers * A["launch_s"]
    without = Step(
        compute=compute_s / gpus,
        input=input_s / (gpus * A["cores_a_gpu"]),
        exchange=sent / (link * A["link_share"]) + latency if together else 0.0,
        mask=masked,
        checkpoint=0.0,
    )
    share = checkpoint_bytes(weights) / A["disk_per_s"] / A["checkpoint_every_s"]
    return Step(**{**vars(without), "checkpoint": share * without.seconds})


def checkpoint_bytes(weights: int) -> float:
    """Returns the bytes of a checkpoint: weights, momentum, masks as bits."""
    return weights * (2 * BYTES + 1 / 8)


def image_network(name: str, pixels: int) -> tuple[int, int, int]:
    """Returns (parameters, FLOPs of a forward pass for one image, layers); allocates nothing."""
    with torch.device("meta"):
        net, image = build(name).eval(), torch.empty(1, 3, pixels, pixels)
    return _size(net), _flops(net, image), _layers(net)


def speech_network(name: str, seconds: int = 4) -> tuple[int, float, int]:
    """Returns (parameters, FLOPs of a forward pass for a second of speech, layers)."""
    net = build(name).eval()
    frames = seconds * FRAMES_PER_S
    return _size(net), _flops(net, torch.zeros(1, frames, 161), [frames]) / seconds, _layers(net)


def epochs(recipe: Recipe, arms: Sequence[str]) -> float:
    """Returns the epochs of arms together; phases that they share count once."""
    paths = {tuple(recipe.plan(arm)[:depth]) for arm in arms for depth in range(1, 9)}
    return sum(path[-1].phase.epochs for path in paths)


def masks(weights: float, ns_a_weight: float) -> dict[str, Any]:
    """Returns what masks of so many weights take, sharded over the GPUs that training needs."""
    training = weights * (3 * BYTES + 1 / 8)  # weights, gradients, momentum; masks as bits
    gpus = max(1, -(-int(training) // int(0.8 * A["memory"])))
    shard = weights / gpus
    return {
        "weights": weights,
        "mask_bytes": weights / 8,
        "training_bytes": training,
        "gpus": gpus,
        "cpu_s": weights * ns_a_weight * 1e-9,  # one process, all weights
        "cpu_shard_s": shard * ns_a_weight * 1e-9,
        "gpu_shard_s": shard * A["select_s"],
        "counts_bytes": 2 * 65536 * 8,  # all-reduced, whatever the number of weights
        "step_s": shard * (2 * BYTES + 1 / 8) / (A["memory_per_s"] * A["memory_share"]),
    }


def _size(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _layers(net: nn.Module) -> int:
    return sum(parameter.dim() > 1 for parameter in net.parameters())


def _flops(net: nn.Module, *example: Any) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(*example)
    total: int = counter.get_total_flops()
    return total
