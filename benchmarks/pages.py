"""The dashboard in a real browser: how soon a put is seen, how memory grows, how it opens over a huge lake.

    python benchmarks/pages.py visible [--seconds 60] [--bucket]   put to visible, 5 files a second
    python benchmarks/pages.py soak [--seconds 600]                memory of server and browser under a feed
    python benchmarks/pages.py huge                                pages over 100,000 loads and 1,000,000 rejects

Each run has programs and a lake of its own, in a folder that is gone afterwards; with `--bucket`, which needs a Docker
engine, in a MinIO of its own. It needs Chromium.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import numpy as np
from playwright.sync_api import CDPSession, Page

sys.path.insert(0, str(Path(__file__).parents[1]))

from lake.stores import open_store
from lake.stores.base import ObjectStore
from tests.support.browser import browsing, chromium_browser
from tests.support.minio_server import free_port, remove_minio, start_minio, until
from tests.support.pages import healthy
from tests.support.project import DATASETS
from tests.support.publish import (
    counted,
    counts,
    load,
    problem,
    publish_companydata,
    publish_loads,
    publish_status,
    put_rejected,
    writer,
)

RATE = 5  # files a second
PAGES = {"": "Throughput", "pipeline": "a file to open it", "rejects": "of their", "query": "Views and their columns"}
# Notes when another number of seven digits that begins with 7 is shown; the sums grow, so a later one counts too.
WATCH = """() => { window.seen = []; setInterval(() => {
    const table = document.querySelector('[data-testid=stDataFrame]');
    const found = table && table.textContent.replaceAll(',', '').match(/7\\d{6}/);
    const last = window.seen.at(-1);
    if (found && (!last || last[0] !== Number(found[0]))) window.seen.push([Number(found[0]), Date.now()]);
}, 10) }"""


@contextmanager
def program(name: str, **environ: str) -> Iterator[int]:
    """Run one of the three programs; give its process id."""
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-m", name, "run"]
    environ = os.environ | {"PIPELINE_DATASETS": str(DATASETS)} | environ
    process = subprocess.Popen(command, env=environ, stdout=quiet, stderr=quiet)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def open_pages(pages: int, *, forwarded: bool = False) -> Iterator[list[Page]]:
    """Open a browser with some pages."""
    with chromium_browser() as browser, browsing(browser, forwarded=forwarded) as context:
        yield [context.new_page() for _ in range(pages)]


def opened(page: Page, address: str, path: str) -> float:
    """Open a page and give the seconds until all of it is there."""
    started = time.perf_counter()
    page.goto(f"{address}/{path}")
    page.get_by_text(PAGES[path]).first.wait_for(timeout=60_000)
    return time.perf_counter() - started


def visible(store: ObjectStore, address: str, seconds: int) -> None:
    """Put a file five times a second, and see in the browser when its sum, or a later one, is there."""
    put = []
    with open_pages(1) as [page]:
        put_number(store, 7_000_000)
        opened(page, address, "")
        page.evaluate(WATCH)
        page.wait_for_function("window.seen.length > 0")
        for number in range(7_000_001, 7_000_001 + RATE * seconds):
            put.append((number, time.time() * 1000))
            put_number(store, number)
            page.wait_for_timeout(max(0.0, 1000 / RATE - (time.time() * 1000 - put[-1][1])))
        page.wait_for_function(f"window.seen.at(-1)[0] >= {number}")
        seen = page.evaluate("window.seen")
    waited = [next(at for value, at in seen if value >= number) - started for number, started in put]
    shares = quantiles(waited, n=100)
    print(
        f"put to visible, {len(put)} files: p50 {shares[49]:.0f} ms, p95 {shares[94]:.0f} ms, max {max(waited):.0f} ms"
    )


def put_number(store: ObjectStore, number: int) -> None:
    """Put company data whose sum of what was sold is a number."""
    row = f"1-Jan,Books,North,{number},0,0"
    store.put("raw/companydata/companydata.csv", f"Month,Dept,Store,Sold,Returned,Ordered\n{row}\n".encode())


def soak(lake: Path, address: str, server: int, seconds: int) -> None:
    """Hold every page open under a feed, and print by how much memory grows."""
    open_store(str(lake)).put("raw/companydata/bad.csv", b"not,the,header\n")  # so that Rejects has something
    memory: dict[str, list[float]] = {"server": []} | {f"page {path or 'overview'}": [] for path in PAGES}
    times = []
    with open_pages(len(PAGES), forwarded=True) as pages:
        for page, path in zip(pages, PAGES, strict=True):
            opened(page, address, path)
        sessions = [page.context.new_cdp_session(page) for page in pages]
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            pages[0].wait_for_timeout(seconds * 1000 / 40)
            times.append((time.monotonic() - started) / 3600)
            for values, one in zip(memory.values(), [resident(server), *map(heap, sessions)], strict=True):
                values.append(one)
    for name, values in memory.items():
        half = len(values) // 2  # the first half warms up
        slope = np.polyfit(times[half:], values[half:], 1)[0]
        print(f"{name}: {values[0]:.1f} MB at first, {values[-1]:.1f} MB at last, {slope:+.1f} MB an hour")


def resident(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def heap(session: CDPSession) -> float:
    """Return the heap of a page in MB, after garbage collection."""
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def huge(lake: Path, address: str) -> None:
    """Fill the lake as 100,000 loads with 1,000,000 problems would, and print how long each page takes to open."""
    store = open_store(str(lake))
    few = counted(*((rule, f"column {number}", 1) for rule in ("type", "required", "size") for number in range(5)))
    for number in range(50):
        put_rejected(store, f"raw/orders/{number}.csv", [problem(line) for line in range(2, 20_002)])
    folder = lake / "clean" / "orders"
    folder.mkdir(parents=True, exist_ok=True)
    publish_companydata(store, [1405, 1333, 1290])
    with store.open("published/companydata/summary.parquet") as (_, stream):
        small = stream.read()
    for number in range(100_000):
        (folder / f"{number}.csv.parquet").write_bytes(small)
    now = datetime.now(UTC)
    loads = [
        load(f"raw/orders/{number}.csv", rows_rejected=20_000 if number < 50 else 10,
             problems=counted(("type", "Sold", 20_000)) if number < 50 else few,
             loaded_at=now - timedelta(seconds=number), landed_at=now - timedelta(seconds=number, milliseconds=11))
        for number in range(5000)
    ]  # fmt: skip
    publish_loads(store, loads)
    parts = counts(files={"loaded": 100_000}, rows={"read": 3_400_000, "kept": 2_400_000, "rejected": 1_000_000})
    publish_status(store, datasets={"companydata": counts(), "orders": parts}, writer=writer(-3600), **parts)
    with open_pages(1) as [page]:
        for turn in ("first", "again"):
            took = {path or "overview": opened(page, address, path) for path in PAGES}
            print(f"{turn}: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in took.items()))
        started = time.perf_counter()
        page.get_by_label("SQL", exact=True).fill("SELECT rule, count(*) FROM rejected_orders GROUP BY ALL")
        page.get_by_role("button", name="Run").click()
        page.get_by_text("1 row, in").wait_for(timeout=30_000)
        print(f"a query over 1,000,000 rejects: {time.perf_counter() - started:.2f} s")


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["visible", "soak", "huge"])
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--bucket", action="store_true", help="visible alone: in a bucket, not a folder")
    arguments = parser.parse_args()
    # A query process may outlive its server by a moment, and make its folder of the store again.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        lake, port = Path(folder, "lake"), free_port()
        where = {"LAKE_URL": str(lake)}
        if arguments.bucket:
            server = start_minio()
            stack.callback(remove_minio, server)
            where = server.environ(server.new_store().bucket)
        environ = where | {"PIPELINE_STATE": f"{folder}/state", "FEED_FILES_PER_SECOND": str(RATE)}
        environ |= {"DASHBOARD_PORT": str(port), "SIMULATOR_PORT": str(free_port())}
        names = {"visible": ["pipeline"], "soak": ["pipeline", "simulator"], "huge": []}[arguments.what]
        for name in names:
            stack.enter_context(program(name, **environ))
        process = stack.enter_context(program("dashboard", **environ))
        until(lambda: healthy(port, **where), 60, "the dashboard's health")
        address = f"http://127.0.0.1:{port}"
        if arguments.what == "visible":
            visible(open_store(where["LAKE_URL"], where), address, arguments.seconds or 60)
        elif arguments.what == "soak":
            soak(lake, address, process, arguments.seconds or 600)
        else:
            huge(lake, address)


if __name__ == "__main__":
    main()
