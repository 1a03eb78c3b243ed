"""Fixtures: a JupyterLab and a Chromium for all tests here, and notebooks opened in them.
They live as long as these tests, which come first (see `tests/conftest.py`)."""

import os

import pytest
from playwright.sync_api import expect, sync_playwright
from tests_support.loopback import Door, Loopback

from browser.harness import CHROMIUM_ARGUMENTS, find_chromium, opened_notebooks, running_lab


def pytest_collection_modifyitems(items):
    """A browser on a busy machine is slow: a test ends when the page says so, or after ten minutes."""
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="package")
def chromium():
    path = find_chromium()
    if path is None and os.environ.get("IPYTHON_ASSISTANT_BROWSER_TESTS") == "required":
        pytest.fail("no Chromium, and IPYTHON_ASSISTANT_BROWSER_TESTS asks for it")
    if path is None:
        pytest.skip("no Chromium: install it, or name its program in the environment variable CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS, headless=True)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def lab(chromium, tmp_path_factory):
    """A running JupyterLab; asks for Chromium first, since it is of no use without."""
    with running_lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="package")
def context(chromium):
    """One for all: JupyterLab's own files then come from the cache. Every notebook has a page of its own."""
    context = chromium.new_context(
        accept_downloads=True, viewport={"width": 1200, "height": 1600}, device_scale_factor=2
    )
    context.set_default_timeout(120_000)
    expect.set_options(timeout=60_000)
    yield context
    context.close()


@pytest.fixture(scope="module")
def open_for_module(lab, context):
    """As `open_in_lab`; closed after the last test of the module."""
    with opened_notebooks(lab, context) as open_notebook:
        yield open_notebook


class _Noting(Door):
    def respond(self):
        self.owner.paths.append(self.path)
        self.begin(404, {})


class Listener(Loopback):
    """A server on loopback that remembers what was fetched from it."""

    door, base = _Noting, ""

    def __init__(self):
        self.paths: list[str] = []


@pytest.fixture(scope="module")
def listener():
    with Listener() as listener:
        yield listener


@pytest.fixture
def open_in_lab(lab, context):
    """Open a notebook below `lab.root`; back when its kernel is ready. Closed, with its kernel, after the test."""
    with opened_notebooks(lab, context) as open_notebook:
        yield open_notebook
