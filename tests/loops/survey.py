"""Tries masks under the optimizers and trainers of other libraries; writes docs/loops.json.

    python -m tests.loops.survey            # with these libraries installed; takes some minutes
    python -m tests.loops.survey --table    # the table of the docs alone

`make test-slow` tries those that are installed; docs/training.md shows the table.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.loops.optimizers import outcome
from tests.loops.trainers import TRAINERS

ROOT = Path(__file__).parents[2]
OUTCOMES, PAGE = ROOT / "docs/loops.json", ROOT / "docs/training.md"
BEGIN, END = "<!-- table: python -m tests.loops.survey --table -->\n", "<!-- end of table -->\n"
QUESTIONS = ("held", "pruned", "reset", "resume")

Makers = Iterator[tuple[str, Callable[[nn.Module], Any]]]


def of_torch() -> Makers:
    """Yields torch's own, by name."""
    for name in sorted(set(dir(torch.optim)) - {"Optimizer", "SparseAdam"}):
        kind = getattr(torch.optim, name)
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer):
            if name == "Muon":  # takes matrices alone
                yield name, lambda m: torch.optim.Muon([m.first.weight, m.last.weight], lr=1e-3)
            else:
                yield name, lambda m, kind=kind: kind(m.parameters(), lr=1e-3)
    yield "SGD, momentum", lambda m: torch.optim.SGD(m.parameters(), lr=1e-2, momentum=0.9)


def of_timm() -> Makers:
    """Yields timm's own, without those of apex and bitsandbytes."""
    from timm.optim import create_optimizer_v2, list_optimizers

    for name in [*list_optimizers(), "lookahead_sgd", "lookahead_adamw", "lookahead_lion"]:
        if not name.startswith(("bnb", "fused")):
            yield name, lambda m, name=name: create_optimizer_v2(m, opt=name, lr=1e-3)


def of_pytorch_optimizer() -> Makers:
    """Yields those that are made from parameters alone."""
    from pytorch_optimizer import get_supported_optimizers, load_optimizer

    def make(name: str, model: nn.Module) -> Any:
        kind, parameters = load_optimizer(name), list(model.parameters())
        try:
            return kind(parameters, lr=1e-3)
        except RuntimeError:  # Muon and its like take groups
            return kind([{"params": parameters, "use_muon": False}], lr=1e-3)

    for name in get_supported_optimizers():
        if not name.startswith("bnb"):
            yield name, lambda m, name=name: make(name, m)


def of_schedulefree() -> Makers:
    """Yields schedule-free optimizers, in both modes."""
    import schedulefree as lib

    for name in ("SGDScheduleFree", "AdamWScheduleFree", "RAdamScheduleFree"):
        yield name, lambda m, name=name: getattr(lib, name)(m.parameters(), lr=1e-2)
    yield "SGDScheduleFreeClosure", lambda m: lib.SGDScheduleFreeClosure(m.parameters(), lr=1e-2)
    yield (
        "ScheduleFreeWrapper",
        lambda m: lib.ScheduleFreeWrapper(torch.optim.SGD(m.parameters(), lr=1e-2), momentum=0.9),
    )


def of_bitsandbytes() -> Makers:
    """Yields those with 8-bit state that run on a CPU."""
    from bitsandbytes import optim

    for name in ("Adam8bit", "AdamW8bit", "Lion8bit", "RMSprop8bit", "SGD8bit", "AdEMAMix8bit"):
        options = {"momentum": 0.9} if name == "SGD8bit" else {}
        yield (
            name,
            lambda m, name=name, options=options: getattr(optim, name)(
                m.parameters(), lr=1e-2, min_8bit_size=4096, **options
            ),
        )


def of_torchao() -> Makers:
    """Yields those with quantised state."""
    from torchao import optim

    for name in ("AdamW8bit", "AdamW4bit", "AdamWFp8"):
        yield name, lambda m, name=name: getattr(optim, name)(m.parameters(), lr=1e-2)


def of_lion_pytorch() -> Makers:
    """Yields Lion."""
    from lion_pytorch import Lion

    yield "Lion", lambda m: Lion(m.parameters(), lr=1e-3)


LIBRARIES: dict[str, Callable[[], Makers]] = {
    "torch": of_torch,
    "timm": of_timm,
    "pytorch-optimizer": of_pytorch_optimizer,
    "schedulefree": of_schedulefree,
    "bitsandbytes": of_bitsandbytes,
    "torchao": of_torchao,
    "lion-pytorch": of_lion_pytorch,
}


def table(outcomes: dict[str, Any]) -> str:
    """Returns the outcomes as a table, with what is not held, at rest or resumed by name."""
    rows = [
        "| | version | tried | masks held | reborn weights at rest: `pruned` | `reset` | resumed |",
        "|---|---|---|---|---|---|---|",
    ]
    notes = []
    for library, found in outcomes["optimizers"].items():
        tried = {n: o for n, o in found["outcomes"].items() if not _unmade(o)}
        cells = []
        for question in QUESTIONS:
            failed = {n: o[question] for n, o in tried.items() if o[question] != "yes"}
            cells.append(f"{len(tried) - len(failed)} of {len(tried)}")
            notes += [f"- {library}, {n}, {question}: {_short(why)}" for n, why in failed.items()]
        rows.append(f"| {library} | {found['version']} | {len(tried)} | {' | '.join(cells)} |")
    for trainer, found in outcomes["trainers"].items():
        cells = " | ".join(found["outcomes"][question] for question in QUESTIONS)
        rows.append(f"| {trainer} | {found['version']} | | {cells} |")
    return "\n".join([*rows, "", *notes, ""])


def _unmade(outcome: dict[str, str]) -> bool:
    """Returns whether an optimizer could not be made or stepped here, with or without masks."""
    return outcome.get("plain", "yes") != "yes"


def _short(why: str) -> str:
    return why if len(why) < 150 else why[:147] + "..."


def survey(found: dict[str, Any], libraries: list[str], trainers: list[str]) -> dict[str, Any]:
    """Tries libraries and trainers, and adds their outcomes to those found before."""
    for library in libraries:
        makers = LIBRARIES[library]
        outcomes = {name: outcome(make) for name, make in makers()}
        found["optimizers"][library] = {"version": version(library), "outcomes": outcomes}
        print(library, len(outcomes), file=sys.stderr, flush=True)
    for trainer in trainers:
        package, answers = TRAINERS[trainer]
        found["trainers"][trainer] = {"version": version(package), "outcomes": answers()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--table", action="store_true", help="only rewrite the table")
    parser.add_argument("--only", choices=[*LIBRARIES, *TRAINERS], help="renew these alone")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if not chosen.table:
        libraries = [name for name in LIBRARIES if chosen.only in (None, name)]
        trainers = [name for name in TRAINERS if chosen.only in (None, name)]
        empty: dict[str, Any] = {"optimizers": {}, "trainers": {}}
        before = json.loads(OUTCOMES.read_text()) if chosen.only else empty
        OUTCOMES.write_text(json.dumps(survey(before, libraries, trainers), indent=1) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    written = table(json.loads(OUTCOMES.read_text()))
    PAGE.write_text(before + BEGIN + written + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
