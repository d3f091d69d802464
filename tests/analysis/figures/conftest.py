"""What the figures' tests share."""

from collections.abc import Callable

import pytest
import typer
from click.testing import Result
from matplotlib.axes import Axes
from typer.testing import CliRunner

from analysis.commands import add_commands

Drawn = dict[str, list[list[float]]]


@pytest.fixture
def analysis() -> typer.Typer:
    """The analysis' part of the `dsd` command."""
    app = typer.Typer()
    add_commands(app)
    return app


@pytest.fixture
def command(house, analysis, monkeypatch) -> Callable[..., Result]:
    """Gives one of its commands in the house's folder."""
    monkeypatch.chdir(house.suite.root)
    return lambda *words: CliRunner().invoke(analysis, [str(word) for word in words])


@pytest.fixture
def lines() -> Callable[[Axes], Drawn]:
    """Returns {colour: points} of the lines that join markers."""

    def found(axes: Axes) -> Drawn:
        return {
            line.get_color(): line.get_xydata().tolist()
            for line in axes.lines
            if line.get_linestyle() == "-" and line.get_marker() not in ("None", "_")
        }

    return found
