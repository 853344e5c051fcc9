"""Data through the stack: a file put by any S3 client shows on the page, and a restart loads nothing twice."""

import json
from collections.abc import Iterator

import pytest
from deltalake import DeltaTable

from lake.layout import CLEAN, LOADS, STATUS, summary_key, table_prefix
from tests.support.compose import Stack
from tests.support.lake import company_csv
from tests.support.minio_server import until
from tests.support.stack_data import KEY, published
from tests.support.truth import company_sums

pytestmark = [pytest.mark.needs_engine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def quiet() -> Iterator[Stack]:
    """Stack whose feed is off, so that every load in it is the test's."""
    made = Stack.new(FEED="off")
    try:
        made.up()
        yield made
    finally:
        made.remove()


def sums(stack: Stack) -> dict[str, list[int]]:
    rows = published(stack, summary_key("companydata"))
    return {row["Dept"]: [row["rows"], row["Sold"], row["Returned"], row["Ordered"]] for row in rows}


def test_a_fresh_stack_has_data(quiet):
    """The simulator's first file becomes a result without anybody's hand."""
    row = until(lambda: next((row for row in published(quiet, LOADS) if row["status"] == "loaded"), None), 60)
    assert (row["source_key"], row["rows_kept"]) == (KEY, 24)


def test_the_table_is_read_with_the_reader_s_key(quiet):
    """The pipeline's user may write it, in a container with nothing but its own rights."""
    address, options = quiet.acting_as("reader").store().address(table_prefix(CLEAN, "companydata"))
    until(lambda: DeltaTable.is_deltatable(address, options), 60)
    rows = DeltaTable(address, storage_options=options).to_pyarrow_table()
    assert rows["_source_key"].to_pylist() == [KEY] * 24


@pytest.mark.needs_browser
def test_a_file_put_through_s3_is_on_the_page(quiet, browser_page):
    store = quiet.store()
    browser_page.goto(quiet.urls.dashboard)
    browser_page.get_by_text("companydata").first.wait_for()
    for seed in (1, 2):
        content = company_csv(seed).replace(b"Dept ", b"Seed%d " % seed)
        etag = store.put(KEY, content)
        loaded = (etag, "loaded")
        until(lambda: loaded in [(row["etag"], row["status"]) for row in published(quiet, LOADS)], what="the load")  # noqa: B023
        assert sums(quiet) == company_sums([content])
        browser_page.get_by_text(f"Seed{seed} 0").first.wait_for(state="attached")
    assert browser_page.get_by_text("Seed1 0").count() == 0


@pytest.mark.needs_browser
def test_a_press_on_one_page_is_seen_on_the_other(quiet, browser_page):
    """The dashboard is open before, and is not loaded again."""
    browser_page.goto(quiet.urls.dashboard)
    browser_page.get_by_text("companydata").first.wait_for()
    browser_page.evaluate("window.neverReloaded = true")
    before = raw(quiet)

    simulator = browser_page.context.new_page()
    simulator.goto(quiet.urls.simulator)
    simulator.get_by_role("button", name="Regenerate data").click()
    # What a page sends goes through the driver, which only moves while it is waited for: a plain sleep holds the press.
    until(lambda: raw(quiet) != before, what="the new file", pause=lambda it: simulator.wait_for_timeout(1000 * it))

    cells = browser_page.locator("[data-testid=stDataFrame]").first.locator("tbody [role=gridcell]")
    true = company_sums([raw(quiet)])
    expected = [[dept, *map(str, (*sums[1:], sums[0]))] for dept, sums in sorted(true.items())]
    until(lambda: in_rows(cells.all_text_contents(), 5) == expected, 30, "the sums of the new file on the page")
    assert browser_page.evaluate("window.neverReloaded")


def in_rows(cells: list[str], width: int) -> list[list[str]]:
    return [cells[start : start + width] for start in range(0, len(cells), width)]


def raw(stack: Stack) -> bytes:
    with stack.store().open(KEY) as (_, stream):
        return stream.read()


def test_down_and_up_again_loads_nothing_twice(quiet):
    for number in range(30):
        quiet.store().put(f"raw/companydata/more/{number}.csv", company_csv(number))
    until(lambda: status(quiet)["files"]["loaded"] == 31, 60, "31 loads")
    before = {row["source_key"]: row for row in published(quiet, LOADS)}
    writer = status(quiet)["writer"]

    quiet.compose("down")
    quiet.up()

    until(lambda: (now := status(quiet)["writer"]) and now["started_at"] != writer["started_at"], 60, "a new run")
    quiet.store().put("raw/companydata/last.csv", company_csv(99))
    until(lambda: status(quiet)["files"]["loaded"] == 32, 60, "the load after the restart")
    after = {row["source_key"]: row for row in published(quiet, LOADS)}
    assert {key: after[key] for key in before} == before
    assert json.loads(quiet.compose("exec", "pipeline", "python", "-m", "pipeline", "status", "--json").stdout)["lake"]


def status(stack: Stack) -> dict:
    with stack.store().open(STATUS) as (_, stream):
        return json.loads(stream.read())
