"""What --slurm asks for, in submitit's words."""

import re
from collections.abc import Sequence
from typing import Any

from dsd.errors import UserError
from dsd.suite.names import nearest

GPUS = "gpus_per_node"
KEYS = {  # of --slurm -> submitit's
    "partition": "partition",
    "gpus": GPUS,
    "cpus": "cpus_per_task",
    "mem": "mem",
    "time": "time",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "at_once": "array_parallelism",
}
TIME = re.compile("([0-9]{1,4}-)?[0-9]{1,6}(:[0-9]{1,2}){0,2}")
SHORTEST = 5  # minutes: the warning comes up to 150 s before the end


def parameters(words: Sequence[str]) -> dict[str, Any]:
    """Returns submitit's parameters for `partition=main gpus=1 time=4:00:00` and the like.

    time: minutes, or what Slurm takes. Raises UserError for other keys and values.
    """
    found: dict[str, Any] = {"time": 60}
    for word in words:
        key, _, value = word.partition("=")
        if key not in KEYS or not value:
            raise UserError(f"--slurm {word}: not known{nearest(key, KEYS)}, each as key=value")
        number = key in ("gpus", "cpus", "at_once")
        if number and not re.fullmatch("[1-9][0-9]{0,5}", value):
            raise UserError(f"--slurm {word}: give a whole number, 1 or above")
        found[KEYS[key]] = int(value) if number else _minutes(value) if key == "time" else value
    return found


def _minutes(text: str) -> int:
    """Returns the minutes of Slurm's M, H:MM:SS, MM:SS or D-HH:MM:SS. Raises UserError."""
    if not TIME.fullmatch(text):
        raise UserError(f"--slurm time={text}: give minutes, H:MM:SS or D-HH:MM:SS")
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if len(parts) < 3 and not dash:
        parts.insert(0, 0)  # minutes first; with days, hours
    hours, minutes, seconds = (*parts, 0, 0)[:3]
    total = int(days or 0) * 1440 + hours * 60 + minutes + -(-seconds // 60)
    if total < SHORTEST:
        raise UserError(f"--slurm time={text}: give {SHORTEST} minutes at least")
    return total
