import io
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Event

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard.query import sandbox
from dashboard.query.client import views
from dashboard.query.result import CUT, MAX_ROWS
from dashboard.query.sandbox import NOTE, QueryError, answer
from lake.stores.base import ObjectInfo, ObjectStore
from lake.stores.local import LocalStore
from tests.support.minio_server import MinioServer
from tests.support.publish import load, parquet, problem, publish_loads, put_rejected

VIEWS = views(["orders"])
CLEAN = "clean/orders/"

OUTSIDE = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM read_parquet('lake/clean/orders/a.csv.parquet')",
    "SELECT * FROM parquet_metadata('lake/clean/orders/a.csv.parquet')",
    "SELECT * FROM parquet_scan('/tmp/*.parquet')",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "FROM '/etc/passwd'",
    "FROM '/tmp/x.parquet'",
    "FROM 'https://example.com/x.csv'",
    "SELECT * FROM read_csv('http://127.0.0.1:9000/lake/raw/a.csv')",
    "SELECT * FROM read_parquet('s3://lake/clean/a.parquet')",
    "SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
    "SELECT getenv('AWS_SECRET_ACCESS_KEY')",
    "SELECT * FROM environ",
    "SELECT * FROM store",  # a variable of this program
    "SELECT * FROM sqlite_scan('state/ledger.db', 'source')",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x.csv'",
    "EXPLAIN ANALYZE ATTACH '/tmp/x.db'",
]
CHANGES = [
    "COPY (SELECT 1) TO '/tmp/x.csv'",
    "COPY clean_orders FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'",
    "ATTACH '/tmp/x.db' AS x",
    "ATTACH ':memory:' AS x",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '/tmp/x.so'",
    "SET enable_external_access = true",
    "SET memory_limit = '100GB'",
    "SET lock_configuration = false",
    "RESET threads",
    "SET VARIABLE x = 1",
    "SET temp_directory = '/tmp'",
    "PRAGMA enable_profiling",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "CREATE TABLE x AS SELECT 1",
    "CREATE MACRO x() AS 1",
    "CREATE OR REPLACE TEMP VIEW clean_orders AS SELECT 1",
    "CREATE SECRET x (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "DROP VIEW clean_orders",
    "INSERT INTO clean_orders VALUES (1)",
    "DELETE FROM clean_orders",
    "UPDATE clean_orders SET number = 1",
    "PREPARE x AS SELECT 1",
    "BEGIN",
    "CHECKPOINT",
    "VACUUM",
    "USE memory",
]
FORBIDDEN = [
    sql for sql in CHANGES if sql.startswith(("COPY (", "EXPORT", "ATTACH '/", "INSTALL", "LOAD", "SET m", "SET e"))
]


@pytest.fixture
def orders(store: ObjectStore) -> ObjectStore:
    store.put(f"{CLEAN}a.csv.parquet", parquet(pa.table({"number": [1, 2, 3], "name": ["x", "y", "x"]})))
    publish_loads(store, [load("raw/orders/a.csv")])
    return store


def rows(store: ObjectStore, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in answer(store, VIEWS, sql).to_pylist()]


def test_a_query_reads_what_was_loaded_rejected_and_published(orders: ObjectStore) -> None:
    put_rejected(orders, "raw/orders/a.csv", [problem(7)])
    assert rows(orders, "SELECT name, sum(number) FROM clean_orders GROUP BY ALL ORDER BY 1") == [("x", 4), ("y", 2)]
    assert rows(orders, "FROM REJECTED_ORDERS SELECT line") == [(7,)]
    assert rows(orders, "SELECT source_key FROM published_loads") == [("raw/orders/a.csv",)]


def test_a_lake_without_rejects_has_none(orders: ObjectStore) -> None:
    assert rows(orders, "SELECT count(*) FROM rejected_orders") == [(0,)]


@pytest.mark.parametrize("sql", OUTSIDE)
def test_nothing_else_can_be_read(orders: ObjectStore, sql: str) -> None:
    assert orders.url
    with pytest.raises(QueryError):
        answer(orders, VIEWS, sql)


@pytest.mark.parametrize("sql", CHANGES)
def test_nothing_can_be_changed(orders: ObjectStore, sql: str) -> None:
    with pytest.raises(QueryError, match=r"refused|Expected one query"):
        answer(orders, VIEWS, sql)


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_the_database_itself_forbids_what_the_check_refuses(orders: ObjectStore, sql: str) -> None:
    connection = sandbox.connect({"clean_orders": orders.dataset(CLEAN)})
    with pytest.raises(duckdb.Error, match=r"(?i)disabled|locked"):
        connection.execute(sql)


def test_several_statements_are_refused(orders: ObjectStore) -> None:
    for sql in ("SELECT 1; SELECT 2", "", "-- nothing"):
        with pytest.raises(QueryError, match="Expected one query"):
            answer(orders, VIEWS, sql)


def test_no_table_of_the_database_itself_is_proposed(orders: ObjectStore) -> None:
    with pytest.raises(QueryError, match="does not exist!\nThe views are in the list beside the query"):
        answer(orders, VIEWS, "SELECT * FROM nothing")


def test_no_query_reaches_the_network(orders: ObjectStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        with pytest.raises(QueryError):
            answer(orders, VIEWS, f"FROM read_csv('http://127.0.0.1:{server.getsockname()[1]}/x.csv')")
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT number,\n  nme\nFROM clean_orders", "LINE 2:   nme\n          ^^^"),
        ("SELECT number FROM clean_orders WHER number > 1", "^^^^^^"),
        ("SELECT name::int FROM clean_orders", "LINE 1: SELECT name::int"),
        ("SELECT * FROM clean_order", 'Did you mean "clean_orders"'),
    ],
)
def test_an_error_points_at_the_place(orders: ObjectStore, sql: str, place: str) -> None:
    with pytest.raises(QueryError) as refused:
        answer(orders, VIEWS, sql)
    assert place in str(refused.value)


def test_only_the_first_rows_are_given_and_it_is_said(orders: ObjectStore) -> None:
    table = answer(orders, VIEWS, "FROM range(1_000_000_000_000)")  # never ends, if all of it is asked for
    assert (len(table), table.schema.metadata) == (MAX_ROWS, {CUT: b"1"})
    whole = answer(orders, VIEWS, "FROM range(100)")
    assert (len(whole), whole.schema.metadata) == (100, None)


def test_long_values_are_kept_within_memory(orders: ObjectStore) -> None:
    table = answer(orders, VIEWS, "SELECT repeat('x', 1_000_000) FROM range(1000)")
    assert 1 <= len(table) <= 16
    assert table.schema.metadata == {CUT: b"1"}


def test_a_result_has_types_that_a_page_can_show(orders: ObjectStore) -> None:
    table = answer(orders, VIEWS, "SELECT [1], 1.5::decimal(9, 2), sum(number), 1 AS a, 2 AS a, NULL FROM clean_orders")
    assert list(table.to_pylist()[0].values()) == ["[1]", Decimal("1.50"), 6, 1, 2, None]
    assert len(set(table.column_names)) == 6


def test_every_type_and_its_extremes_are_shown(orders: ObjectStore) -> None:
    table = answer(orders, VIEWS, "SELECT * FROM test_all_types()")
    least, most, nothing = table.to_pylist()
    assert set(nothing.values()) == {None}
    assert (least["date"], most["date"]) == ("5877642-06-25 (BC)", "5881580-07-10")
    assert (least["hugeint"], most["uhugeint"]) == (str(-(2**127)), str(2**128 - 1))
    assert (most["ubigint"], most["dec38_10"]) == (2**64 - 1, Decimal("9" * 28 + "." + "9" * 10))
    assert (most["timestamp_ns"], most["time_tz"]) == ("2262-04-11 23:47:16.854775806", "24:00:00-15:59:59")
    assert (most["bit"], most["union"], most["float"]) == ("10101", "5", 3.4028235e38)
    table.to_pandas(types_mapper=pd.ArrowDtype).to_csv()


SHOWN: list[tuple[str, object]] = [
    ("'infinity'::TIMESTAMP", "infinity"),
    ("DATE '-infinity'", "-infinity"),
    ("TIMESTAMPTZ '9999-12-31T23:59:59Z'", "9999-12-31 23:59:59+00"),
    ("DATE '294247-01-01'", "294247-01-01"),
    ("DATE '0044-03-15 (BC)'", "0044-03-15 (BC)"),
    ("'2026-02-01T00:30:00Z'::TIMESTAMPTZ", "2026-02-01 00:30:00+00"),
    ("'2026-02-01T00:30:00Z'::TIMESTAMPTZ::DATE", "2026-02-01"),
    ("TIMESTAMPTZ '2026-02-01T00:30:00Z' AT TIME ZONE 'America/New_York'", "2026-01-31 19:30:00"),
    ("sum(x) FILTER (x < 5) FROM (VALUES (9223372036854775807::HUGEINT), (4)) t(x)", 4),
    ("sum(x) FROM (VALUES (9223372036854775807), (1)) t(x)", str(2**63)),
    ("0.1::FLOAT", 0.1),
    ("'inf'::DOUBLE", float("inf")),
]


@pytest.mark.parametrize(("sql", "shown"), SHOWN)
def test_a_value_is_shown_as_it_is_in_utc(
    orders: ObjectStore, sql: str, shown: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert rows(orders, f"SELECT {sql}") == [(shown,)]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("names", [("a (3)", "a", "a"), ("a", "a (2)", "a"), ("a", "A", "a"), ("x", "x", "x")])
def test_names_of_columns_are_made_different(orders: ObjectStore, names: tuple[str, ...]) -> None:
    columns = ", ".join(f'{number} AS "{name}"' for number, name in enumerate(names))
    table = answer(orders, VIEWS, f"SELECT {columns}")
    assert len(set(table.column_names)) == 3
    assert set(names) <= set(table.column_names)
    assert [column.to_pylist() for column in table.columns] == [[0], [1], [2]]


@pytest.mark.parametrize(
    "sql",
    [
        "PIVOT clean_orders ON name USING sum(number)",
        "WITH p AS (PIVOT clean_orders ON name USING sum(number)) FROM p",
        "PIVOT clean_orders ON name IN ('x', 'y') USING sum(number); -- in all",
    ],
)
def test_a_pivot_is_run(orders: ObjectStore, sql: str) -> None:
    assert answer(orders, VIEWS, sql).to_pylist() == [{"x": 4, "y": 2}]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t AS PIVOT clean_orders ON name USING sum(number)",
        "COPY (PIVOT clean_orders ON name USING sum(number)) TO '/tmp/x.csv'",
        "INSERT INTO t PIVOT clean_orders ON name USING sum(number)",
    ],
)
def test_a_change_from_a_pivot_is_refused(orders: ObjectStore, sql: str) -> None:
    with pytest.raises(QueryError, match="MULTI is refused"):
        answer(orders, VIEWS, sql)


@pytest.mark.parametrize("sql", ["SELECT '; -- x' AS a; /* b; */ -- c", "SELECT '; -- x' AS a", "SELECT '; -- x' a;;"])
def test_a_query_may_end_in_semicolon_and_comment(orders: ObjectStore, sql: str) -> None:
    assert answer(orders, VIEWS, sql).to_pylist() == [{"a": "; -- x"}]


@pytest.mark.parametrize(
    "name",
    ["CLEAN_ORDERS", '"Clean_Orders"', "main.clean_orders", 'temp."clean_orders"', "query_table('clean_' || 'orders')"],
)
def test_a_view_is_found_in_any_spelling(orders: ObjectStore, name: str) -> None:
    assert rows(orders, f"SELECT sum(number) FROM {name}") == [(6,)]


def test_a_name_in_another_name_is_not_a_view_of_the_query() -> None:
    known = {"clean_a": "clean/a/", "clean_a-b": "clean/a-b/", "clean_a-b-c": "clean/a-b-c/"}
    assert list(sandbox.named(known, 'FROM "CLEAN_a-b"')) == ["clean_a-b"]
    assert list(sandbox.named(known, 'FROM "clean_a-b-c", clean_a')) == ["clean_a", "clean_a-b-c"]


def test_a_query_that_names_no_view_opens_none(orders: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    many = views([*(f"stray{number}" for number in range(600)), "orders"])
    opened: list[str] = []
    original = orders.dataset
    monkeypatch.setattr(orders, "dataset", lambda prefix: opened.append(prefix) or original(prefix))
    answer(orders, many, "SELECT 41 + 1")
    assert not opened
    answer(orders, many, "SELECT sum(number) FROM clean_orders")
    assert opened == [CLEAN]
    answer(orders, many, "SHOW TABLES")
    assert len(opened) <= 1 + sandbox.MAX_SHOWN


def put_two_contracts(store: ObjectStore, older: pa.Array, newer: pa.Array) -> None:
    for name, column in (("z", older), ("b", newer)):
        store.put(f"{CLEAN}{name}.csv.parquet", parquet(pa.table({"code": column})))
        time.sleep(0.05)  # a file system tells moments apart that are a tick of its clock apart
    # a.csv.parquet, of the fixture, has other columns.


def test_files_of_two_contracts_are_read_right_and_it_is_said(orders: ObjectStore) -> None:
    put_two_contracts(orders, pa.array([10001]), pa.array(["00501"]))
    table = answer(orders, VIEWS, "SELECT code, count(*) AS n FROM clean_orders GROUP BY ALL ORDER BY ALL")
    assert table.to_pylist() == [{"code": "00501", "n": 1}, {"code": "10001", "n": 1}, {"code": None, "n": 3}]
    note = table.schema.metadata[NOTE].decode()
    assert "Files loaded under an older contract: 2 in clean_orders." in note
    assert rows(orders, "SELECT sum(number) FROM clean_orders") == [(6,)]


def test_files_that_do_not_fit_together_say_what_to_do(orders: ObjectStore) -> None:
    put_two_contracts(orders, pa.array([True]), pa.array([5]))
    with pytest.raises(QueryError) as refused:
        answer(orders, VIEWS, "SELECT * FROM clean_orders")
    assert str(refused.value).startswith(
        "1 file of orders was loaded under an older contract: `python -m pipeline replay --stale`"
    )
    assert "Column 'code' is bool in them, and int64 in the newest" in str(refused.value)


def test_a_read_that_meets_a_replacement_is_repeated(orders: ObjectStore) -> None:
    """The file that is removed once it is listed, as one that is loaded anew and then refused is, ends no query."""
    orders.put(f"{CLEAN}b.csv.parquet", parquet(pa.table({"number": [10], "name": ["z"]})))

    class Replacing(LocalStore):
        """Folder in which a file goes away after its first listing."""

        def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
            yield from list(super().list(prefix))
            self.delete(f"{CLEAN}b.csv.parquet")

    assert isinstance(orders, LocalStore)
    assert rows(Replacing(orders.root), "SELECT sum(number) FROM clean_orders") == [(6,)]


@pytest.mark.needs_engine
def test_published_loads_can_be_read_while_they_are_replaced(minio: MinioServer) -> None:
    store, stop = minio.new_store(), Event()

    def replace() -> None:
        while not stop.is_set():
            for many in (1, 900, 7, 4000):
                publish_loads(store, [load("raw/orders/a.csv")] * many)

    publish_loads(store, [load("raw/orders/a.csv")])
    with ThreadPoolExecutor(1) as pool:
        pool.submit(replace)
        try:
            found = {rows(store, "SELECT count(*) FROM published_loads")[0] for _ in range(40)}
        finally:
            stop.set()
    assert found <= {(1,), (900,), (7,), (4000,)}


def spoiled(table: pa.Table, group: int, column: int) -> bytes:
    """Return a Parquet file in which one column of one row group cannot be read."""
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=1000, compression="none", use_dictionary=False)
    data = bytearray(sink.getvalue())
    chunk = pq.read_metadata(io.BytesIO(data)).row_group(group).column(column)
    data[chunk.data_page_offset : chunk.data_page_offset + chunk.total_compressed_size] = bytes(
        chunk.total_compressed_size
    )
    return bytes(data)


def pushed_down(store: ObjectStore) -> None:
    """Hold a query to what it needs: a page that it does not need cannot be read, and would fail it."""
    table = pa.table({"number": list(range(3000)), "name": [f"name {number}" for number in range(3000)]})
    store.put(f"{CLEAN}columns.csv.parquet", spoiled(table, 1, 1))
    assert rows(store, "SELECT sum(number) FROM clean_orders") == [(sum(range(3000)),)]
    assert rows(store, "SELECT name FROM clean_orders WHERE number = 2999") == [("name 2999",)]
    with pytest.raises(QueryError):
        answer(store, VIEWS, "SELECT max(name) FROM clean_orders")


def test_columns_and_predicates_are_pushed_down(store: ObjectStore) -> None:
    pushed_down(store)


@pytest.mark.needs_engine
def test_columns_and_predicates_are_pushed_down_in_a_bucket(minio: MinioServer) -> None:
    pushed_down(minio.new_store())
