"""Hostile wire between the pipeline and a real MinIO: whatever it does, all files are loaded, once."""

from collections.abc import Iterator

import pytest

import lake.stores
import lake.stores.s3
from tests.support.lake import Lake, company_csv, new_lake
from tests.support.minio_server import until
from tests.support.truth import BAD_ROWS, assert_true
from tests.support.wire import LISTEN, Proxy, proxy_to

pytestmark = pytest.mark.needs_engine


def impatient() -> None:
    """Call a silent server away after half a second, and not after ten or fifteen, so that tests are short."""
    real = lake.stores.open_store
    lake.stores.open_store = lambda url, environ, **options: real(url, environ, patience=0.6, **options)
    lake.stores.s3.SILENT_SECONDS = 1.5


@pytest.fixture
def proxy(minio) -> Iterator[Proxy]:
    with proxy_to(minio.port) as proxy:
        yield proxy


@pytest.fixture
def wired(minio, proxy, tmp_path) -> Lake:
    """Lake whose pipeline goes through the proxy, and the test does not."""
    store = minio.new_store()
    environ = minio.environ(store.bucket) | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
    return new_lake(store, environ, tmp_path / "state")


def found_by(lake: Lake, name: str) -> str:
    return lake.wait_loaded(f"companydata/{name}")[f"companydata/{name}"]["found_by"]


@pytest.mark.parametrize("how", ["close", "reset", "hold"])
def test_a_listener_that_ends_or_falls_silent(wired, proxy, how):
    """Files that were put meanwhile are found by the listing after the next connection, without waiting for a sweep."""
    with wired.pipeline(prepare=impatient, SWEEP_SECONDS="600") as program:
        until(lambda: proxy.cut(LISTEN, "reset" if how == "reset" else "close"), what="a listener")
        fault = proxy.add(LISTEN, how)
        until(lambda: fault.hits, what="a listener that comes back")
        wired.put("companydata/unheard.csv", company_csv(1))
        until(lambda: "not listening" in program.log)
        proxy.heal()
        assert found_by(wired, "unheard.csv") == "sweep"
        until(lambda: "listening again" in program.log)
        wired.put("companydata/heard.csv", company_csv(2))
        assert found_by(wired, "heard.csv") == "event"
    assert_true(wired)


def test_a_listener_that_goes_silent_while_it_listens(wired, proxy):
    """No end of the connection tells that it is dead: only the signs of life that are missing do."""
    with wired.pipeline(prepare=impatient, SWEEP_SECONDS="600"):
        wired.put("companydata/heard.csv", company_csv(2))
        until(lambda: list(wired.store.list("clean/")))
        [listener] = until(lambda: [one for one in list(proxy._open) if "events=" in one.request])
        listener.hush()
        wired.put("companydata/unheard.csv", company_csv(1))
        assert found_by(wired, "unheard.csv") == "sweep"
    assert_true(wired)


def test_a_slow_listener(wired, proxy):
    """Events that trickle in are late, and no connection is given up for it."""
    proxy.add(LISTEN, "slow", after=500)
    with wired.pipeline(prepare=impatient, SWEEP_SECONDS="600") as program:
        wired.put("companydata/first.csv", company_csv(0))
        wired.wait_loaded("companydata/first.csv")
        for number in range(5):
            wired.put(f"companydata/{number}.csv", company_csv(number))
        assert {found_by(wired, f"{number}.csv") for number in range(5)} == {"event"}
        assert "not listening" not in program.log
    assert_true(wired)


@pytest.mark.parametrize(
    ("how", "more"),
    [
        ("answer", {"status": 503}),
        ("hold", {}),
        ("reset", {}),
        ("close", {"after": 900}),  # in the middle of a body
    ],
    ids=["503", "timeout", "reset", "cut"],
)
def test_requests_that_fail_some_times(wired, proxy, how, more):
    """Each kind of request fails for a file of its own, and more often than a client's own retries would hide."""
    names = ["get.csv", "put.csv", "reject.csv", "all of it.csv"]
    faults = [
        proxy.add(rf"{method} /[^/]*/{prefix}/companydata/{name}", how, times=3, **more)
        for method, prefix, name in (("GET", "raw", "get"), ("PUT", "clean", "put"), ("PUT", "rejected", "reject"))
    ]
    faults.append(proxy.add(r"GET /[^/]*\?.*prefix=raw", how, times=2, **more))
    faults.append(proxy.add(r"PUT /[^/]*/published/companydata/summary", how, times=2, **more))
    for number, name in enumerate(names):
        content = company_csv(number, 300)
        wired.put(f"companydata/{name}", content + BAD_ROWS if name == "reject.csv" else content)
    with wired.pipeline(prepare=impatient, SWEEP_SECONDS="1") as program:
        wired.wait_loaded(*(f"companydata/{name}" for name in names))
        assert [fault.hits for fault in faults] == [fault.times for fault in faults]
        assert program.alive
    assert_true(wired)


def test_a_whole_store_that_falls_silent_counts_no_attempt(wired, proxy):
    names = [f"companydata/{number}.csv" for number in range(20)]
    with wired.pipeline(prepare=impatient, SWEEP_SECONDS="600") as program:
        until(lambda: list(wired.store.list("published/status")))
        proxy.add("", "hold")
        for number, name in enumerate(names):
            wired.put(name, company_csv(number))
        until(lambda: "store away" in program.log)
        proxy.heal()
        rows = wired.wait_loaded(*names)
        assert program.log.count("store away") == 1
    assert {row["attempts"] for row in rows.values()} == {1}
    assert_true(wired)


def test_a_store_that_has_no_room(wired, proxy):
    """It answers, and takes what is small: the loads wait, and nothing is counted against a file."""
    names = [f"companydata/{number}.csv" for number in range(3)]
    with wired.pipeline(prepare=impatient, SWEEP_SECONDS="600") as program:
        until(lambda: list(wired.store.list("published/status")))
        proxy.add("PUT .*/clean/", "answer", status=507)
        for number, name in enumerate(names):
            wired.put(name, company_csv(number))
        until(lambda: "store full" in program.log)
        until(lambda: proxy.faults[0].hits > 8, what="more tries than a file has")
        proxy.heal()
        rows = wired.wait_loaded(*names)
        until(lambda: "store has room" in program.log)
    assert {row["attempts"] for row in rows.values()} == {1}
    assert program.log.count("store full") == 1
    assert "failed key=" not in program.log
    assert_true(wired)
