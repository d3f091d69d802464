"""Pictures inside the page: ids of their own, the page's colours, nothing to fetch."""

import re

from matplotlib.figure import Figure

from analysis.report.inline import svg


def drawn(prefix: str, label: str = "a label") -> str:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2], [3, 4], color="#555555", label="<b>&")
    axes.plot([1, 2], [4, 3], color="#0072B2")
    axes.legend()
    return svg(figure, prefix, label)


def test_ids_are_the_pictures_own_and_links_lead_to_them():
    one, other = drawn("one"), drawn("other")
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, other)]
    assert not ids[0] & ids[1]
    used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', one)
    assert used
    assert {first or second for first, second in used} <= ids[0]


def test_greys_follow_the_page_and_colours_stay():
    text = drawn("one")
    assert "#555555" not in text
    assert "var(--soft)" in text
    assert "#0072b2" in text
    assert "#ffffff" not in text


def test_it_is_named_and_whole_in_itself():
    text = drawn("one", 'said "so" & <so>')
    assert text.startswith('<svg role="img" aria-label="said &quot;so&quot; &amp; &lt;so&gt;"')
    assert text.endswith("</svg>")
    assert "&lt;b&gt;&amp;" in text
    assert not re.findall(r'(?:href|src)="(?!#)', text)
    assert drawn("one") == drawn("one")


def test_a_style_that_repeats_is_written_once_under_a_name_of_the_pictures_own():
    one, other = drawn("one"), drawn("other")
    names = set(re.findall(r'class="([^"]+)"', one))
    rules = re.findall(r"\.([\w-]+)\{([^}]+)\}", one)
    assert names == {name for name, _ in rules}
    assert not names & set(re.findall(r'class="([^"]+)"', other))
    assert len({style for _, style in rules}) == len(rules) > 2
    assert one.count("style=") == 1, "the picture's width"


def test_numbers_in_words_stay_and_those_of_paths_are_tenths():
    figure = Figure()
    figure.subplots().plot([0.12345, 0.2], [1, 2], label="0.12345 Mz")
    figure.suptitle("0.12345 M z")
    text = svg(figure, "one", "a label")
    assert ">0.12345 M z<" in text
    assert re.findall(r' d="(M[^"]+)"', text)
    assert not re.findall(r' (?:d|x|y)="[^"]*\.\d\d', text)
    assert text.count("<g") == text.count("</g>")
