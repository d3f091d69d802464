"""The pages of the documentation, and the commands that they show."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("**/*.md")),
    *(ROOT / name for name in ("examples/README.md", "benchmarks/README.md")),
]
FENCE = re.compile(r"^ *(```+|~~~+) *(\S*)")
SHELL = ("", "sh", "bash", "console")  # a block without a language holds commands alone
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the line of its first line, its lines."""

    page: str
    line: int
    language: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """A command line as a page shows it: `VARIABLE=value ... program word ...  # comment`."""

    page: str
    line: int
    text: str  # without its comment

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"

    @property
    def variables(self) -> dict[str, str]:
        """What is set before the program."""
        return dict(word.split("=", 1) for word in self._split[0])

    @property
    def words(self) -> list[str]:
        """The program and its words."""
        return self._split[1]

    @property
    def _split(self) -> tuple[list[str], list[str]]:
        words = [one for word in shlex.split(self.text) for one in _unbraced(word)]
        start = next((i for i, word in enumerate(words) if not re.match(r"[A-Z_0-9]+=", word)), 0)
        return words[:start], words[start:]


def blocks(page: Path) -> Iterator[Block]:
    """Yields a page's fenced blocks."""
    begun: tuple[str, str, int] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if begun is None and fence:
            begun, lines = (fence[1], fence[2], number + 1), []
        elif begun and line.strip() == begun[0]:
            yield Block(_name(page), begun[2], begun[1], tuple(lines))
            begun = None
        elif begun:
            lines.append(line)
    assert begun is None, f"{page}: a block does not end"


def commands(page: Path) -> list[Command]:
    """Returns the commands in a page's blocks; a line that ends in a backslash goes on."""
    found = []
    for block in blocks(page):
        if block.language not in SHELL:
            continue
        started, text = block.line, ""
        for number, line in enumerate(block.lines, block.line):
            started = started if text else number
            text += line.removesuffix("\\")
            if not line.endswith("\\"):
                plain = re.sub(r"(^|\s)#.*", "", text).strip()
                if plain:
                    found.append(Command(block.page, started, re.sub(r"\s+", " ", plain)))
                text = ""
    return found


def mentioned(page: Path) -> list[Command]:
    """Returns the commands in a page's prose: `dsd ...`, `make ...`, `python -m ...`."""
    text = page.read_text()
    for block in blocks(page):  # blanked, so that lines keep their numbers
        text = text.replace("\n".join(block.lines), "\n" * (len(block.lines) - 1), 1)
    found = []
    for span in INLINE.finditer(text):
        command = Command(
            _name(page), text.count("\n", 0, span.start()) + 1, re.sub(r"\s+", " ", span[1])
        )
        if re.match(r"([A-Z_0-9]+=\S* )*(dsd|make|torchrun|python -m|pip install) ", command.text):
            found.append(command)
    return found


def _unbraced(word: str) -> list[str]:
    """Returns what a shell makes of `a{b,c}d`."""
    braces = re.fullmatch(r"([^{]*)\{([^{}]*,[^{}]*)\}(.*)", word)
    return [braces[1] + one + braces[3] for one in braces[2].split(",")] if braces else [word]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))
