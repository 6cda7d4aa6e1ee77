"""A browser, and pages to look at with it."""

from pathlib import Path
from shutil import which
from time import perf_counter
from types import SimpleNamespace

import pages
import pytest

from mtm.page.build import build_page

CHROMIUM = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser():
    """Chromium of this machine; without it, tests of pages are skipped."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def built(folder: Path, n_genes: int, tissues: list[str], symbols: list[str], **changes):
    """Make up a run and build its page.

    Returns
    -------
    SimpleNamespace
        The run, with ``page`` (its path), ``seconds`` and ``size`` in bytes.
    """
    run = pages.made_up(folder, n_genes, tissues, symbols, **changes)
    start = perf_counter()
    text = build_page(run.results, run.figures, run.symbols, run.places)
    seconds = perf_counter() - start
    page = folder / "index.html"
    page.write_text(text, encoding="utf-8")
    return SimpleNamespace(**vars(run), page=page, seconds=seconds, size=page.stat().st_size)


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Page of 200 genes in three tissues; a tissue and a gene have a name that is a script."""
    tissues = ["Lung", pages.HOSTILE, "Brain - Cortex"]
    symbols = ["TP53", "BRCA1", pages.HOSTILE]
    return built(tmp_path_factory.mktemp("small"), 200, sorted(tissues), symbols)


@pytest.fixture(scope="session")
def large(tmp_path_factory):
    """Page of GTEx's size."""
    tissues = pages.gtex_names(48)
    return built(tmp_path_factory.mktemp("large"), 19_291, tissues, ["TP53", "BRCA1", "GAPDH"])
