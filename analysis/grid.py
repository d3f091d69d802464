"""A table of words, for the terminal, Markdown and LaTeX, and how figures are written in it."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Grid:
    """A title, a header, rows, and what must be said beneath."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Returns the table in GitHub's Markdown, ending with a newline; an empty title is none."""
        lines = [f"**{_escaped(self.title)}**", ""] if self.title else []
        for row in (self.header, ("---",) * len(self.header), *self.rows):
            lines.append("| " + " | ".join(map(_escaped, row)) + " |")
        if self.notes:
            lines += ["", *(f"- {_escaped(note)}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """Returns the table as a float of its own, scaled down to the line where it is wider.

        It needs the packages booktabs and graphicx, and an engine that reads Unicode.
        """
        import pandas as pd  # it takes a second

        styler = pd.DataFrame(self.rows, columns=list(self.header)).style.hide(axis="index")
        styler = styler.format(_latex).format_index(_latex, axis="columns")
        notes = "".join(f"{_latex(note)}\\par\n" for note in self.notes)
        return (
            "\\begin{table}[htbp]\n\\centering\n"
            f"\\caption{{{_latex(self.title)}}}\n"
            "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
            f"{styler.to_latex(hrules=True).rstrip()}}}\n"
            f"\\par\\smallskip\\raggedright\\footnotesize\n{notes}\\end{{table}}\n"
        )

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
                cells = [f"{h} {c}" for h, c in zip(self.header[1:], rest, strict=True) if c != "-"]
                console.print(Text(f"{first}:", style="bold"), Text("; ".join(cells)))
        for note in self.notes:
            console.print(Text(f"  {note}"), style="dim")
        console.print()

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


def _latex(text: str) -> str:
    """Returns text with what LaTeX takes for commands written so that it prints them."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: f"\\{c}" for c in "&%$#_{}"} | {c: f"{{{c}}}" for c in "[*"}
    text = re.sub(r"(?<![\w.-])-(?=\d)", "\N{MINUS SIGN}", text)  # the minus of a number
    return re.sub("-(?=-)", "-{}", "".join(special.get(c, c) for c in text))  # or it is a dash
