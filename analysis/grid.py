"""A table of words, for the terminal, Markdown and LaTeX, and how figures are written in it."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

MINUS = "\N{MINUS SIGN}"
LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{character: f"{{{character}}}" for character in "[*"},  # each has a meaning after \\
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "†": r"$\dagger$",
        "±": r"$\pm$",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
        MINUS: "$-$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "→": r"$\rightarrow$",
        "\n": " ",
    }
)
# Scales a table down to the line where it is wider, never up.
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
_NUMBER = re.compile(r"[+-]?\d|-$|not run$|$")


@dataclass(frozen=True)
class Grid:
    """A title, a header, rows, and what must be said beneath."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Returns the table in GitHub's Markdown, ending with a newline."""
        lines = [f"**{_escaped(self.title)}**", ""]
        for row in (self.header, ("---",) * len(self.header), *self.rows):
            lines.append("| " + " | ".join(map(_escaped, row)) + " |")
        if self.notes:
            lines += ["", *(f"- {_escaped(note)}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """Returns the table as a float of its own, ending with a newline.

        It needs the packages booktabs and graphicx. Letters beyond ASCII are left to LaTeX's utf8.
        """
        header = map(_stacked, self.header, self._alignment())
        rows = (map(_latex, row) for row in self.rows)
        top, *body = (" & ".join(row) + r" \\" for row in (header, *rows))
        notes = [f"{_latex(note)}\\par" for note in self.notes]
        lines = [
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{_latex(self.title)}}}",
            FIT,
            rf"\begin{{tabular}}{{{self._alignment()}}}",
            *(r"\toprule", top, r"\midrule", *body, r"\bottomrule"),
            r"\end{tabular}}",
            *([r"\par\smallskip\raggedright\footnotesize", *notes] if notes else []),
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def show(self, console: Console) -> None:
        """Prints the table and its notes; in running text where the console is too narrow."""
        console.print(Text(self.title, style="bold"))
        if self._least_width() <= console.width:
            table = Table(*map(escape, self.header))
            for row in self.rows:
                table.add_row(*map(Text, row))
            console.print(table)
        else:
            for first, *rest in self.rows:
                told = [f"{h} {c}" for h, c in zip(self.header[1:], rest, strict=True) if c != "-"]
                console.print(Text(f"{first}:", style="bold"), Text("; ".join(told)))
        for note in self.notes:
            console.print(Text(f"  {note}"), style="dim")
        console.print()

    def _alignment(self) -> str:
        """Returns a letter a column: l for the first and for words, r for numbers."""
        columns = [*zip(*self.rows, strict=True)] or [()] * len(self.header)
        numbers = [all(map(_NUMBER.match, column)) for column in columns[1:]]
        return "l" + "".join("r" if all_numbers else "l" for all_numbers in numbers)

    def _least_width(self) -> int:
        """Returns the characters a line needs when cells break between words only."""
        columns = zip(self.header, *self.rows, strict=True)
        longest = [max(map(len, " ".join(cells).split()), default=0) for cells in columns]
        return sum(longest) + 3 * len(longest) + 1


def csv_text(rows: Iterable[dict[str, Any]]) -> str:
    """Returns rows, which all have the same keys, as CSV; "" for none."""
    rows = list(rows)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows(rows[:1])  # iterating over a row gives its keys
    for row in rows:
        writer.writerow(f"{v:.6g}" if isinstance(v, float) else v for v in row.values())
    return file.getvalue()


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;").replace("\n", " ")


def _stacked(name: str, side: str) -> str:
    """Returns a column's name on several short lines, or the table would be as wide as they are."""
    lines = wrap(name, 14, break_long_words=False, break_on_hyphens=False)
    stack = r"\\".join(map(_latex, lines))
    return rf"\shortstack[{side}]{{{stack}}}" if len(lines) > 1 else stack


def _latex(text: str) -> str:
    text = re.sub(r"(?<![\w.-])-(?=\d)", MINUS, text)  # the minus of a number
    return re.sub("-(?=-)", "-{}", text.translate(LATEX))  # or two hyphens would be a dash
