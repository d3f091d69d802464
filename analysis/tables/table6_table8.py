"""The paper's tables 6 and 8: parameters of the Deep Speech networks, layer by layer, and ours."""

import hashlib
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from analysis.cache import remember
from analysis.results import Results
from analysis.table import Column, Table, text

MODELS = Path(__file__).parents[2] / "models"


class Printed(NamedTuple):
    """One of the two tables: its network and the modules that are each row."""

    page: str
    title: str
    network: str
    file: str  # in results/paper/
    layers: tuple[str, ...]  # modules apart by ", "
    notes: tuple[str, ...] = ()


TABLES = (
    Printed(
        *("table6", "Table 6: DeepSpeech", "deepspeech", "table6_deepspeech_architecture"),
        ("conv", "fc1", "fc2", "recurrent", "fc3", "output"),
    ),
    Printed(
        *("table8", "Table 8: DeepSpeech 2", "deepspeech2", "table8_deepspeech2_architecture"),
        (
            *("conv1, norm1", "conv2, norm2"),
            *(f"recurrent.{i}" for i in range(7)),
            *("fc, norm", "output"),
        ),
        (
            "The output layer has 1760 inputs and a bias for each symbol, so a multiple of 1761. "
            "The paper's 95 054 is none; the nearest is 54 x 1761 = 95 094. The paper does not "
            "tell this network's alphabet. Ours has 29 symbols: 29 x 1761 = 51 069.",
        ),
    ),
)


class Layer(NamedTuple):
    """A row: the paper's layer and the number of its parameters, and ours."""

    layer: str
    type: str
    modules: str
    paper: int
    paper_confidence: str
    ours: int

    @property
    def equal(self) -> str:
        """Returns whether ours has as many as the paper's."""
        return "yes" if self.paper == self.ours else "no"


def table(results: Results, one: Printed) -> Table:
    """Returns the table beside our network's."""
    counts = _counts(one.network, one.layers)
    layers = [
        Layer(
            *(row["layer"], row["type"].replace("_", " "), modules),
            *(int(row["parameters"]), row["confidence"], ours),
        )
        for row, modules, ours in zip(results.paper.rows(one.file), one.layers, counts, strict=True)
    ]
    paper, ours = (sum(getattr(layer, whose) for layer in layers) for whose in ("paper", "ours"))
    total = Layer("sum", "", "", paper, "seen", ours)
    columns = (
        *(Column("layer", "layer"), Column("type", "type"), Column("modules", "our modules")),
        *(Column("paper"), Column(header="paper: parameters", value=_papers)),
        *(Column("paper_confidence"), Column("ours", "ours: parameters", text(_count))),
        Column("equal", "equal"),
    )
    rows = [*layers, total]
    return Table(one.title, columns, rows, one.notes, in_csv=lambda row: row is not total)


def _counts(network: str, layers: tuple[str, ...]) -> list[int]:
    """Returns how many parameters each row's modules have; kept for as long as models/ is the same.

    Building a network imports torch.
    """
    counts = []
    for row in layers:
        key = ["parameters", network, row, _code()]
        counts.append(int(remember(key, partial(_parameters, network, row))))
    return counts


@cache
def _code() -> str:
    files = sorted(MODELS.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _parameters(network: str, row: str) -> int:
    modules = tuple(f"{module}." for module in row.split(", "))
    return sum(n for name, n in _sizes(network).items() if name.startswith(modules))


@cache
def _sizes(network: str) -> dict[str, int]:
    """Returns the parameters of each module.

    The network takes no memory, and its weights are not drawn: on the meta device that alone would
    import most of torch's compiler.
    """
    import torch

    from models import build

    undrawn = patch.multiple(torch.nn.init, normal_=_undrawn, orthogonal_=_undrawn)
    with torch.device("meta"), undrawn:
        return {name: p.numel() for name, p in build(network).named_parameters()}


def _undrawn(tensor: Any, *_: object, **__: object) -> Any:
    return tensor


def _count(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _papers(row: Layer) -> str:
    return _count(row.paper) + ("" if row.paper_confidence.startswith("seen") else "†")
