"""A headless Chromium, the one the system has."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = [path for path in map(shutil.which, CHROMIUM_NAMES) if path is not None]
    if not found:
        pytest.skip(f"no Chromium: none of {', '.join(CHROMIUM_NAMES)} is installed")
    with sync_playwright() as playwright:
        # Containers run as root, where Chromium has no sandbox.
        launched = playwright.chromium.launch(executable_path=found[0], args=["--no-sandbox"])
        yield launched
        launched.close()
