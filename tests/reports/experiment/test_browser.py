"""The report in a real browser: wide and narrow, light and dark, by keyboard, without a network."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reports.experiment.folders import add_optional, make_experiment, make_factors
from tests.reports.experiment.test_page import PARTS
from trimtab.reports.experiment import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
]  # fmt: skip
LONG = "Does a guard with a name of many_words_joined_without_any_space_at_all_so_that_it_cannot_be_broken help at all?"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to open the page in"),
    pytest.mark.timeout(300),
]

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

OVERLAPS = """() => {
  // Texts, and the figures as wholes; what a scroll box hides does not count, and a box's content is cut to the box.
  const parts = [...document.querySelectorAll('h1, h2, main p, nav li, dt, dd, th, td, caption, summary, figcaption, figure svg, pre, footer p')];
  const boxes = [];
  for (const part of parts) {
    if (!part.checkVisibility()) continue;
    let {left, right, top, bottom} = part.getBoundingClientRect();
    const frame = part.closest('.box');
    if (frame) {
      const edge = frame.getBoundingClientRect();
      [left, right] = [Math.max(left, edge.left), Math.min(right, edge.right)];
    }
    if (right - left > 1 && bottom - top > 1) boxes.push({part, left, right, top, bottom});
  }
  const found = [];
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const a = boxes[i], b = boxes[j];
    if (a.part.contains(b.part) || b.part.contains(a.part)) continue;
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 1) found.push(`${a.part.tagName} '${a.part.textContent.slice(0, 30)}' and ${b.part.tagName} '${b.part.textContent.slice(0, 30)}'`);
  }
  return [boxes.length, found];
}"""

CONTRASTS = """() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = part => {
    for (let at = part; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    throw new Error('the page has no background');
  };
  const found = [];
  for (const part of document.querySelectorAll('body *:not(svg *)')) {
    const own = part.tagName === 'svg' || [...part.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !part.checkVisibility()) continue;
    const [a, b] = [light(numbers(getComputedStyle(part).color)), light(behind(part))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), part.tagName + ' ' + part.className + ' ' + part.textContent.slice(0, 30)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("browser")
    full = make_experiment(out / "full", question=LONG)
    add_optional(full)
    result = {
        "full": full,
        "factors": make_factors(out / "factors"),
        "half": make_experiment(out / "half", status="interrupted"),
    }
    for folder in result.values():
        write_report(folder)
    return result


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert BROWSER is not None
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    """Opens a page; at the test's end nothing but the file was requests for and nothing was complained of."""
    pages, requests, said = [], [], []

    def show(folder: Path, width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        pages.append(context)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((folder / "report.html").as_uri())
        return page

    yield show
    for context in pages:
        context.close()
    assert len(requests) == len(pages) and all(
        url.startswith("file://") and url.endswith("/report.html") for url in requests
    )
    assert said == []


@pytest.mark.parametrize("name", ["full", "factors", "half"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_can_be_read(
    opened: Any, folders: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    page = opened(folders[name], width, scheme)
    assert [section.get_attribute("id") for section in page.query_selector_all("main section")] == PARTS
    page.eval_on_selector_all("details", "found => found.forEach(one => one.open = true)")
    assert page.evaluate(OVERFLOW) <= 0
    count, overlaps = page.evaluate(OVERLAPS)
    assert count > 60 and overlaps == []
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 60 and min(contrasts)[0] >= 4.5, min(contrasts)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    for box in (svg.bounding_box() for svg in page.query_selector_all("figure svg")):
        assert box["width"] > 300 and box["height"] > 150  # an empty or squeezed panel
    if os.environ.get("TRIMTAB_SCREENSHOTS"):
        page.screenshot(path=Path(os.environ["TRIMTAB_SCREENSHOTS"]) / f"{name}-{width}-{scheme}.png", full_page=True)


def test_the_checks_fail_on_a_broken_page(opened: Any, folders: dict[str, Path]) -> None:
    page = opened(folders["full"], 390)
    page.add_style_tag(content="h2 { margin-bottom: -4rem; } p { color: #aaa !important; } dl { min-width: 60rem; }")
    assert page.evaluate(OVERFLOW) > 0
    assert page.evaluate(OVERLAPS)[1]
    assert min(page.evaluate(CONTRASTS))[0] < 3


def test_the_tab_key_reaches_the_skip_link_first_and_then_every_section(opened: Any, folders: dict[str, Path]) -> None:
    page = opened(folders["full"])
    focused = "document.activeElement.getAttribute('href')"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    reached = []
    for _ in range(1 + len(PARTS)):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
        assert page.evaluate(outline) == "solid"
        assert (
            page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        )  # the skip link has come into view
    assert reached == ["#content", *(f"#{part}" for part in PARTS)]
    page.keyboard.press("Enter")
    page.wait_for_function("Math.abs(document.getElementById('origin').getBoundingClientRect().top) < innerHeight")
    assert page.url.endswith("#origin")


def test_the_printed_page_keeps_folded_tables_and_drops_the_navigation(opened: Any, folders: dict[str, Path]) -> None:
    page = opened(folders["full"])
    page.emulate_media(media="print")
    assert not page.is_visible("nav")
    assert page.is_visible("#verdict .badge")
    assert len(page.pdf(format="A4")) > 20_000
