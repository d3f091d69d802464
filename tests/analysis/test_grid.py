"""Grids in LaTeX: every character escaped, the layout, and what LaTeX would stumble over."""

import io
import re
from string import printable

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis.grid import Grid


def body(*rows: tuple[str, ...], notes: tuple[str, ...] = ()) -> list[str]:
    """Returns the lines between \\midrule and \\bottomrule."""
    header = tuple("abcdefgh"[: len(rows[0])])
    lines = Grid("t", header, [*rows], notes).latex().splitlines()
    return lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]


def escaped(text: str) -> str:
    (line,) = body((text,))
    return line.removesuffix(r" \\")


def test_the_whole_table():
    rows = [("baseline", "8.26 (n 1)", "-", "mask"), ("dsd", "7.89 ± 0.03†", "-0.37", "not run")]
    header = ("", "error (%)", "our dsd's gain over baseline", "a")
    assert Grid("A & B", header, rows, ("a note", "50 % more")).latex() == (
        "\\begin{table}[htbp]\n"
        "\\centering\n"
        "\\caption{A \\& B}\n"
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        "\\begin{tabular}{llll}\n"
        "\\toprule\n"
        " & error (\\%) & our dsd's gain over baseline & a \\\\\n"
        "\\midrule\n"
        "baseline & 8.26 (n 1) & - & mask \\\\\n"
        "dsd & 7.89 ± 0.03† & \N{MINUS SIGN}0.37 & not run \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}}\n"
        "\\par\\smallskip\\raggedright\\footnotesize\n"
        "a note\\par\n"
        "50 \\% more\\par\n"
        "\\end{table}\n"
    )


def test_characters_that_mean_something():
    assert escaped("& % $ # _ { }") == r"\& \% \$ \# \_ \{ \}"
    assert escaped("~ ^ \\") == r"\textasciitilde{} \textasciicircum{} \textbackslash{}"
    assert escaped("< > | ± † ü") == "< > | ± † ü"
    assert escaped("--arm a---b") == "-{}-arm a-{}-{}-b"


def test_a_bracket_or_star_after_a_row_is_no_option_of_it():
    assert body(("[x]", "*y"), ("*z", "[w]")) == [r"{[}x] & {*}y \\", r"{*}z & {[}w] \\"]


def test_only_the_minus_of_a_number_becomes_one():
    assert escaped("-0.5 (-2.0 %) - 2026-11-25 1e-5 re-2 a-b -") == (
        "\N{MINUS SIGN}0.5 (\N{MINUS SIGN}2.0 \\%) - 2026-11-25 1e-5 re-2 a-b -"
    )


@given(st.text(printable.replace("\n", "").replace("\r", "").replace("\x0b", "").replace("\f", "")))
def test_what_was_escaped_can_be_read_back(text):
    named = {
        r"\textasciitilde{}": "~",
        r"\textasciicircum{}": "^",
        r"\textbackslash{}": "\\",
        r"\textless{}": "<",
        r"\textgreater{}": ">",
        r"\textbar{}": "|",
        "\N{MINUS SIGN}": "-",
        "-{}": "-",
        **{f"{{{c}}}": c for c in "[*"},
        **{f"\\{c}": c for c in "&%$#_{}"},
    }
    pattern = "|".join(map(re.escape, named))
    assert re.sub(pattern, lambda found: named[found[0]], escaped(text)) == text
    # Nothing is left that LaTeX would take for a command, a comment, a column or mathematics.
    assert not re.search(r"[&%$#_{}~^\\]|--", re.sub(pattern, "", escaped(text)))


def test_a_narrow_terminal_gets_running_text_and_loses_nothing():
    grid = Grid("t", ("a", "b"), [("one", "elephantine"), ("two", "-")])
    for width, table in ((40, True), (12, False)):
        console = Console(width=width, record=True, file=io.StringIO())
        grid.show(console)
        text = console.export_text()
        assert ("┏" in text) == table
        assert "elephantine" in text
