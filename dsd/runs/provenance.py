"""Provenance of a result: command, revision, device, versions, date."""

import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from dsd.runs.environment import rounding


def provenance(
    device: torch.device, root: Path, words: Sequence[str] | None = None
) -> dict[str, Any]:
    """Returns the command, git revision of `root`, device, versions and date.

    words: of the command, after `dsd`; by default those that this process was given.
    """
    packages = ("torch", "torchvision", "torchaudio", "accelerate", "numpy")
    return {
        "command": shlex.join(["dsd", *(sys.argv[1:] if words is None else words)]),
        "revision": revision(root),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "environment": rounding(),
        "python": platform.python_version(),
        "versions": {name: found for name in packages if (found := _version(name))},
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def device_name(device: torch.device) -> str:
    """Returns the GPU's name, or the processor's and how many threads torch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return f"{device.type}: {model}, {torch.get_num_threads()} threads"


def revision(root: Path) -> str:
    """Returns the checkout's git revision, with "+changes" when code or recipes differ from it."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    if head is None:
        return "unknown"
    code = [":!results", ":!docs", ":!*.md"]
    return head + ("+changes" if git("status", "--porcelain", "--", ".", *code) else "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
