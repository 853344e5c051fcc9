"""Real browser for the pages: one Chromium per file, and a page per test, which fails it on any error of the page."""

import http.client
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route, expect, sync_playwright

from tests.support.machine import chromium

SEEN = 60_000  # milliseconds that a change may take to be seen: two seconds are usual, the rest is for a busy machine

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=LocalNetworkAccessChecks",  # it takes what the driver forwards for a page from elsewhere
]

LOOPBACK = ("localhost", "127.0.0.1", "::1", None)  # None: data: and blob: have no host


class PageErrors(list[str]):
    """Errors of a page: console errors, uncaught exceptions, requests to other machines."""

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.append(f"uncaught: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.append(f"console: {message.text} {message.location['url']}")

    def _request(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in LOOPBACK:
            self.append(f"request to another machine: {request.url}")


def past_network_changes(context: BrowserContext) -> None:
    """Send the pages' traffic through the driver.

    Chromium drops every connection when an interface comes or goes, and each container that starts or stops does that.
    """
    context.route("**/*", _forward)
    context.route_web_socket(re.compile("."), lambda socket: socket.connect_to_server())


def _forward(route: Route) -> None:
    if urlsplit(route.request.url).hostname in LOOPBACK:
        route.fulfill(response=route.fetch(max_retries=3))  # a server may close a connection just as it is used again
    else:
        route.abort()


expect.set_options(timeout=SEEN)


@contextmanager
def chromium_browser() -> Iterator[Browser]:
    """Run a browser while the block runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def browsing(browser: Browser, *, forwarded: bool = True) -> Iterator[BrowserContext]:
    """Open a context of its own; what is forwarded by the driver takes longer, and no network change ends it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(SEEN)
    if forwarded:
        past_network_changes(context)
    yield context
    context.unroute_all(behavior="ignoreErrors")
    context.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser for the tests of one file: no longer, for its driver has an event loop in this thread."""
    with chromium_browser() as made:
        yield made


@pytest.fixture
def browser_page(browser: Browser) -> Iterator[Page]:
    """Return a page of its own; ask for the server's fixture first, so that the server outlives the page.

    `browser_page.context.new_page()` opens another one beside it, which is watched for errors too.
    """
    errors = PageErrors()
    with browsing(browser) as context:
        context.on("page", errors.watch)
        yield context.new_page()
        context.cookies()  # an answer comes after all that the pages have told until now
        told = [*errors]  # requests that are under way then are forwarded no more: a network change ends them
    assert not told, "\n".join(told)


def click_row(page: Page, row: int) -> None:
    """Select a row of the page's last table, whose cells are drawn on a canvas."""
    table = page.get_by_test_id("stDataFrame").last
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box
    page.mouse.click(box["x"] + 15, box["y"] + 35 + 35 * row + 17)


def opens(port: int, host: str) -> int:
    """Ask a page's server for the connection of its page, as a browser does that was led to it by another name."""
    headers = {
        "Host": f"{host}:{port}",
        "Origin": f"http://{host}:{port}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", "/_stcore/stream", headers=headers)
        return connection.getresponse().status
