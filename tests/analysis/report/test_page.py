"""The page from made-up records: what it says first, what it holds, that nothing escapes it."""

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser

import numpy as np
import pytest

from analysis import results
from analysis.report.page import build
from analysis.report.sections import section
from tests.analysis.made_up import pruned_once

EVIL = '<script>alert("1")</script><img src=http://a.test/ onerror=alert(2)>&\'"'


def built(house) -> str:
    return build(results.read(house.suite))


def plain(text: str) -> str:
    """Returns the text without its links and with plain spaces."""
    return re.sub(r"</?a\b[^>]*>", "", text).replace("\u00a0", " ")


class Tags(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_verdicts_come_first(house):
    house.three_seeds()
    house.run("baseline", 0, 30.0, scale="short")
    house.run("dsd", 0, 30.0, 33.0, 29.0, scale="short")
    text = built(house)
    first = text[text.index("<main>") : text.index('<section id="paper"')]
    assert "<figure>" in first
    row = first[first.index("images-resnet18, scale full") :].partition("</tr>")[0]
    assert re.findall(r'data-of="([^"]+)"><span>(.*?)</span>', plain(row))[:4] == [
        ("DSD against", "the baseline"),
        ("verdict", "better"),
        ("gain (95 % interval)", "+2.50 points (+1.26 to +3.74)"),
        ("n", "3"),
    ]
    assert first.index("<table") < first.index("<figure>")
    assert "Here are our runs" not in first


def test_the_summary_says_when_nothing_was_run_under_the_papers_conditions(house):
    house.run("baseline", 0, 30.0, scale="short")
    assert "None of these runs was made under" in built(house)
    house.three_seeds()
    assert "None of these runs was made under" not in built(house)


def test_verdicts_come_first_where_the_claims_tasks_were_run(house):
    house.three_seeds(recipe="images-resnet20")
    assert "better than the matched fine-tuning" not in built(house)
    (folder := house.suite.root / "recipes" / "cifar10").mkdir()
    recipe = house.suite.recipes["images-resnet20"].read_text()
    (folder / "resnet20.yaml").write_text(recipe)
    house.three_seeds(recipe="cifar10-resnet20")
    text = built(house)
    first = text[text.index('id="verdict"') : text.index('id="paper"')]
    assert "better than the matched fine-tuning" in first
    assert "CIFAR-10, ResNet-20" in first
    assert "Losses of every arm" in first
    assert first.index('<table class="cards">') < first.index("<figure>")
    assert "what would change it" in first
    assert ">All figures of the verdicts<" in first


def test_runs_that_enter_no_verdict_say_so_and_leave_out_the_histograms(house):
    (folder := house.suite.root / "recipes" / "cifar10").mkdir()
    recipe = house.suite.recipes["images-resnet20"].read_text()
    (folder / "resnet20.yaml").write_text(recipe)
    for scale in ("short", "full"):
        house.run("dsd", 0, 30.0, stages=pruned_once(), recipe="cifar10-resnet20", scale=scale)
        text = built(house)
        assert text.count('class="histogram"') == 1, "of the runs in the verdicts, if there are any"
        assert ("enter no verdict" in text) == (scale == "full")


def test_only_what_holm_leaves_standing_is_coloured(house):
    (folder := house.suite.root / "recipes" / "cifar10").mkdir()
    text = house.suite.recipes["images-resnet20"].read_text()
    (folder / "resnet20.yaml").write_text(text)
    for seed, gain in enumerate((2.0, 2.001, 2.002)):
        house.run("baseline", seed, 30.0, recipe="cifar10-resnet20")
        house.run("dsd", seed, 30.0, 33.0, 30.0 - gain, recipe="cifar10-resnet20")
        house.run("finetune", seed, 30.0, 33.0, 27.0 + seed, recipe="cifar10-resnet20")
    rows = re.findall(r'<tr class="(\w+)">(.*?)</tr>', built(house), re.S)
    kinds = {("dense baseline" in plain(row)): kind for kind, row in rows}
    assert kinds == {True: "better", False: "open"}


def test_a_phone_gets_a_forest_plot_of_its_own(house):
    house.three_seeds()
    text = built(house)
    first = text[text.index('id="verdict"') : text.index('id="paper"')]
    narrow, wide = (float(width) for width in re.findall(r'max-width: (\d+)px" viewBox', first))
    assert narrow <= 360 - 32 < wide


def test_terms_link_to_a_glossary_of_what_the_page_mentions(house):
    house.three_seeds()
    text = built(house)
    links = set(re.findall(r'class="term" href="#([^"]+)"', text))
    terms = re.findall(r'<dt id="([^"]+)">', text)
    assert links <= set(terms)
    assert {"term-mask", "term-matched-fine-tuning", "term-interval", "term-seed"} <= links
    assert "term-core-hours" not in terms, "no costs here"
    assert terms == sorted(terms)


def test_text_from_records_is_escaped_everywhere(house):
    for arm, path in (("baseline", "dense"), ("dsd", "dense/sparse/redense")):
        texts = np.array([EVIL] * 3)
        spoken = {f"{path}/test/hypothesis": texts, f"{path}/test/reference": texts}
        house.run(
            arm,
            0,
            30.0,
            stages=pruned_once(EVIL) if arm == "dsd" else (),
            scale="short",
            title=EVIL,
            notes=[EVIL],
            examples=spoken,
            made={"date": EVIL, "device": EVIL, "command": EVIL, "revision": EVIL, "precision": ""},
        )
    text = built(house)
    assert EVIL not in text
    assert "<script>alert" not in text
    tags = Tags(text).found
    assert [tag for tag, _ in tags].count("script") == 2  # the layers' data, and the page's own
    assert not any(tag == "img" for tag, _ in tags)
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert text.count("&lt;script&gt;alert") > 5


def test_nothing_leads_outside(house):
    house.three_seeds()
    for tag, attributes in Tags(built(house)).found:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)


def test_the_policy_names_the_pages_own_script(house):
    house.three_seeds()
    text = built(house)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_the_same_records_give_the_same_page(house):
    house.three_seeds()
    assert built(house) == built(house)


def test_a_sweep_stands_with_the_runs_it_belongs_to(house):
    house.three_seeds()
    house.run("dsd", 0, 30.0, 33.0, 28.0, overrides=("phases.sparse.sparsity=0.5",))
    text = built(house)
    assert len(re.findall(r'<section id="images-resnet18', text)) == 1
    assert "against the sparsity of the mask" in text
    assert "changed: phases.sparse.sparsity=0.5" in text


def test_another_change_has_a_section_of_its_own(house):
    house.three_seeds()
    house.run("dsd", 0, 30.0, 33.0, 28.0, overrides=("phases.sparse.lr=0.02",))
    text = built(house)
    assert len(re.findall(r'<section id="images-resnet18', text)) == 2


def test_each_run_says_how_it_was_made(house):
    house.three_seeds()
    (group,) = results.read(house.suite).groups
    made = section(results.read(house.suite), group, [], "s").made
    assert [row[:2] for row in made.rows][:4] == [
        ("baseline", "0"),
        ("baseline", "1"),
        ("baseline", "2"),
        ("dsd", "0"),
    ]
    assert made.rows[0][-2:] == ("unknown", "images-resnet18.baseline.seed0.json")


@pytest.mark.parametrize("missing", ["dsd", "baseline", "finetune"])
def test_a_page_can_be_made_whatever_arm_is_missing(house, missing):
    for arm in {"dsd", "baseline", "finetune"} - {missing}:
        house.run(arm, 0, 30.0, stages=pruned_once() if arm == "dsd" else ())
    text = built(house)
    assert ('class="histogram"' in text) == (missing != "dsd")
