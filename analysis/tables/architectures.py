"""The paper's tables 6 and 8: parameters of the Deep Speech networks, layer by layer, and ours."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn

from analysis import paper
from analysis.grid import Grid
from dsd.errors import UserError
from dsd.suite.folder import Suite
from models import build


@dataclass(frozen=True)
class Table:
    """One of the two tables: its network and the modules that are each row."""

    number: int
    title: str
    network: str
    name: str  # of its file in results/paper/
    layers: tuple[tuple[str, ...], ...]
    note: str = ""


TABLES = (
    Table(
        6,
        "Table 6: DeepSpeech",
        "deepspeech",
        "table6_deepspeech_architecture",
        (("conv",), ("fc1",), ("fc2",), ("recurrent",), ("fc3",), ("output",)),
    ),
    Table(
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
        "The output layer has 1760 inputs and a bias for each symbol, so a multiple of 1761. The "
        "paper's 95 054 is none; the nearest is 54 x 1761 = 95 094. The paper does not tell this "
        "network's alphabet. Ours has 29 symbols: 29 x 1761 = 51 069.",
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


def layers(suite: Suite, table: Table) -> list[Layer]:
    """Returns the rows. Raises UserError when the paper's file is damaged."""
    folder = suite.root / "results" / "paper"
    rows = paper.read(folder, table.name)
    try:
        return [
            Layer(
                row["layer"],
                row["type"].replace("_", " "),
                ", ".join(modules),
                int(row["parameters"]),
                row["confidence"],
                ours,
            )
            for row, modules, ours in zip(rows, table.layers, _counts(table), strict=True)
        ]
    except (KeyError, ValueError) as error:
        raise UserError(f"{folder / table.name}.csv: {error}; restore the file") from None


def grid(suite: Suite, table: Table) -> Grid:
    """Returns the table beside our network's."""
    found = layers(suite, table)
    sums = sum(layer.paper for layer in found), sum(layer.ours for layer in found)
    rows: list[tuple[str, ...]] = [
        (
            layer.layer,
            layer.type,
            layer.modules,
            _number(layer.paper) + ("" if layer.paper_confidence.startswith("seen") else "†"),
            _number(layer.ours),
            _equal(layer.paper, layer.ours),
        )
        for layer in found
    ]
    rows.append(("sum", "-", "-", *map(_number, sums), _equal(*sums)))
    header = ("layer", "type", "our modules", "paper: parameters", "ours: parameters", "equal")
    return Grid(table.title, header, rows, (table.note,) if table.note else ())


def csv_rows(suite: Suite, table: Table) -> Iterator[dict[str, Any]]:
    """Yields the same as numbers."""
    for layer in layers(suite, table):
        yield {**layer._asdict(), "equal": _equal(layer.paper, layer.ours)}


@cache
def _counts(table: Table) -> list[int]:
    """Returns how many parameters each row's modules have.

    The network takes no memory, and its weights are not drawn: on the meta device that alone would
    import most of torch's compiler.
    """
    with torch.device("meta"), patch.multiple(nn.init, normal_=_undrawn, orthogonal_=_undrawn):
        sizes = {name: p.numel() for name, p in build(table.network).named_parameters()}
    return [
        sum(n for name, n in sizes.items() if name.startswith(tuple(f"{m}." for m in modules)))
        for modules in table.layers
    ]


def _undrawn(tensor: Tensor, *_: object, **__: object) -> Tensor:
    return tensor


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _equal(papers: int, ours: int) -> str:
    return "yes" if papers == ours else "no"
