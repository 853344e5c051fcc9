"""Take the README's pictures of the pages of a running Lakelet: `make run` in one shell, this in another."""

import os
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.conftest import chromium

HERE = Path(__file__).parent
PAGES = {
    "simulator": ("SIMULATOR_PORT", "8001", "/", "Feed of orders"),
    "overview": ("DASHBOARD_PORT", "8002", "/", "companydata"),
    "pipeline": ("DASHBOARD_PORT", "8002", "/pipeline", "Loads"),
    "rejects": ("DASHBOARD_PORT", "8002", "/rejects", "of their"),
}


def take(page: Page, name: str) -> None:
    """Take one picture, once the page shows the words that tell it is complete."""
    variable, port, path, words = PAGES[name]
    page.goto(f"http://localhost:{os.environ.get(variable, port)}{path}")
    page.get_by_text(words).first.wait_for()
    page.wait_for_timeout(3000)  # charts are drawn with an animation
    page.screenshot(path=HERE / f"{name}.png")


def main() -> None:
    """Take all pictures, or those that are named."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        for name in sys.argv[1:] or PAGES:
            take(page, name)
        browser.close()


if __name__ == "__main__":
    main()
