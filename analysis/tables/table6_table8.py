"""The paper's tables 6 and 8: parameters of the Deep Speech networks, layer by layer, and ours."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn

from analysis.results import Results
from analysis.table import Column, Kind, Table
from models import build


@dataclass(frozen=True)
class Printed:
    """One of the two tables: its network and the modules that are each row."""

    number: int
    title: str
    network: str
    file: str  # in results/paper/
    layers: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


TABLES = (
    Printed(
        6,
        "Table 6: DeepSpeech",
        "deepspeech",
        "table6_deepspeech_architecture",
        (("conv",), ("fc1",), ("fc2",), ("recurrent",), ("fc3",), ("output",)),
    ),
    Printed(
        8,
        "Table 8: DeepSpeech 2",
        "deepspeech2",
        "table8_deepspeech2_architecture",
        (
            ("conv1", "norm1"),
            ("conv2", "norm2"),
            *((f"recurrent.{i}",) for i in range(7)),
            ("fc", "norm"),
            ("output",),
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
    confidence: str
    ours: int


def table(results: Results, one: Printed) -> Table[Layer]:
    """Returns the table beside our network's."""
    printed = results.paper.rows(one.file)
    layers = [
        Layer(
            row["layer"],
            row["type"].replace("_", " "),
            ", ".join(modules),
            int(row["parameters"]),
            row["confidence"],
            ours,
        )
        for row, modules, ours in zip(
            results.paper.rows(one.file), one.layers, _counts(one), strict=True
        )
    ]
    sums = sum(layer.paper for layer in layers), sum(layer.ours for layer in layers)
    total = Layer("sum", "", "", sums[0], "seen", sums[1])
    columns = (
        Column[Layer]("layer", "layer", lambda row: row.layer),
        Column[Layer]("type", "type", lambda row: row.type),
        Column[Layer]("modules", "our modules", lambda row: row.modules),
        Column[Layer]("paper", None, lambda row: row.paper),
        Column[Layer]("", "paper: parameters", _papers),
        Column[Layer]("paper_confidence", None, lambda row: row.confidence),
        Column[Layer]("ours", "ours: parameters", lambda row: row.ours, COUNT),
        Column[Layer]("equal", "equal", lambda row: "yes" if row.paper == row.ours else "no"),
    )
    rows = [*layers, total]
    return Table(one.title, columns, rows, one.notes, in_csv=lambda row: row is not total)


@cache
def _counts(one: Printed) -> list[int]:
    """Returns how many parameters each row's modules have.

    The network takes no memory, and its weights are not drawn: on the meta device that alone would
    import most of torch's compiler.
    """
    with torch.device("meta"), patch.multiple(nn.init, normal_=_undrawn, orthogonal_=_undrawn):
        sizes = {name: p.numel() for name, p in build(one.network).named_parameters()}
    return [
        sum(n for name, n in sizes.items() if name.startswith(tuple(f"{m}." for m in modules)))
        for modules in one.layers
    ]


def _undrawn(tensor: Tensor, *_: object, **__: object) -> Tensor:
    return tensor


def _count(count: int, _: int = 0) -> str:
    return f"{count:,}".replace(",", " ")


def _papers(row: Layer) -> str:
    return _count(row.paper) + ("" if row.confidence.startswith("seen") else "†")


COUNT = Kind(_count, lambda name, count: {name: count})
