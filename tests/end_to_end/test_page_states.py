"""Every page in a real browser when something is wrong: an empty lake, a store that is away or refuses, and its return.

The store is a real server behind a proxy; the programs have the keys of a user who is forgotten and made again.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import urllib3
from playwright.sync_api import Page, expect

from lake.stores.s3 import S3Store
from lake.stores.users import Role, User, prepare
from tests.support.minio_server import MinioServer, free_port, until
from tests.support.project import ROOT
from tests.support.publish import counted, counts, load, problem, publish_lake, put_rejected, writer
from tests.support.wire import Proxy, proxy_to

pytestmark = [pytest.mark.needs_engine, pytest.mark.needs_browser, pytest.mark.timeout(600)]

KEY = "raw/companydata/a.csv"
# The pages of the dashboard, and what each shows of a lake that has data.
PAGES = {"": "1405", "pipeline": KEY, "rejects": "breaks type", "query": "rejected_companydata"}
AWAY, REFUSED = "does not answer", "refuses to be read"


class Program(NamedTuple):
    """Page's server: its address, the store as its user sees it, and the wire between the two."""

    address: str
    store: S3Store  # the root user's
    wire: Proxy
    user: User

    def forget_user(self, server: MinioServer) -> None:
        """Make the keys of the program wrong."""
        server._admin().user_remove(access_key=self.user.access_key)

    def know_user(self) -> None:
        prepare(self.store, [self.user])


@contextmanager
def program(name: str, role: Role, server: MinioServer, log: Path) -> Iterator[Program]:
    """Start a page's server with its store away, and give it as soon as it answers."""
    store, port = server.new_store(), free_port()
    user = User(role, f"{name}-{port}", "the secret of a test")
    prepare(store, [user])
    with proxy_to(server.port) as wire, log.open("w") as output:
        wire.add(".", "reset")
        environ = {
            "LAKE_URL": store.url,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{wire.port}",
            "AWS_ACCESS_KEY_ID": user.access_key,
            "AWS_SECRET_ACCESS_KEY": user.secret_key,
            "FEED": "off",
        }
        command = [sys.executable, "-m", name, "run"]
        variables = os.environ | environ | {f"{name.upper()}_PORT": str(port)}
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output)
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"), 60, f"the server of the {name}")
            yield Program(f"http://127.0.0.1:{port}", store, wire, user)
        finally:
            process.terminate()
            process.wait(20)
    # Of ours: Streamlit's server tells of a page that it is in the midst of, when it ends.
    assert not re.search(rf'File "{re.escape(str(ROOT))}/(?!\.venv/)', log.read_text())


def answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False, timeout=5).data == b"ok"
    except urllib3.exceptions.HTTPError:
        return False


@pytest.fixture
def dashboard(minio: MinioServer, tmp_path: Path) -> Iterator[Program]:
    with program("dashboard", "reader", minio, tmp_path / "dashboard.log") as started:
        yield started


@pytest.fixture
def simulator(minio: MinioServer, tmp_path: Path) -> Iterator[Program]:
    with program("simulator", "simulator", minio, tmp_path / "simulator.log") as started:
        yield started


def fill(store: S3Store) -> None:
    parts = counts(rows={"read": 25, "kept": 24, "rejected": 1}, files={"loaded": 1, "failed": 2, "stale": 1})
    put_rejected(store, KEY, [problem(7)])
    stale = load(KEY, rows_rejected=1, stale=True, problems=counted(("type", "Sold", 1)))
    failed = load("raw/companydata/b.csv", status="failed", first_problem="the disk is full", attempts=5)
    executor = {"kind": "cluster", "address": "tls://here:8786", "state": "No worker is there: files wait."}
    publish_lake(store, [1405, 1333, 1290], [stale, failed], parts, writer=writer(-3600), executor=executor)


def on_every(pages: dict[str, Page], look: Callable[[str, Page], object]) -> None:
    for path, page in pages.items():
        page.bring_to_front()  # a page in the background may rest
        look(path, page)


def shows(words: str) -> Callable[[str, Page], None]:
    return lambda _, page: expect(page.get_by_text(words).first).to_be_visible()


def has_data(path: str, page: Page) -> None:
    expect(page.get_by_text(PAGES[path]).first).to_be_attached()


def is_well(path: str, page: Page) -> None:
    has_data(path, page)
    expect(page.get_by_text("Pipeline alive")).to_be_visible()
    expect(page.get_by_text("Below is what was last read")).to_have_count(0)
    assert page.evaluate("window.neverReloaded")


def test_every_page_of_the_dashboard_says_what_is_wrong_and_goes_on_by_itself(
    minio: MinioServer, dashboard: Program, browser_page: Page
) -> None:
    pages = {path: browser_page.context.new_page() for path in PAGES}
    on_every(pages, lambda path, page: page.goto(f"{dashboard.address}/{path}"))
    on_every(pages, shows(AWAY))
    on_every(pages, lambda _, page: page.evaluate("window.neverReloaded = true"))
    dashboard.wire.heal()
    on_every(pages, shows("Nothing is published yet"))
    fill(dashboard.store)
    on_every(pages, is_well)
    expect(pages["pipeline"].get_by_text("2 files failed")).to_be_visible()
    expect(pages["pipeline"].get_by_text("1 file stale")).to_be_visible()
    expect(pages["pipeline"].get_by_text("replay --status failed")).to_be_visible()
    expect(pages["pipeline"].get_by_text("No worker is there: files wait.")).to_be_visible()
    expect(pages["pipeline"].get_by_text("here:8786, 0 workers")).to_be_visible()
    for words, begin, end in (
        (AWAY, lambda: dashboard.wire.add(".", "reset"), dashboard.wire.heal),
        (REFUSED, lambda: dashboard.forget_user(minio), dashboard.know_user),
    ):
        begin()
        run = pages["query"].get_by_role("button", name="Run")
        expect(run).to_have_count(1)  # while it is drawn anew, there may be two
        run.click()  # this page stands still until it is asked
        on_every(pages, shows(words))
        on_every(pages, shows("Below is what was last read"))
        on_every(pages, has_data)
        end()
        on_every(pages, is_well)


def test_a_page_that_opens_while_the_store_is_frozen_says_that_it_waits(dashboard: Program, browser_page: Page) -> None:
    fill(dashboard.store)
    dashboard.wire.heal()
    dashboard.wire.add(".", "hold")
    for path in PAGES:
        browser_page.goto(f"{dashboard.address}/{path}")
        expect(browser_page.get_by_role("heading", level=1)).to_be_visible()
        expect(browser_page.get_by_text("Waiting for the store")).to_be_visible(timeout=1500)
    dashboard.wire.heal()
    expect(browser_page.get_by_text("Pipeline alive")).to_be_visible()
    expect(browser_page.get_by_text("Waiting for the store")).to_have_count(0)


def test_the_simulators_page_says_what_is_wrong_and_goes_on(
    minio: MinioServer, simulator: Program, browser_page: Page
) -> None:
    page = browser_page
    page.goto(simulator.address)
    press = page.get_by_role("button", name="Regenerate data")
    rows = page.get_by_test_id("stTable").locator("tbody tr")
    expect(page.get_by_text("Nothing written since this program started")).to_be_visible()
    press.click()
    expect(page.get_by_text("Nothing was written")).to_be_visible()
    page.get_by_text("Feed", exact=True).click()
    expect(page.get_by_text("The feed waits, and loses nothing")).to_be_visible()
    simulator.wire.heal()
    expect(page.get_by_text("The feed waits")).to_have_count(0)
    expect(page.get_by_text("raw/orders/feed/orders-000.csv")).to_be_attached()
    page.get_by_text("Feed", exact=True).click()
    press.click()
    expect(rows).to_have_count(24)
    expect(page.get_by_text("Nothing was written")).to_have_count(0)

    simulator.forget_user(minio)
    press.click()
    expect(page.get_by_text("if it refuses, check its access rights")).to_be_visible()
    simulator.know_user()
    press.click()
    expect(page.get_by_text("if it refuses, check its access rights")).to_have_count(0)
