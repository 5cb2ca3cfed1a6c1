"""The report of a search in a real browser: wide and narrow, light and dark, without a network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reports.experiment.test_browser import BROWSER, CONTRASTS, FLAGS, OVERFLOW, OVERLAPS
from tests.reports.search.folders import made

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to open the page in"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return made(tmp_path_factory.mktemp("searches"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert BROWSER is not None
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()


@pytest.mark.parametrize("name", ["whole", "rungs", "population", "interrupted"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
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
    page.eval_on_selector_all("details", "found => found.forEach(one => one.open = true)")
    assert page.evaluate(OVERFLOW) <= 0
    count, overlaps = page.evaluate(OVERLAPS)
    assert count > 20 and overlaps == []
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 20 and min(contrasts)[0] >= 4.5, min(contrasts)
    boxes = [svg.bounding_box() for svg in page.query_selector_all("figure svg")]
    assert boxes and all(box["width"] > 300 and box["height"] > 100 for box in boxes)
    context.close()
    assert len(requests) == 1 and requests[0].startswith("file://") and said == []
