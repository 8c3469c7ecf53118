"""The built site in a real browser: Debian's Chromium, driven by Playwright."""

import shutil
from pathlib import Path

import pytest

OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


@pytest.fixture(scope="session")
def site(request):
    """The folder that `sphinx-build` wrote."""
    folder = Path(request.config.getoption("--site")).resolve()
    assert (folder / "index.html").exists(), f"no site in {folder}"
    return folder


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
    assert path, "no Chromium on this machine: apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A fresh page of a fresh profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()
