"""Matplotlib's pictures inside the page: their text takes the page's colours, light or dark."""

import re
from html import escape

from markupsafe import Markup
from matplotlib.figure import Figure

from analysis.figures.plots import GREY
from analysis.figures.plots import svg as drawn

SOFT = "var(--soft)"  # of style.css
THEMED = {
    "#000000": "currentColor",
    "#ffffff": "var(--paper)",
    "#cccccc": "var(--line)",
    "#999999": SOFT,
    GREY.lower(): SOFT,
}


def svg(figure: Figure, prefix: str, label: str) -> Markup:
    """Returns a figure as an <svg> element of the page.

    `prefix`: sets its ids apart from those of the page's other pictures. `label`: what a screen
    reader says of it.
    """
    text = drawn(figure).decode()
    text = text[text.index("<svg") :].rstrip()
    text = re.sub(r"<(metadata|style).*?</\1>", "", text, flags=re.S)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    text = re.sub("|".join(THEMED), lambda found: THEMED[found[0]], text)
    text = re.sub(r"(?<=\d\.\d\d)\d+", "", text)  # a hundredth of a point cannot be seen
    text = re.sub(r" font-family: [^;\"]*;?| transform=\"rotate\(-0 [^\"]*\"", "", text)
    size = re.search(r'viewBox="0 0 ([\d.]+)', text)
    width = round(float(size[1]) * 4 / 3) if size else 0  # points to pixels
    described = f'<svg role="img" aria-label="{escape(label)}" style="max-width: {width}px" '
    text = re.sub(r"<svg (?:.*?)(?=viewBox)", described, text, count=1, flags=re.S)
    return Markup(text.replace("xlink:href", "href"))  # matplotlib has escaped what it says
