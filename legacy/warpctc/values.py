"""Compares the CTC loss of this environment with the values in a file.

    python legacy/warpctc/values.py [FILE]

In the environment of environment.yml (conda env create -f legacy/warpctc/environment.yml; conda
activate warpctc) the loss is warpctc_pytorch's, else that of models/ctc.py: run it in both to
compare the two on the same inputs. FILE is a JSON like tests/models/warpctc.json, the default.

Costs must agree to 1e-4, gradients to 1e-4 of the largest entry and the file's rounding; the exit
code is 1 where they do not. With some hundred activations either loss, in float32, is that far from
what float64 gives. Written for Python 3.6.
"""

import json
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
VALUES = ROOT / "tests" / "models" / "warpctc.json"
TOLERANCE = 1e-4
ROUNDED = 5e-7  # gradients are written with six decimals


def loss_class():
    """Returns the name of this environment's loss and its class."""
    try:
        from warpctc_pytorch import CTCLoss
    except ImportError:
        sys.path.insert(0, str(ROOT))
        from models.ctc import CTCLoss

        return "models/ctc.py", CTCLoss
    return "warpctc_pytorch", CTCLoss


def computed(loss, case):
    """Returns the cost, a float, and the gradient (T, B, C) of a case's activations."""
    activations = torch.tensor(case["activations"], requires_grad=True)
    names = ("labels", "activation_lengths", "label_lengths")
    cost = loss(activations, *[torch.tensor(case[name], dtype=torch.int32) for name in names])
    cost.backward()
    return cost.item(), activations.grad


def compare(name, loss, expected, case):
    """Prints how far a loss is from the expected values; returns whether that is near enough."""
    cost, gradient = computed(loss, case)
    wanted = torch.tensor(expected["grad"])
    largest = wanted.abs().max().item()
    by_cost = abs(cost - expected["cost"])
    by_gradient = (gradient - wanted).abs().max().item()
    near = (
        by_cost <= TOLERANCE * abs(expected["cost"])
        and by_gradient <= TOLERANCE * largest + ROUNDED
    )
    verdict = "same" if near else "DIFFERENT"
    print(f"{name}: {verdict}: cost off by {by_cost:.1e}, gradient by {by_gradient:.1e}")
    return near


def main(path):
    name, loss = loss_class()
    print(f"{name}, torch {torch.__version__}, {path}")
    near = []
    for number, case in enumerate(json.loads(path.read_text())["cases"]):
        for reduction, expected in case["results"].items():
            options = {} if reduction == "sum" else {reduction: True}
            near.append(compare(f"case {number}, {reduction}", loss(**options), expected, case))
    print(f"{sum(near)} of {len(near)} agree")
    return 0 if near and all(near) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else VALUES))
