import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from dashboard.query.sandbox import AT_ONCE
from lake.stores import open_store
from lake.stores.base import ObjectStore
from tests.support.browser import click_row
from tests.support.minio_server import until
from tests.support.pages import serving
from tests.support.project import ROOT
from tests.support.publish import (
    counted,
    counts,
    load,
    problem,
    publish_companydata,
    publish_lake,
    publish_loads,
    publish_status,
    publish_summary,
    put_rejected,
    writer,
)

pytestmark = pytest.mark.needs_browser


def fill(store: ObjectStore, sold: list[int]) -> None:
    parts = counts(rows={"read": 24, "kept": 24}, files={"loaded": 1}, latency_ms={"p50": 11.2})
    publish_lake(store, sold, [load("raw/companydata/companydata.csv")], parts)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ObjectStore, str]]:
    """Return a lake and the address of its pages, for all tests: a server takes some seconds to start."""
    folder = tmp_path_factory.mktemp("browser")
    log, lake = folder / "dashboard.log", open_store(str(folder / "lake"))
    with serving(log, LAKE_URL=lake.url) as url:
        yield lake, url
    assert "Traceback" not in log.read_text()


@pytest.fixture
def store(served: tuple[ObjectStore, str]) -> Iterator[ObjectStore]:
    """Return the lake, which the test leaves empty."""
    yield served[0]
    for item in list(served[0].list()):
        served[0].delete(item.key)


@pytest.fixture
def address(served: tuple[ObjectStore, str]) -> str:
    return served[1]


def test_a_new_result_is_seen_without_reload_or_flicker(store: ObjectStore, address: str, browser_page: Page) -> None:
    fill(store, [1405, 1333, 1290])
    browser_page.goto(address)
    table, chart = browser_page.get_by_test_id("stDataFrame"), browser_page.get_by_role("img", name="Sold")
    expect(table).to_contain_text("1405")
    expect(chart).to_be_visible()
    picture = "chart => chart.querySelector('canvas').toDataURL()"
    before = until(lambda: steady(chart.evaluate(picture), lambda: chart.evaluate(picture)), what="a chart at rest")
    browser_page.evaluate("window.neverReloaded = true")
    for part in (table, chart):
        part.evaluate("element => { element.neverRebuilt = true }")

    publish_companydata(store, [7001, 1333, 1290])

    expect(table).to_contain_text("7001")
    expect(table).not_to_contain_text("1405")
    until(lambda: chart.evaluate(picture) != before, what="new bars in the chart")
    assert browser_page.evaluate("window.neverReloaded")
    assert all(part.evaluate("element => element.neverRebuilt") for part in (table, chart))


def steady(now: str, again: Callable[[], str]) -> str:
    return now if again() == now else ""


def test_an_open_page_fills_when_the_first_file_is_loaded(store: ObjectStore, address: str, browser_page: Page) -> None:
    browser_page.goto(address)
    expect(browser_page.get_by_text("Nothing is published yet")).to_be_visible()
    fill(store, [1405, 1333, 1290])
    expect(browser_page.get_by_test_id("stDataFrame")).to_contain_text("1405")
    expect(browser_page.get_by_text("Nothing is published yet")).not_to_be_visible()


def test_the_pipeline_page_is_live(store: ObjectStore, address: str, browser_page: Page) -> None:
    fill(store, [1405, 1333, 1290])
    browser_page.goto(f"{address}/pipeline")
    loads = browser_page.get_by_test_id("stDataFrame").last
    expect(loads).to_contain_text("raw/companydata/companydata.csv")
    expect(browser_page.get_by_text("Pipeline alive")).to_be_visible()
    expect(browser_page.get_by_text("11 ms")).to_be_visible()

    reason = "not in a dataset's folder: move it to raw/<dataset>/"
    ignored = load("raw/notes.txt", dataset="", status="ignored", first_problem=reason, loaded_at=None)
    publish_loads(store, [load("raw/companydata/companydata.csv"), ignored])
    publish_status(store, writer=writer(seconds_ago=3600))

    expect(loads).to_contain_text(reason)
    expect(browser_page.get_by_text("No heartbeat for 60 min")).to_be_visible()


def reject(store: ObjectStore, *names: str) -> None:
    """Return each file a problem of its own; the last one is the newest."""
    for name in names:
        put_rejected(store, f"raw/orders/{name}", [problem(7, value=f"bad in {name}")])
    newest = enumerate(names)
    first = datetime(2026, 1, 31, 12, tzinfo=UTC)
    loads = [(f"raw/orders/{name}", first + timedelta(seconds=number)) for number, name in newest]
    one = counted(("type", "Sold", 1))
    publish_loads(
        store, [load(key, rows_rejected=1, landed_at=loaded, loaded_at=loaded, problems=one) for key, loaded in loads]
    )
    publish_status(store, **counts(rows={"rejected": len(names)}))


def test_the_rejects_page_is_live_and_keeps_its_filter(
    store: ObjectStore, address: str, browser_page: Page, tmp_path: Path
) -> None:
    reject(store, "a.csv", "other.csv")
    browser_page.goto(f"{address}/rejects")
    problems = browser_page.get_by_test_id("stDataFrame").last
    expect(problems).to_contain_text("bad in other.csv")
    expect(browser_page.get_by_text("all 2 problems of 2 files")).to_be_visible()
    chart = browser_page.get_by_role("img", name="problems over time by rule")
    chart.evaluate("element => { element.neverRebuilt = true }")
    browser_page.get_by_label("File").fill("/A")
    expect(problems).not_to_contain_text("bad in other.csv")
    problems.evaluate("element => { element.neverRebuilt = true }")

    reject(store, "a.csv", "other.csv", "a-new.csv", "another.csv")

    expect(problems).to_contain_text("bad in a-new.csv")
    expect(problems).to_contain_text("bad in another.csv")
    expect(problems).not_to_contain_text("bad in other.csv")
    expect(browser_page.get_by_text("all 3 problems of 3 files")).to_be_visible()
    assert all(part.evaluate("element => element.neverRebuilt") for part in (problems, chart))
    with browser_page.expect_download() as download:
        browser_page.get_by_role("button", name="Download these problems").click()
    download.value.save_as(tmp_path / "rejects.csv")
    lines = (tmp_path / "rejects.csv").read_text().splitlines()
    assert lines[0] == "dataset,source_key,line,column,rule,value,message,raw"
    assert [line.split(",")[1] for line in lines[1:]] == [
        "raw/orders/another.csv",
        "raw/orders/a-new.csv",
        "raw/orders/a.csv",
    ]


def test_an_open_load_stays_while_new_ones_come(store: ObjectStore, address: str, browser_page: Page) -> None:
    fill(store, [1405, 1333, 1290])
    browser_page.goto(f"{address}/pipeline")
    expect(browser_page.get_by_test_id("stDataFrame").last).to_contain_text("companydata.csv")
    click_row(browser_page, 0)
    objects = browser_page.get_by_text("clean/companydata/companydata.csv.parquet")
    expect(objects).to_be_visible()

    later = datetime(2026, 1, 31, 13, tzinfo=UTC)
    first = load("raw/companydata/companydata.csv", rows_read=1234567)
    publish_loads(store, [load("raw/orders/new.csv", loaded_at=later), first])

    expect(browser_page.get_by_text("1,234,567")).to_be_visible()  # it is live
    expect(objects).to_be_visible()
    table = browser_page.get_by_test_id("stDataFrame").last
    expect(table).not_to_contain_text("new.csv")
    browser_page.get_by_role("button", name="Close").click()
    expect(table).to_contain_text("new.csv")
    expect(objects).not_to_be_visible()


def test_a_load_leads_to_its_rejects_and_they_to_their_place(
    store: ObjectStore, address: str, browser_page: Page
) -> None:
    key = "raw/orders/it's & more.csv"
    etag = store.put(key, b"number,Sold\n1,2\n7,x\n")
    put_rejected(store, key, [problem(3)])
    put_rejected(store, "raw/orders/other.csv", [problem(9)])
    publish_loads(store, [load(key, rows_rejected=1, etag=etag), load("raw/orders/other.csv", rows_rejected=1)])
    publish_status(store, **counts(rows={"rejected": 2}))
    browser_page.goto(f"{address}/pipeline")
    expect(browser_page.get_by_test_id("stDataFrame").last).to_contain_text("more.csv")
    click_row(browser_page, 0)
    link = browser_page.get_by_role("link", name="All its problems")
    expect(link).to_be_visible()
    browser_page.goto(f"{address}{link.get_attribute('href')}")
    problems = browser_page.get_by_test_id("stDataFrame").last
    expect(problems).to_contain_text("more.csv")
    expect(problems).not_to_contain_text("other.csv")
    click_row(browser_page, 0)
    expect(browser_page.locator("mark")).to_have_text("x")


LONG = "SELECT count(*) FROM range(1_000_000) a, range(1_000_000) b"  # takes all the time that a query may


def messages_of(page: Page) -> list[str | bytes]:
    """Return the list to which every message of the page to its server is added."""
    messages: list[str | bytes] = []

    def connect(browser: WebSocketRoute) -> None:
        server = browser.connect_to_server()
        browser.on_message(lambda message: (messages.append(message), server.send(message)))

    page.route_web_socket(re.compile("."), connect)
    return messages


def test_a_query_is_run_by_keyboard(store: ObjectStore, address: str, browser_page: Page) -> None:
    """Otherwise a press, which ran the page twice, would drop the file of a download while the browser asks for it."""
    asked = messages_of(browser_page)
    fill(store, [1405, 1333, 1290])
    browser_page.goto(f"{address}/query")
    editor = browser_page.get_by_label("SQL", exact=True)
    expect(editor).to_be_visible()
    editor.fill("SELECT status, 7 AS seven FROM published_loads")
    asked.clear()
    editor.press("Control+Enter")
    expect(browser_page.get_by_text("1 row, in")).to_be_visible()
    expect(browser_page.get_by_test_id("stDataFrame").last).to_contain_text("loaded")
    editor.fill("SELECT\n  nothing FROM published_loads")
    editor.press("Control+Enter")
    expect(browser_page.get_by_text("LINE 2:   nothing")).to_be_visible()
    assert len(asked) == 2, "one message for each press"


def ask(page: Page, sql: str) -> None:
    editor = page.get_by_label("SQL", exact=True)
    editor.fill(sql)
    editor.press("Control+Enter")


def test_a_result_can_be_downloaded_while_the_next_query_runs(
    store: ObjectStore, address: str, browser_page: Page
) -> None:
    """Streamlit deletes the files of a page that runs, unless that page has drawn them again, when others have run."""
    reject(store, "a.csv")
    other, files = browser_page.context.new_page(), list[str]()
    runs = messages_of(other)
    other.goto(f"{address}/rejects")
    browser_page.on("response", lambda answer: files.append(answer.url) if answer.url.endswith(".csv") else None)
    browser_page.goto(f"{address}/query")

    def download_meanwhile() -> bool:
        ask(browser_page, "SELECT 41 + 1 AS answer")
        expect(browser_page.get_by_text("1 row, in")).to_be_visible()
        ask(browser_page, LONG)
        running = browser_page.get_by_test_id("stSpinner")
        expect(running).to_be_visible()
        before = len(runs)
        until(lambda: other.title() and len(runs) > before + 3, what="another visitor's runs")
        status = browser_page.context.request.get(files[-1]).status
        assert not running.is_visible() or status == 200
        return running.is_visible()  # on a busy machine the query may have ended before

    until(download_meanwhile, 120, "a download during a query")


def test_visitors_wait_in_line_and_who_leaves_makes_room(store: ObjectStore, address: str, browser_page: Page) -> None:
    fill(store, [1405, 1333, 1290])
    others = [browser_page.context.new_page() for _ in range(AT_ONCE)]
    for page in (*others, browser_page):
        page.goto(f"{address}/query")
        expect(page.get_by_label("SQL", exact=True)).to_be_visible()

    def in_line() -> bool:
        for page in others:
            ask(page, LONG)
        ask(browser_page, "SELECT 41 + 1 AS answer")
        waiting = browser_page.get_by_text(re.compile(r"Waiting: \d quer(y|ies) before you"))
        with suppress(AssertionError):  # on a machine so busy that the first is ended before the last is asked
            expect(waiting).to_be_visible(timeout=8000)
            return True
        return False

    until(in_line, 120, "a visitor who waits")
    others[0].close()
    ask(others[1], "SELECT 7 AS seven")  # which ends what it has asked before
    for page, cell in ((browser_page, "42"), (others[1], "7")):
        expect(page.get_by_text("1 row, in")).to_be_visible()
        expect(page.get_by_test_id("stDataFrame").last).to_contain_text(cell)


def test_the_pages_are_one_click_apart(store: ObjectStore, address: str, browser_page: Page) -> None:
    fill(store, [1405, 1333, 1290])
    browser_page.goto(address)
    browser_page.get_by_role("link", name="Pipeline").click()
    expect(browser_page.get_by_text("Landed to loaded", exact=True)).to_be_visible()
    browser_page.get_by_role("link", name="Overview").click()
    expect(browser_page.get_by_test_id("stDataFrame").first).to_contain_text("1405")


@pytest.mark.parametrize("path", ["/", "/pipeline", "/rejects", "/query"])
def test_no_page_asks_for_what_is_not_there(store: ObjectStore, address: str, browser_page: Page, path: str) -> None:
    refused: list[str] = []
    browser_page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    fill(store, [1405, 1333, 1290])
    put_rejected(store, "raw/companydata/companydata.csv", [problem(7)])
    publish_loads(store, [load("raw/companydata/companydata.csv", rows_rejected=1)])
    browser_page.goto(address + path)
    expect(browser_page.get_by_test_id("stDataFrame").last).to_be_visible()
    browser_page.reload()
    expect(browser_page.get_by_test_id("stDataFrame").last).to_be_visible()
    assert not refused  # and no error in the console, as in every test here


BROKEN = """
from dashboard.shared.published import Published

def status(_):
    raise ZeroDivisionError("what nobody expected")

Published.status = status
"""


def test_whatever_goes_wrong_is_one_sentence_and_the_log_has_its_place(tmp_path: Path, browser_page: Page) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)  # which Python runs first in each process
    log, path = tmp_path / "dashboard.log", f"{tmp_path}{os.pathsep}{ROOT}"
    with serving(log, LAKE_URL=str(tmp_path / "lake"), PYTHONPATH=path) as url:
        for name in ("", "pipeline", "rejects", "query"):
            browser_page.goto(f"{url}/{name}")
            expect(browser_page.get_by_text("This cannot be shown: ZeroDivisionError")).to_be_visible()
            browser_page.wait_for_timeout(2000)  # some refreshes
            expect(browser_page.get_by_role("alert")).to_have_count(1)
            assert browser_page.get_by_test_id("stException").count() == 0
    assert 4 <= log.read_text().count("a page failed") <= 8  # and not at each refresh
    assert "in status" in log.read_text()


def test_names_and_numbers_are_shown_as_they_are(store: ObjectStore, address: str, browser_page: Page) -> None:
    names = ["Paid ($) of due ($)", "a_b*c*", ":red[x]", ":smile: -> www.example.com", "<b>x</b>"]
    publish_summary(
        store, "names", {"kind": ["x"], "rows": [1]} | {name: [1] for name in names}, {"groupBy": [], "sum": names}
    )
    numbers = {"year": [2026, 2025], "ratio": [0.0042, float("inf")], "id": [2**53 + 1, 10001], "rows": [12345, 1]}
    roles = {"groupBy": ["year", "ratio", "id"], "sum": ["paid"]}
    publish_summary(store, "numbers", numbers | {"paid": [1234567.89, None]}, roles)
    publish_status(store, datasets={"names": counts(), "numbers": counts()})
    browser_page.set_viewport_size({"width": 1800, "height": 1200})
    browser_page.goto(address)
    switches = browser_page.get_by_test_id("stButtonGroup").first
    shown = [name.replace("->", "-\u2060>").replace("www", "www\u2060") for name in names]
    expect(switches.get_by_role("button")).to_have_text(shown, use_inner_text=True)
    assert switches.locator("a, .katex, b, em").count() == 0
    cells = browser_page.get_by_test_id("stDataFrame").last.locator("[role=gridcell]")
    until(lambda: "12345" in cells.all_text_contents(), what="the last column")
    assert {"2026", "0.0042", "∞", str(2**53 + 1), "10001", "1234567.89"} <= set(cells.all_text_contents())
    assert browser_page.get_by_role("button", name="Download as CSV").count() == 0  # of the table


def test_a_narrow_screen_loses_nothing(store: ObjectStore, address: str, browser_page: Page) -> None:
    fill(store, [1405, 1333, 1290])
    put_rejected(store, "raw/companydata/companydata.csv", [problem(7)])
    publish_loads(store, [load("raw/companydata/companydata.csv", rows_rejected=1)])
    browser_page.set_viewport_size({"width": 390, "height": 800})
    name = "raw/companydata/companydata.csv"
    for path, last in (("/", "Ordered"), ("/pipeline", name), ("/rejects", name), ("/query", "view")):
        browser_page.goto(address + path)
        expect(browser_page.get_by_test_id("stDataFrame").last).to_contain_text(last)
        assert browser_page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_workers_stay_open_and_their_names_are_plain_text(
    store: ObjectStore, address: str, browser_page: Page
) -> None:
    """The number of workers in the line that opens them changes when one comes."""

    def publish(*names: str) -> None:
        workers = [{"name": name, "other": "its <b>contracts</b> are *others*"} for name in names]
        publish_status(store, executor={"kind": "processes", "workers": workers})

    publish("w*1*", "w_2_")
    browser_page.goto(f"{address}/pipeline")
    expect(browser_page.get_by_text("w*1*: its <b>contracts</b> are *others*", exact=True)).to_be_visible()
    browser_page.get_by_text("Loads: 2 processes").click()
    table = browser_page.get_by_test_id("stExpander").get_by_test_id("stDataFrame")
    expect(table).to_be_visible()
    publish("w*1*")
    expect(browser_page.get_by_text("Loads: 1 process", exact=True)).to_be_visible()
    expect(table).to_be_visible()
