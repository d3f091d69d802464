"""The committed report in a real browser: Debian's chromium, headless, offline.

CHROMIUM names the browser; without it and without one on the PATH these tests are skipped.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

REPORT = Path(__file__).parents[3] / "results" / "report.html"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PHONE = {"width": 360, "height": 740}

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium; Debian: apt install chromium, or set CHROMIUM="
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Visit:
    """An open report and all that it asked for or complained about."""

    def __init__(self, browser: Browser, **context) -> None:
        self.context = browser.new_context(offline=True, **context)
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on(
            "console",
            lambda said: self.complaints.append(f"{said.type}: {said.text}"),
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(REPORT.as_uri())


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    found = Visit(browser)
    yield found
    found.context.close()


def test_the_page_asks_for_nothing_and_complains_of_nothing(visit):
    visit.page.mouse.wheel(0, 100_000)
    visit.page.wait_for_timeout(300)
    outside = [url for url in visit.requests if not url.startswith("data:")]
    assert outside == [REPORT.as_uri()]
    assert visit.complaints == []


def test_the_policy_refuses_whatever_else_a_text_might_bring_in(visit):
    blocked = visit.page.evaluate(
        """() => new Promise((resolve) => {
          document.addEventListener("securitypolicyviolation", (one) => resolve(one.blockedURI));
          document.body.append(Object.assign(new Image(), {src: "http://a.test/"}));
        })"""
    )
    assert blocked == "http://a.test/"


def first_table(page: Page, title: str) -> Locator:
    return page.locator("table", has=page.locator("caption", has_text=title)).first


def column(table: Locator, number: int) -> list[str]:
    return [
        text.strip() for text in table.locator(f"tbody tr > :nth-child({number})").all_inner_texts()
    ]


def test_a_table_sorts_by_number_up_and_down_with_what_was_not_run_last(visit):
    table = first_table(visit.page, "(an4-deepspeech, scale width256)")
    before = column(table, 2)
    table.locator("thead button").nth(1).click()
    up = column(table, 2)
    numbers = [float(text.split()[0]) for text in up]
    assert numbers == sorted(numbers)
    assert sorted(up) == sorted(before)
    assert up != before
    header = table.locator("thead th").nth(1)
    assert header.get_attribute("aria-sort") == "ascending"
    table.locator("thead button").nth(1).press("Enter")
    assert column(table, 2) == up[::-1]
    assert header.get_attribute("aria-sort") == "descending"
    table.locator("thead button").nth(2).click()
    gains = column(table, 3)
    assert gains[-1] == "-"
    assert header.get_attribute("aria-sort") is None
    numbers = [float(text.split()[0]) for text in gains[:-1]]
    assert numbers == sorted(numbers)
    table.locator("thead button").nth(0).click()
    names = column(table, 1)
    assert names == sorted(names)


def test_rows_stay_whole_when_a_table_is_sorted(visit):
    table = first_table(visit.page, "(an4-deepspeech, scale width256)")
    rows = sorted(table.locator("tbody tr").all_inner_texts())
    table.locator("thead button").nth(1).click()
    assert sorted(table.locator("tbody tr").all_inner_texts()) == rows


def test_another_layer_changes_the_five_panels(visit):
    box = visit.page.locator(".histogram").first
    panels, choice = box.locator(".panels svg"), box.get_by_label("Layer")
    assert panels.count() == 5
    titles = box.locator("h4").all_inner_texts()
    assert titles == ["dense", "pruned", "sparse-trained", "zeros restored", "re-dense"]
    before = box.locator(".panels").inner_html()
    layers = choice.locator("option").all_inner_texts()
    other = next(name for name in layers if name != choice.input_value())
    choice.select_option(other)
    assert box.locator(".panels").inner_html() != before
    assert box.locator(".readout").inner_text().startswith(f"{other}: ")
    assert panels.count() == 5
    assert box.locator(".panels .zeros").count() > 0


def test_the_second_round_differs_from_the_first(visit):
    box = visit.page.locator(".histogram", has=visit.page.locator(".round")).first
    before = box.locator(".panels").inner_html()
    box.get_by_label("Round").select_option("2")
    assert box.locator(".panels").inner_html() != before


def test_every_histogram_draws_bars(visit):
    for box in visit.page.locator(".histogram").all():
        heights = box.locator(".panels .bars").evaluate_all(
            "bars => bars.map(bar => Number(bar.getAttribute('height')))"
        )
        assert len(heights) > 5 * 10
        assert all(0 < height <= 144.001 for height in heights)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser, scheme):
    found = Visit(browser, color_scheme=scheme)
    colours = found.page.evaluate(
        """() => {
          const style = (one, name) => getComputedStyle(document.querySelector(one))[name];
          return [style("body", "backgroundColor"), ...["body", "a", ".apart",
            "figcaption", "summary", ".wrong", "figure svg text", ".panels p"].map(
              (one) => one.includes("svg") ? style(one, "fill") : style(one, "color"))];
        }"""
    )
    found.context.close()
    paper, *inks = [[int(part) for part in colour[4:-1].split(",")] for colour in colours]
    assert (sum(paper) > 600) == (scheme == "light")
    assert all(contrast(paper, ink) >= 4.5 for ink in inks), colours


def contrast(one: list[int], other: list[int]) -> float:
    """Returns WCAG 2's contrast ratio of two colours."""

    def luminance(colour: list[int]) -> float:
        parts = [part / 255 for part in colour]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_phone_needs_no_sideways_scrolling(browser):
    found = Visit(browser, viewport=PHONE)
    for details in found.page.locator("details").all():
        details.evaluate("one => { one.open = true }")
    width = found.page.evaluate("document.documentElement.scrollWidth")
    found.context.close()
    assert width <= PHONE["width"]


def test_on_a_phone_verdicts_are_cards_and_the_forest_plot_fits(browser):
    found = Visit(browser, viewport=PHONE)
    first = found.page.locator("#verdict")
    card = first.locator("table.cards tbody tr").first
    cells = card.locator("td").all()
    tops = [cell.bounding_box()["y"] for cell in cells]
    assert tops == sorted(set(tops)), "one beneath the other"
    assert all(cell.bounding_box()["width"] < PHONE["width"] for cell in cells)
    labels = card.locator("td").evaluate_all(
        "all => all.map(one => getComputedStyle(one, '::before').content)"
    )
    assert labels[0] == '"claim"'
    assert labels[-1] == '"what would change it"'
    assert not first.locator(".beyond-a-phone").is_visible()
    plot = first.locator(".on-a-phone svg")
    assert plot.bounding_box()["width"] <= PHONE["width"]
    heights = plot.locator("text").evaluate_all("all => all.map(one => one.getBBox().height)")
    shown = plot.evaluate("one => one.getBoundingClientRect().width / one.viewBox.baseVal.width")
    assert min(heights) * shown >= 10  # pixels, with the line's leading
    found.context.close()


def test_on_a_screen_the_wide_forest_plot_is_shown(visit):
    first = visit.page.locator("#verdict")
    assert first.locator(".beyond-a-phone svg").is_visible()
    assert not first.locator(".on-a-phone").is_visible()


def test_a_term_leads_to_its_meaning(visit):
    link = visit.page.locator("#verdict a.term").first
    link.click()
    term = visit.page.locator(":target")
    assert term.inner_text().lower() in link.inner_text().lower()
    assert term.is_visible()


def test_print_has_the_whole_tables_on_white(browser):
    found = Visit(browser, color_scheme="dark", viewport={"width": 690, "height": 900})
    found.page.emulate_media(media="print")
    paper = found.page.evaluate("getComputedStyle(document.body).backgroundColor")
    wide = found.page.evaluate(
        """[...document.querySelectorAll("table")].filter((one) => one.checkVisibility())
          .map((one) => one.getBoundingClientRect().right).filter((right) => right > innerWidth)"""
    )
    found.context.close()
    assert paper == "rgb(255, 255, 255)"
    assert wide == []


def test_what_can_be_seen_can_be_named_and_reached_by_keyboard(visit):
    page = visit.page
    nameless = page.evaluate(
        """() => {
          const named = (one) => one.getAttribute("aria-label") || one.labels?.length
            || one.textContent.trim() || one.getAttribute("alt");
          const seen = "button, select, svg, img, a, summary, [role=region]";
          return [...document.querySelectorAll(seen)]
            .filter((one) => !named(one)).map((one) => one.outerHTML.slice(0, 200));
        }"""
    )
    assert nameless == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the verdict"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#verdict"
    targets = page.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))"
    )
    assert set(targets) <= set(ids)


def test_without_scripts_the_tables_are_still_there(browser):
    found = Visit(browser, java_script_enabled=False)
    assert first_table(found.page, "DeepSpeech on AN4").is_visible()
    assert "need JavaScript" in found.page.locator("noscript").first.inner_text()
    found.context.close()
