import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pyarrow as pa
import pytest

from dashboard.query import client, sandbox
from dashboard.query.client import QueryRunner, schemas, views
from dashboard.query.examples import examples
from dashboard.query.sandbox import QueryError, answer
from lake.stores.base import ObjectStore
from tests.support.minio_server import until
from tests.support.publish import load, parquet, problem, publish_companydata, publish_loads, put_rejected


@pytest.fixture
def runner(store: ObjectStore) -> Iterator[QueryRunner]:
    query_runner = QueryRunner(store.url)
    yield query_runner
    query_runner.close()


def test_a_query_gives_rows_and_what_it_took(runner: QueryRunner) -> None:
    found = runner.run({}, "SELECT 7 AS seven, 'x' AS x FROM range(3)")
    assert found.frame.to_dict("list") == {"seven": [7] * 3, "x": ["x"] * 3}
    assert (found.cut, found.seconds > 0) == (False, True)


def test_a_runaway_query_is_ended_and_the_next_one_works(runner: QueryRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SECONDS", 1.0)
    with pytest.raises(QueryError, match="ended after 1 seconds"):
        runner.run({}, "SELECT count(*) FROM range(1_000_000) a, range(1_000_000) b")
    monkeypatch.setattr(client, "SECONDS", 30.0)
    with pytest.raises(QueryError, match="needs more memory"):
        runner.run({}, "SELECT len(range(1_000_000_000))")  # hears no interrupt, and no memory limit of DuckDB
    with pytest.raises(QueryError, match="LINE 1"):
        runner.run({}, "SELECT nothing")
    assert runner.run({}, "SELECT 1").frame.shape == (1, 1)


SLOW = "SELECT count(*) FROM range(1_000_000) a, range(1_000_000) b"


class Left(Exception):
    """Raised by a page whose visitor has left."""


def test_a_few_queries_run_at_a_time_and_the_others_in_their_order(
    runner: QueryRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SECONDS", 60.0)
    leave, before, done = Event(), [set[int]() for _ in range(3)], list[int]()

    def runs_long(_: int) -> None:
        if leave.is_set():
            raise Left

    def waits(number: int) -> None:
        runner.run({}, "SELECT 41 + 1", before[number].add)
        done.append(number)

    with ThreadPoolExecutor(client.AT_ONCE + 3) as pool:
        long = [pool.submit(runner.run, {}, SLOW, runs_long) for _ in range(client.AT_ONCE)]
        until(lambda: len(runner._queue) == client.AT_ONCE)
        waiting = []
        for number in range(3):
            waiting.append(pool.submit(waits, number))
            until(lambda number=number: client.AT_ONCE + number in before[number])
        assert not done
        leave.set()  # who leaves gives the place to the next one, and ends the query
        for future in waiting:
            future.result(120)
        for future in long:
            with pytest.raises(Left):
                future.result(120)
    assert not runner._queue


def test_who_leaves_while_waiting_holds_nobody_up(runner: QueryRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "AT_ONCE", 0)

    def leave(_: int) -> None:
        raise Left

    with pytest.raises(Left):
        runner.run({}, "SELECT 1", leave)
    monkeypatch.setattr(client, "AT_ONCE", 1)
    assert runner.run({}, "SELECT 1").frame.shape == (1, 1)


def test_a_process_that_died_while_it_waited_is_not_asked(runner: QueryRunner) -> None:
    runner.warm()
    waiting = runner._next
    assert waiting is not None
    waiting.send_signal(signal.SIGKILL)
    waiting.wait(10)
    assert runner.run({}, "SELECT 1").frame.shape == (1, 1)
    runner.warm()
    assert runner._next is not waiting


def test_a_process_that_does_not_start_is_one_sentence(runner: QueryRunner, caplog: pytest.LogCaptureFixture) -> None:
    runner._command = [sys.executable, "-c", "import nothing_of_this_name"]
    with pytest.raises(QueryError, match=r"^The query was not run: its process did not start\."):
        runner.run({}, "SELECT 1")
    assert "nothing_of_this_name" in caplog.text


def test_views_are_named_by_kind_and_dataset() -> None:
    assert views(["web-shop", "Web-Shop"]) == {
        "clean_Web-Shop": "clean/Web-Shop/",
        "rejected_Web-Shop": "rejected/Web-Shop/",
        "published_summary_Web-Shop": "published/Web-Shop/summary.parquet",
        "published_loads": "published/loads.parquet",
    }


def test_every_example_runs(store: ObjectStore) -> None:
    names = views(["companydata", "web-shop"])
    publish_companydata(store, [1, 2, 3])
    publish_loads(store, [load("raw/web-shop/a.csv")])
    columns = {"the kind": ["x", "y"], "count": [1, 2], "_source_key": ["raw/web-shop/a.csv"] * 2}
    store.put("clean/web-shop/a.csv.parquet", parquet(pa.table(columns)))
    put_rejected(store, "raw/web-shop/a.csv", [problem(7)])
    known = schemas(store, names)
    assert list(known) == [
        "published_summary_companydata",
        "clean_web-shop",
        "rejected_web-shop",
        "published_loads",
    ]
    queries = examples(known)
    assert len(queries) == 5
    for title, sql in queries.items():
        assert len(answer(store, names, sql)) > 0, title


def test_a_damaged_object_hides_its_own_view_alone(store: ObjectStore) -> None:
    publish_companydata(store, [1, 2, 3])
    store.put("clean/companydata/a.csv.parquet", b"")
    names = views(["companydata"])
    assert list(schemas(store, names)) == ["published_summary_companydata"]
    with pytest.raises(QueryError, match=r"a\.csv\.parquet"):
        answer(store, names, "SELECT * FROM clean_companydata")


def test_a_store_that_refuses_says_so(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("the bucket refuses")

    monkeypatch.setattr(store, "dataset", refuse)
    with pytest.raises(QueryError, match="the bucket refuses"):
        answer(store, views(["companydata"]), "SELECT * FROM clean_companydata")


def test_an_empty_lake_has_no_examples(store: ObjectStore) -> None:
    assert examples(schemas(store, views(["orders"]))) == {}


def test_only_views_that_are_named_are_listed() -> None:
    names = views(["orders", "companydata"])
    assert list(sandbox.named(names, "SELECT * FROM Clean_Orders")) == ["clean_orders"]
    assert sandbox.named(names, "SHOW TABLES") == names
