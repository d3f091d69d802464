"""Runs all benchmarks, one after the other, and writes their table into benchmarks/README.md.

python -m benchmarks            # takes some minutes
python -m benchmarks --table    # the table alone, from benchmarks/results/
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pairs import RESULTS, ROOT, spread

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- table: python -m benchmarks --table -->\n", "<!-- end of table -->\n"
TITLES = {
    "masks": "masks of VGG-16: {} over ours",
    "steps": "sparse step over dense step: {}",
    "held": "a step with masks as bits over one with integers: {}",
    "loop": "our loop over a plain loop: {}",
    "captions": "one sentence at a time over ours: {}",
    "speech": "speech: {}",
    "images": "torchvision's transforms over ours, from JPEG files: {}",
    "recurrent": "torch's RNN over our bidirectional layer: {}",
}
MASK_TARGETS = {"torch.sort": 5.0, "np.partition": 0.5}  # at least
VERDICTS = {True: "met", False: "**missed**", None: ""}
HEAD = """\
| ratio of times | median | middle half | all | target | | control: median, middle half | n |
|---|---|---|---|---|---|---|---|
"""


def table(results: Path = RESULTS) -> str:
    """Returns the results as a table, with a line on how each benchmark was run."""
    rows, runs = "", ""
    for name, title in TITLES.items():
        path = results / f"{name}.json"
        if not path.exists():
            rows += f"| {title.partition(':')[0]} | not run | | | | | | |\n"
            continue
        result = json.loads(path.read_text())
        for case, ratio, control, target, met in _ratios(name, result):
            rows += (
                f"| {title.format(case)} | {ratio['median']:.3f} | {_half(ratio)} "
                f"| {ratio['min']:.3f} to {ratio['max']:.3f} | {target} "
                f"| {VERDICTS[met]} "
                f"| {control['median']:.3f}, {_half(control)} | {ratio['n']} |\n"
            )
        made = result.get("made", result)
        runs += f"- `{made['command']}`: {made['device']}, torch {made['versions']['torch']}"
        runs += f", revision {made['revision'][:10]}" if "revision" in made else ""
        runs += f", {made['date'][:10]}\n"
    return HEAD + rows + ("\n" + runs if runs else "")


def _ratios(name: str, result: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yields (case, spread of its ratios, that of its control, target, whether it is met).

    A case has a `target` that its ratio should not exceed, or a `least` that it should reach; null
    is no target.
    """
    met: bool | None
    if name == "masks":
        seconds = result["seconds"]
        over = {way: spread(np.divide(s, seconds["ours"])) for way, s in seconds.items()}
        for way, least in MASK_TARGETS.items():
            met = over[way]["median"] >= least
            yield way, over[way], over["ours again"], f">= {least}", met
        return
    for case in result["cases"]:
        ratios = case["ratios"][case["clock"]]
        median = ratios["measured"]["median"]
        target, met = "-", None
        if case.get("least") is not None:
            target, met = f">= {case['least']}", median >= case["least"]
        elif "target" in case:
            target, met = f"<= {case['target']}", median <= case["target"]
        yield case["case"], ratios["measured"], ratios["control"], target, met


def _half(ratio: dict[str, float]) -> str:
    return f"{ratio['lower_quartile']:.3f} to {ratio['upper_quartile']:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks")
    parser.add_argument("--table", action="store_true", help="only rewrite the table")
    if not parser.parse_args().table:
        for name in TITLES:
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=True)
    before, _, rest = README.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(before + BEGIN + table() + END + after)


if __name__ == "__main__":
    main()
