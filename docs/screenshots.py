"""Take the pictures of the pages of a running Lakelet: `make run` and `make notebook` in two shells, this in another.

The feed gets some bad rows for the pictures, and loses them again.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.support.browser import ARGUMENTS, past_network_changes
from tests.support.machine import chromium

HERE = Path(__file__).parent
QUERY = """SELECT country, quantity AS "items of an order", count(*) AS orders
FROM clean_orders
GROUP BY ALL
ORDER BY ALL"""


def bad_rows(page: Page, percent: int) -> None:
    """Set the feed's share of bad rows in percent, and close the page."""
    field = page.get_by_label("Bad rows, percent")
    field.fill(str(percent))
    field.press("Enter")
    page.wait_for_timeout(8000)  # some files, and what became of them
    page.close()


def select_first(page: Page) -> None:
    """Select the first row of the page's last table."""
    table = page.get_by_test_id("stDataFrame").last
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box
    page.mouse.click(box["x"] + 15, box["y"] + 52)


def open_load(page: Page) -> None:
    """Open the newest load."""
    select_first(page)
    command = page.get_by_text("make debug").first
    command.wait_for()
    command.evaluate("line => line.scrollIntoView({block: 'end'})")


def open_reject(page: Page) -> None:
    """Open the first reject."""
    select_first(page)
    page.locator("mark").first.wait_for()
    page.locator("mark").first.evaluate("mark => mark.scrollIntoView({block: 'center'})")


def regenerate(page: Page) -> None:
    """Write new company data."""
    page.get_by_role("button", name="Regenerate data").click()
    page.mouse.move(0, 0)
    page.get_by_text("loaded in").first.wait_for()


def drawn(page: Page) -> None:
    """Wait for the first chart."""
    page.locator("[data-testid=stEChartsChart] canvas").first.wait_for()


def run_query(page: Page) -> None:
    """Run a query and show its chart."""
    page.get_by_label("SQL", exact=True).fill(QUERY)
    page.get_by_role("button", name="Run").click()
    page.get_by_text("rows, in").wait_for()
    page.get_by_role("tab", name="Chart").click()
    page.get_by_role("combobox", name="Colour").click()
    page.get_by_role("option", name="items of an order").click()
    page.wait_for_timeout(3000)  # the chart is drawn again
    drawn(page)
    page.get_by_test_id("stEChartsChart").evaluate("chart => chart.scrollIntoView({block: 'end'})")


def run_notebook(page: Page) -> None:
    """Run all cells of a notebook and show its chart."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    chart = page.locator(".jp-OutputArea img").first
    chart.wait_for(state="attached")
    page.wait_for_timeout(3000)  # the cells after it scroll the page
    chart.scroll_into_view_if_needed()


SIMULATOR, DASHBOARD = ("SIMULATOR_PORT", "8001"), ("DASHBOARD_PORT", "8002")
NOTEBOOK = ("NOTEBOOK_PORT", "8888")
TOKEN = os.environ.get("NOTEBOOK_TOKEN", "notebook-on-this-machine")
PAGES: dict[str, tuple[tuple[str, str], str, str, Callable[[Page], None]]] = {
    "overview": (DASHBOARD, "/", "companydata", drawn),
    "pipeline": (DASHBOARD, "/pipeline", "Loads", lambda _: None),
    "load": (DASHBOARD, "/pipeline", "Loads", open_load),
    "rejects": (DASHBOARD, "/rejects", "of their", open_reject),
    "query": (DASHBOARD, "/query", "Views and their columns", run_query),
    "simulator": (SIMULATOR, "/", "Feed of orders", regenerate),
    "notebook": (NOTEBOOK, f"/lab/tree/read_with_pandas.ipynb?token={TOKEN}", "| Idle", run_notebook),
}


def open_page(page: Page, name: str) -> Page:
    """Open a page, and give it once it shows the words that tell it is complete."""
    (variable, port), path, words, _ = PAGES[name]
    page.goto(f"http://127.0.0.1:{os.environ.get(variable, port)}{path}")
    page.get_by_text(words).first.wait_for()
    return page


def take(page: Page, name: str) -> None:
    """Take one picture."""
    PAGES[name][-1](open_page(page, name))
    page.wait_for_timeout(3000)  # charts are drawn with an animation
    page.screenshot(path=HERE / f"{name}.png")


def main() -> None:
    """Take all pictures, or those that are named."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        past_network_changes(context)
        context.set_default_timeout(60_000)
        bad_rows(open_page(context.new_page(), "simulator"), 3)
        for name in sys.argv[1:] or PAGES:
            take(context.new_page(), name)
        bad_rows(open_page(context.new_page(), "simulator"), 0)
        context.unroute_all(behavior="ignoreErrors")
        browser.close()


if __name__ == "__main__":
    main()
