"""The demo's report in a real browser: complete, legible, and sufficient to itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from examples.demo.report import write_report
from tests.unit.examples.synthetic_run import synthetic_run

pytestmark = pytest.mark.browser

PHONE, DESKTOP = 390, 1200
PLOTS = 6


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(synthetic_run(), path)
    return path


class Visit:
    """The report opened in a browser window, and everything it said or asked for."""

    def __init__(self, browser: Browser, report: Path, width: int, scheme: "Scheme") -> None:
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 800}, color_scheme=scheme
        )
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(report.as_uri())


Scheme = Literal["light", "dark"]


@pytest.fixture(params=[(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")], ids=str)
def visit(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    width, scheme = request.param
    opened = Visit(browser, report, width, scheme)
    yield opened
    opened.page.close()


def test_the_page_loads_quietly_and_asks_nobody_for_anything(visit: Visit, report: Path) -> None:
    assert visit.complaints == []
    assert [url for url in visit.requests if not url.startswith("data:")] == [report.as_uri()]


def test_every_plot_is_visible(visit: Visit) -> None:
    plots = visit.page.locator("figure svg")
    assert plots.count() == PLOTS
    for number in range(PLOTS):
        box = plots.nth(number).bounding_box()
        assert box is not None
        assert box["width"] > 250
        assert box["height"] > 150


def test_nothing_makes_the_page_itself_scroll_sideways(visit: Visit) -> None:
    width = visit.page.evaluate("document.documentElement.scrollWidth")
    assert width <= visit.page.evaluate("window.innerWidth")


def test_text_stands_out_from_its_background(visit: Visit) -> None:
    for selector in ("h1", ".lede", "figcaption p", ".figures .met"):
        assert contrast(visit.page, selector) >= 4.5, selector


def test_a_reader_can_open_the_tables(visit: Visit) -> None:
    table = visit.page.locator("details", has_text="The workers as a table").locator("table")
    assert not table.is_visible()
    visit.page.get_by_text("The workers as a table").click()
    assert table.is_visible()


def test_a_screenshot_is_not_blank(visit: Visit, tmp_path: Path) -> None:
    image = visit.page.screenshot(path=tmp_path / "report.png", full_page=True)
    assert len(image) > 50_000


CONTRAST = """selector => {
  const luminance = colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(Number).map(v => {
      v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const element = document.querySelector(selector);
  let behind = element;
  while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') {
    behind = behind.parentElement;
  }
  const [one, two] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor]
    .map(luminance).sort((a, b) => b - a);
  return (one + 0.05) / (two + 0.05);
}"""


def contrast(page: Page, selector: str) -> float:
    """Return the contrast ratio of an element's text (WCAG 2.2, 1.4.3)."""
    return float(page.evaluate(CONTRAST, selector))
