"""The documentation as built by `make docs`, in a browser, from the disk, without a network."""

import pytest
from pages import ROOT

SITE = ROOT / "docs/_build/html"
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if "_static" not in path.parts
)
JOURNEYS = ["paper", "lab", "clinic", "cluster", "developer"]

pytestmark = pytest.mark.skipif(not PAGES, reason="the site was not built here")


@pytest.fixture
def page(browser):
    """Return a page that fails the test for an error or warning, and for asking the network."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    said = []
    page.on(
        "console",
        lambda message: (
            message.type in ("error", "warning") and said.append((page.url, message.text))
        ),
    )
    page.on("pageerror", lambda error: said.append((page.url, str(error))))
    page.on(
        "request",
        lambda request: (
            request.url.startswith(("file:", "data:")) or said.append((page.url, request.url))
        ),
    )
    yield page
    context.close()
    assert said == []


def test_search_finds_predict_from_disk(page):
    page.goto(f"{(SITE / 'search.html').as_uri()}?q=predict")
    # Results come one after the other.
    page.wait_for_selector("ul.search li a:has-text('mtm.predictions')")
    page.wait_for_timeout(1000)
    found = page.locator("ul.search li a").all_inner_texts()
    assert any("clinic" in text.lower() for text in found)
    assert any("mtm.predictions" in text for text in found)


def test_every_page_opens_without_a_word(page):
    for path in PAGES:
        page.goto((SITE / path).as_uri())
        assert page.title()


@pytest.mark.parametrize("journey", JOURNEYS)
def test_cells_of_the_journeys_have_run(page, journey):
    page.goto((SITE / "tutorials" / f"{journey}.html").as_uri())
    assert page.locator(".cell .cell_output").count() > 1
    assert page.locator(".cell .cell_output .output").all_inner_texts()
