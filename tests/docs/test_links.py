"""Each relative link of README and docs leads to a file, and each anchor to a heading of it."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks

LINK = re.compile(
    r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)|href=\"([^\"]+)\"", re.M
)
NAMED = re.compile(  # a file or folder of the repository, in backticks
    r"`((?:dsd|models|data|recipes|analysis|benchmarks|examples|tests|docs|legacy)/[\w./-]+)`"
)


def prose(page: Path) -> str:
    """A page without its blocks."""
    text = page.read_text()
    for block in blocks(page):
        text = text.replace("\n".join(block.lines), "\n" * (len(block.lines) - 1), 1)
    return text


def links(page: Path) -> list[tuple[int, str]]:
    """Returns (line, target) of the links that stay in the repository."""
    text = re.sub(r"`[^`\n]*`", lambda code: "x" * len(code[0]), prose(page))
    found = []
    for match in LINK.finditer(text):
        target = next(filter(None, match.groups()))
        if not re.match(r"[a-z]+:", target):
            found.append((text.count("\n", 0, match.start()) + 1, target))
    return found


def anchors(page: Path) -> set[str]:
    """Returns the anchors that GitHub gives a page's headings, and those written into it."""
    found: dict[str, int] = {}
    names = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", page.read_text()))
    for title in re.findall(r"^#+ +(.+?) *#*$", prose(page), re.M):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        times = found[slug] = found.get(slug, -1) + 1
        names.add(f"{slug}-{times}" if times else slug)
    return names


def broken(page: Path, target: str) -> str | None:
    """Returns what is wrong with a link."""
    path, _, anchor = target.partition("#")
    to = (page.parent / path).resolve() if path else page
    if not to.exists():
        return f"{path} is not there"
    if not to.is_relative_to(ROOT):
        return f"{path} is outside the repository"
    if anchor and to.suffix == ".md" and anchor not in anchors(to):
        return f"{to.name} has no heading #{anchor}"
    return None


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    found = [(line, broken(page, target)) for line, target in links(page)]
    text = prose(page)
    for named in NAMED.finditer(text):
        if not (ROOT / named[1]).exists():
            found.append((text.count("\n", 0, named.start()) + 1, f"{named[1]} is not there"))
    name = page.relative_to(ROOT)
    faults = [f"{name}:{line}: {fault}" for line, fault in found if fault]
    assert not faults, "\n".join(faults)


def test_links_are_found():
    assert sum(len(links(page)) for page in PAGES) > 50
    assert (ROOT / "docs" / "evidence.md") in PAGES


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("nowhere.md", "nowhere.md is not there"),
        ("evidence.md#nowhere", "no heading #nowhere"),
        ("../../..", "outside"),
        ("evidence.md", None),
        ("recipes.md#imagenet-resnet18", None),
        ("analysis.md#results-in-python", None),
    ],
)
def test_a_broken_link_is_seen(target, fault):
    found = broken(ROOT / "docs" / "trust.md", target)
    assert fault in found if fault else found is None
