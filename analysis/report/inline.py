"""Matplotlib's pictures inside the page: small, and in the page's colours, light or dark."""

import re
from html import escape

from markupsafe import Markup
from matplotlib.figure import Figure

from analysis.arms import GREY
from analysis.figures import plots

SOFT = "var(--soft)"  # of style.css
THEMED = {
    "#000000": "currentColor",
    "#ffffff": "var(--paper)",
    plots.PALE: "var(--line)",
    plots.FAINT: SOFT,
    GREY.lower(): SOFT,
}


def svg(figure: Figure, prefix: str, label: str) -> Markup:
    """Returns a figure as an <svg> element of the page.

    `prefix`: sets its ids apart from those of the page's other pictures. `label`: what a screen
    reader says of it.
    """
    text = plots.svg(figure).decode().replace("xlink:href", "href")
    text = text[text.index("<svg") :].rstrip()
    text = re.sub(r"<(metadata|style).*?</\1>", "", text, flags=re.S)
    used = dict.fromkeys(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    ids = {name: f"{prefix}-{i}" for i, name in enumerate(used)}
    text = re.sub(r"<[^>]+>", lambda tag: _small(tag[0], ids), text)
    ends: list[str] = []  # of the groups that are open
    text = re.sub(r"</?g\b[^>]*>", lambda tag: _group(tag[0], ends), text)
    text = re.sub(r">\s+<", "><", text).replace("<defs></defs>", "")
    looks: dict[str, str] = {}  # style -> the class that stands for it: a tick each repeats its own
    text = re.sub(r' style="([^"]*)"', lambda found: _look(found[1], looks, prefix), text)
    rules = "".join(f".{name}{{{style}}}" for style, name in looks.items())
    size = re.search(r'viewBox="0 0 ([\d.]+)', text)
    width = round(float(size[1]) * 4 / 3) if size else 0  # points to pixels
    described = f'<svg role="img" aria-label="{escape(label)}" style="max-width: {width}px" '
    text = re.sub(r"<svg (?:.*?)(?=viewBox)", described, text, count=1, flags=re.S)
    text = text.replace(">", f"><style>{rules}</style>", 1)
    return Markup(text)  # matplotlib has escaped what it says


def _small(tag: str, ids: dict[str, str]) -> str:
    """Returns a tag without what cannot be seen: unused ids, spaces, hundredths of a point."""
    tag = re.sub(r' id="([^"]+)"', lambda id: f' id="{ids[id[1]]}"' if id[1] in ids else "", tag)
    tag = re.sub(r'(url\(#|href="#)([^)"]+)', lambda link: link[1] + ids[link[2]], tag)
    tag = re.sub("|".join(THEMED), lambda colour: THEMED[colour[0]], tag)
    tag = re.sub(r" font-family: [^;\"]*;?| transform=\"rotate\(-0 [^\"]*\"", "", tag)
    tag = re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda found: _rounded(found[0]), tag)
    return re.sub(r"(?<=[;:]) ", "", tag)


def _group(tag: str, ends: list[str]) -> str:
    """Returns a tag that begins or ends a group, "" for a group that says nothing."""
    if tag == "</g>":
        return ends.pop()
    ends.append("" if tag == "<g>" else "</g>")
    return "" if tag == "<g>" else tag


def _look(style: str, looks: dict[str, str], prefix: str) -> str:
    """Returns the attribute that gives an element its style by a class of the picture's own."""
    return f' class="{looks.setdefault(style, f"{prefix}-c{len(looks)}")}"'


def _rounded(attribute: str) -> str:
    """Returns a path or a place in tenths of a point."""
    text = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", attribute)
    text = text.replace("-0.0", "0").replace(".0 ", " ").replace('.0"', '"')
    return re.sub(r"\s*([MLQCz]|\"$)\s*", r"\1", text)  # the letters of paths; there are no others
