"""The state of all random generators: seeded from words, saved in checkpoints, restored."""

import hashlib
import random
from typing import Any

import numpy as np
import torch


def rng_state() -> dict[str, Any]:
    """Returns the state of all random generators of this process; `torch.load` can read it."""
    version, internal, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": [version, list(internal), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Restores all random generators to what `rng_state` returned."""
    torch.set_rng_state(state["torch"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def seed_of(*words: object) -> int:
    """Returns a seed below 2^56 that depends on every word."""
    return int.from_bytes(hashlib.sha256(repr(words).encode()).digest()[:7], "big")


def seed_all(*words: object) -> None:
    """Seeds all random generators from the words, so that each phase has its own stream."""
    seed = seed_of(*words)
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
