"""Runs all benchmarks, one after the other, and writes their tables into the READMEs.

python -m benchmarks            # takes about twenty minutes
python -m benchmarks --table    # the table alone, from benchmarks/results/
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.pairs import RESULTS, ROOT, spread

README, FRONT_PAGE = Path(__file__).parent / "README.md", ROOT / "README.md"
BEGIN, END = "<!-- table: python -m benchmarks --table -->\n", "<!-- end of table -->\n"
TITLES = {
    "masks": "choosing VGG-16's masks, the other way over ours: {}",
    "steps": "sparse step over dense step: {}",
    "held": "a step with masks as bits over one with integers: {}",
    "loop": "our loop over a plain loop: {}",
    "captions": "one sentence at a time over ours: {}",
    "speech": "speech: {}",
    "images": "torchvision's transforms over ours, from JPEG files: {}",
    "recurrent": "torch's RNN over our bidirectional layer: {}",
    "limits": "matrix products and convolutions alone over the whole step: {}",
    "threads": "a training step on all cores: {}",
    "startup": "a command over starting Python with the libraries it needs: {}",
}
MASK_TARGETS = {"torch.sort": 5.0, "np.partition": 0.5}  # at least
VERDICTS = {True: "met", False: "**missed**", None: ""}
HEAD = """\
| ratio of times | target | median | middle half | all | limit | | control: median, half | n |
|---|---|---|---|---|---|---|---|---|
"""
SHORT_HEAD = """\
| ratio of times | median (target) | |
|---|---|---|
"""


class Row(NamedTuple):
    """One comparison."""

    title: str
    target: str
    ratio: dict[str, float]  # a spread
    limit: str
    verdict: str
    control: dict[str, float]


def table(results: Path = RESULTS) -> str:
    """Returns the results as a table, with a line on how each benchmark was run."""
    lines, runs = "", ""
    for name, title in TITLES.items():
        path = results / f"{name}.json"
        if not path.exists():
            lines += f"| {title.partition(':')[0]} | not run | | | | | | | |\n"
            continue
        result = json.loads(path.read_text())
        for row in _rows(name, result):
            ratio, control = row.ratio, row.control
            lines += (
                f"| {row.title} | {row.target} | {ratio['median']:.3f} | {_half(ratio)} "
                f"| {ratio['min']:.3f} to {ratio['max']:.3f} | {row.limit} | {row.verdict} "
                f"| {control['median']:.3f}, {_half(control)} | {ratio['n']} |\n"
            )
        made = result.get("made", result)
        runs += f"- `{made['command']}`: {made['device']}, torch {made['versions']['torch']}"
        if "revision" in made:
            commit, changed, _ = made["revision"].partition("+")
            runs += f", revision {commit[:10]}{' and changes' if changed else ''}"
        runs += f", {made['date'][:10]}\n"
    return HEAD + lines + ("\n" + runs if runs else "")


def short_table(results: Path = RESULTS) -> str:
    """Returns a line a benchmark, of what has a target, for the front page."""
    lines = ""
    for name, title in TITLES.items():
        path = results / f"{name}.json"
        rows = list(_rows(name, json.loads(path.read_text()))) if path.exists() else []
        rows = [row for row in rows if row.verdict]
        if rows:
            met = sum(row.verdict == VERDICTS[True] for row in rows)
            verdict = rows[0].verdict if met in (0, len(rows)) else f"{met} of {len(rows)} met"
            medians = ", ".join(f"{_short(row.ratio['median'])} ({row.target})" for row in rows)
            lines += f"| {title.removesuffix(': {}')} | {medians} | {verdict} |\n"
    return SHORT_HEAD + lines


def _rows(name: str, result: dict[str, Any]) -> Iterator[Row]:
    """Yields the comparisons of one benchmark.

    A case has a `target` that its ratio should not exceed, or a `least` that it should reach; null
    is no target. `limit`: what no code could pass.
    """
    if name == "masks":
        seconds = result["seconds"]
        over = {way: spread(np.divide(s, seconds["ours"])) for way, s in seconds.items()}
        for way, least in MASK_TARGETS.items():
            verdict = VERDICTS[over[way]["median"] >= least]
            title = TITLES[name].format(way)
            yield Row(title, f">= {least}", over[way], "", verdict, over["ours again"])
        return
    for case in result["cases"]:
        ratios = case["ratios"][case["clock"]]
        median = ratios["measured"]["median"]
        target, met = "-", None
        if case.get("least") is not None:
            target, met = f">= {case['least']}", median >= case["least"]
        elif case.get("target") is not None:
            target, met = f"<= {case['target']}", median <= case["target"]
        limit = f"{case['limit']:.2f}" if "limit" in case else ""
        title = TITLES[name].format(case["case"])
        yield Row(title, target, ratios["measured"], limit, VERDICTS[met], ratios["control"])


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def _half(ratio: dict[str, float]) -> str:
    return f"{ratio['lower_quartile']:.3f} to {ratio['upper_quartile']:.3f}"


def _renew(page: Path, text: str) -> None:
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(before + BEGIN + text + END + rest.partition(END)[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks")
    parser.add_argument("--table", action="store_true", help="only rewrite the table")
    if not parser.parse_args().table:
        for name in TITLES:
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=True)
    _renew(README, table())
    _renew(FRONT_PAGE, short_table())


if __name__ == "__main__":
    main()
