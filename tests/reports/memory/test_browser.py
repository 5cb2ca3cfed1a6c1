"""The report of a memory run in a real browser: wide and narrow, light and dark, without a network."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reports.experiment.test_browser import BROWSER, CONTRASTS, FLAGS, OVERFLOW, OVERLAPS
from tests.reports.memory.folders import generation, make_begun, make_memory, make_stopped, write_rows
from tests.reports.memory.test_page import PARTS
from trimtab.reports.memory import write_report

LONG = "Does_one_set_of_many_vectors_with_a_name_that_cannot_be_broken_at_all make a frozen model say a pair?"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to open the page in"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("browser")
    full = make_memory(out / "full", question=LONG)
    wordy = [row | {"decoded": "x" * 500 if row["verdict"] == "fail" else row["decoded"]} for row in generation()]
    write_rows(full / "generation.jsonl", wordy)
    result = {"full": full, "stopped": make_stopped(out / "stopped"), "begun": make_begun(out / "begun")}
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


@pytest.mark.parametrize("name", ["full", "stopped", "begun"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_can_be_read(
    browser: Any, folders: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    requests: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto((folders[name] / "report.html").as_uri())
    assert [section.get_attribute("id") for section in page.query_selector_all("main section")] == PARTS
    page.eval_on_selector_all("details", "found => found.forEach(one => one.open = true)")
    assert page.evaluate(OVERFLOW) <= 0
    count, overlaps = page.evaluate(OVERLAPS)
    assert count > 60 and overlaps == []
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 60 and min(contrasts)[0] >= 4.5, min(contrasts)
    boxes = [svg.bounding_box() for svg in page.query_selector_all("figure svg")]
    assert len(boxes) == {"full": 19, "stopped": 1, "begun": 0}[name]
    assert all(box["width"] > 300 and box["height"] > 150 for box in boxes)
    if os.environ.get("TRIMTAB_SCREENSHOTS"):
        page.screenshot(
            path=Path(os.environ["TRIMTAB_SCREENSHOTS"]) / f"memory-{name}-{width}-{scheme}.png", full_page=True
        )
    context.close()
    assert len(requests) == 1 and requests[0].startswith("file://") and said == []


def test_the_printed_page_keeps_the_gates_and_the_folded_tables(browser: Any, folders: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto((folders["full"] / "report.html").as_uri())
    page.emulate_media(media="print")
    assert not page.is_visible("nav") and page.is_visible("#gates .badge")
    assert len(page.pdf(format="A4")) > 20_000
